"""What is known of a layer before its cells are made: order, slices, and how it is cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.errors import MappingError, say_count
from xbarc.ir import IntWeight, MatrixLayer
from xbarc.mapping.chains import Arrangement, arrange, find_order, plain_arrangement
from xbarc.mapping.encodings import Encoding, Region, encoding_of
from xbarc.mapping.tiling import Cut, cut_columns, row_bounds
from xbarc.numerics import Int64Array, IntArray
from xbarc.options import MapOptions
from xbarc.target import Target

# Every chain of up to 65,536 outputs of 8 bits fits: a prefix sum has 8 + 16 bits. More slices
# would turn an error that says what helps into arrays that nobody wants.
_MOST_CELL_BITS = 24


@dataclass(frozen=True, eq=False)
class Job:
    """What the functions of mapping share of a layer.

    Attributes:
        weights: in the order in which outputs lie, signs turned, centre subtracted, common factors
            of two divided out; axes: group, row, output.
        places: the layer's output at each place, and its sign.
        shift: how many times the weights were halved.
        centre: what was subtracted from each output; axes: group, 1, output of the layer; None
            where nothing was.
        cut: how outputs fall into blocks.
        row_input: input of each row; None in their natural order.
    """

    weights: IntArray
    weight_bits: int
    slices: int
    encoding: Encoding
    cell_bits: int
    bounds: IntArray
    places: Arrangement
    shift: int
    centre: Int64Array | None
    cut: Cut
    row_input: IntArray | None = None


def make_job(
    layer: MatrixLayer, target: Target, options: MapOptions, arrangement: Arrangement | None
) -> Job:
    """Plan a layer with integer weights.

    Raises:
        MappingError: the weights do not fit the encoding, or its columns the array.
    """
    if not isinstance(layer.weight, IntWeight):
        raise MappingError("weights are not integers yet", where=layer.name)
    encoding = encoding_of(options)
    # Encodings count in signed bits; unsigned weights take one more.
    bits = layer.weight.format.bits + (not layer.weight.format.signed)
    weights = np.asarray(layer.weight.tensor.load())
    centre = encoding.centre(weights) if weights.size else None
    if centre is not None:
        weights = (weights - centre).astype(np.int32)
    # Only where weights were shifted, or fitted to levels that may all be even.
    shift = common_factor(weights) if centre is not None or arrangement is not None else 0
    # The periphery multiplies by the power of two, so that cells hold fewer bits at no cost.
    if shift:
        weights = weights >> shift
    bounds = row_bounds(layer.rows, target.array, options.tile)
    # Before regions, which ask for signs within each row block.
    order = encoding.rows(weights, bounds)
    if order is not None:
        weights, bounds = weights[:, order[0]], order[1]
    parts = encoding.regions(weights, bounds) or (_all(encoding, layer.outputs),)
    slices, cut, places = _fit(layer, target, options, (weights, parts, bits, arrangement))
    plain = bool((places.order[:-1] < places.order[1:]).all() and (places.signs == 1).all())
    turned = weights if plain else _turn_outputs(weights, places.order, places.signs)
    return Job(
        turned,
        bits,
        slices,
        encoding,
        target.cell.bits,
        bounds,
        places,
        shift,
        centre,
        cut,
        None if order is None else order[0],
    )


def common_factor(weights: IntArray) -> int:
    """How often all weights can be halved: the lowest bit that any of them has."""
    joined = int(np.bitwise_or.reduce(weights, axis=None)) if weights.size else 0
    return (joined & -joined).bit_length() - 1 if joined else 0


def _all(encoding: Encoding, outputs: int) -> Region:
    return Region(encoding, np.arange(outputs))


_Weights = tuple[IntArray, tuple[Region, ...], int, Arrangement | None]


def _fit(
    layer: MatrixLayer, target: Target, options: MapOptions, what: _Weights
) -> tuple[int, Cut, Arrangement]:
    """The least slices that hold the weights, the cut and the order that go with them."""
    weights, parts, bits, arrangement = what
    encoding, cell_bits = encoding_of(options), target.cell.bits
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    least = encoding.slices(low, high, bits, cell_bits)
    for slices in _slice_counts(least, options.weight_slices, cell_bits):
        cut = cut_columns(parts, slices, target.array, options.tile, layer.name)
        places = arrangement or _arrange_outputs(weights, parts, cut)
        if _holds(weights, cut, places, cell_bits, slices):
            return slices, cut, places
        levels = 1 << (cell_bits * slices)
        asked = options.weight_slices
        # The heuristic order does not fit; before another slice is paid for, an exact search may
        # find one that does.
        found = None if arrangement else _search_order(weights, cut, levels, asked=asked)
        if found is not None:
            return slices, cut, found
    most = options.weight_slices or _MOST_CELL_BITS // cell_bits
    raise MappingError(
        f"weights from {low} to {high} do not fit {encoding.name} with {most} cells of"
        f" {say_count(cell_bits, 'bit')} per weight",
        where=layer.name,
        hint=_remedy(least, options.weight_slices),
    )


def _slice_counts(least: int, asked: int | None, cell_bits: int) -> range:
    """Counts of slices to try; never more than were asked for."""
    if asked is None:
        return range(least, max(least, _MOST_CELL_BITS // cell_bits) + 1)
    # One count or none: fewer than needed is an error with a remedy, and more would be paid for in
    # cells.
    return range(asked, asked + (least <= asked))


def _remedy(least: int, asked: int | None) -> str:
    if asked is not None:
        return f"--weight-slices {max(least, asked + 1)} or more, or cells with more bits"
    return "--encoding differential, fewer --weight-bits, or cells with more bits"


def _arrange_outputs(weights: IntArray, parts: tuple[Region, ...], cut: Cut) -> Arrangement:
    """Natural order, unless a chain asks for a better one."""
    if len(parts) > 1 or not parts[0].encoding.is_chained():
        order = np.concatenate([part.outputs for part in parts])
        return plain_arrangement(order)
    rows = weights.reshape(-1, weights.shape[2]).astype(np.float64)
    return arrange(rows, cut.chain())


def _search_order(
    weights: IntArray, cut: Cut, levels: int, *, asked: int | None
) -> Arrangement | None:
    """An order that fits exactly, where one is found."""
    if not all(part.encoding.is_chained() for part in cut.parts):
        return None
    rows = weights.reshape(-1, weights.shape[2])
    found = find_order(rows, cut.chains(), levels, dense=asked is not None)
    if found.answer != "found":
        return None
    return Arrangement(found.order, found.signs, 0.0, 0.0, 0.0, None)


def _turn_outputs(weights: IntArray, order: IntArray, signs: IntArray) -> IntArray:
    """Outputs in another order, with signs; wide enough for the negative of the least integer."""
    chosen = _pick(weights, order)
    if (signs == 1).all():
        return chosen
    # -(-128) is no int8.
    wide = np.int16 if weights.dtype == np.int8 else np.int32
    turned: IntArray = chosen * signs.astype(wide)
    return turned


def _pick(weights: IntArray, order: IntArray) -> IntArray:
    """Some outputs; a view where they are neighbours, since copies of a wide layer cost seconds."""
    if len(order) and np.array_equal(order, np.arange(order[0], order[0] + len(order))):
        return weights[:, :, int(order[0]) : int(order[-1]) + 1]
    return weights[:, :, order]


def _holds(weights: IntArray, cut: Cut, places: Arrangement, cell_bits: int, slices: int) -> bool:
    start = 0
    for part in cut.parts:
        stop = start + part.blocks * part.outputs
        if part.encoding.is_chained() or part.encoding.forest(1) is not None:
            chosen = _turn_outputs(weights, places.order[start:stop], places.signs[start:stop])
            shaped = chosen.reshape(*weights.shape[:2], part.blocks, part.outputs)
            if not part.encoding.holds(shaped, cell_bits, slices):
                return False
        start = stop
    return True
