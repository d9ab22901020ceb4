"""One matrix layer with integer weights and a chosen quantiser onto crossbars."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import (
    AdcSettings,
    CrossbarStep,
    FitRecord,
    FloatInput,
    MatrixLayer,
    Periphery,
    Scatter,
    Tiling,
    Unkept,
    encode_r,
    read_only,
)
from xbarc.mapping.by_weight import pack_by_weight
from xbarc.mapping.chains import Arrangement
from xbarc.mapping.converter_savings import apply_to_columns, apply_to_weights
from xbarc.mapping.converters import adc_settings, costs_by_law, wide, with_gain
from xbarc.mapping.encodings import Encoded, Pattern, check_meaning, check_piece, encoding_of
from xbarc.mapping.job import Job, make_job
from xbarc.mapping.kept import unkept_weights
from xbarc.mapping.pack import ArrayPool
from xbarc.mapping.tiling import ColumnPart, segment_bounds
from xbarc.memo import Memo, Same
from xbarc.numerics import AnyArray, Int64Array, PackedCells, pack_cells, packed_bytes
from xbarc.options import MapOptions
from xbarc.plugins import is_foreign
from xbarc.target import Target

# A cell is one byte until it is packed, and an encoding holds a few copies of a chunk: 8 MiB each.
_CHUNK_CELLS = 1 << 23


def map_layer(
    layer: MatrixLayer,
    target: Target,
    options: MapOptions,
    pool: ArrayPool,
    arrangement: Arrangement | None = None,
    fit: FitRecord | None = None,
    memo: Memo | None = None,
) -> CrossbarStep:
    """Cells, periphery and ADC settings of a layer.

    Args:
        layer: integer weights; the input's range is chosen.
        target: the chip.
        options: encoding, ADC policy, tiling.
        pool: hands out physical arrays.
        arrangement: order and sign of the outputs, where the weights were fitted to one.
        fit: how the integers were chosen.
        memo: cells that the same weights have had before.

    Raises:
        MappingError: the layer cannot be mapped; the message says why and what would help.
    """
    law = costs_by_law(options.conversion_cost, target)
    job, cells, r_values = _make_cells(layer, target, options, arrangement, memo)
    unkept = _unkept(layer, target, options)
    tiling = _make_tiling(job, target, pool)
    step = CrossbarStep(
        **layer.head(),
        tiling=tiling,
        cells=cells,
        periphery=_periphery(layer, job, r_values),
        adc=_no_adc(),
        input_bits=_input_bits(layer),
        dac_bits=target.input.dac_bits,
        encoding=job.encoding.name,
        weight_bits=job.weight_bits,
        weight_slices=job.slices,
        inputs=layer.rows,
        outputs=layer.outputs,
        fit=_with_order(fit, job.places),
        unkept=unkept,
    )
    if is_foreign(encoding_of(options)):
        # Reading all cells back is one more pass over the layer: only for code that is not ours.
        check_meaning(step, layer.weight.tensor.load())
    rule, shares = options.column_order, options.columns_share
    step, solved = apply_to_columns(step, target, options.adc_savings, rule, law, shares)
    # Rows are chosen later, and fewer rows need narrower converters: until then any width is
    # allowed.
    room = wide(target) if "rows" in options.adc_savings else target
    step = replace(step, adc=replace(adc_settings(step, room, options.adc_policy), solved=solved))
    return with_gain(step, target, options.adc_policy)


_Cells = tuple[Job, PackedCells, list[Int64Array]]


def _make_cells(
    layer: MatrixLayer,
    target: Target,
    options: MapOptions,
    arrangement: Arrangement | None,
    memo: Memo | None,
) -> _Cells:
    """The plan of a layer, its cells, and entries of `R` of each part."""

    def encode() -> _Cells:
        law = costs_by_law(options.conversion_cost, target)
        planned = make_job(layer, target, options, arrangement)
        job = apply_to_weights(planned, target, options.adc_savings, law, options.effort)
        return job, *_encode(job)

    key = _cells_key(layer, target, options) if arrangement is None else None
    if memo is None or key is None:
        return encode()
    # The plan holds the weights too, about as many bytes as their cells.
    return memo.recall(key, encode, lambda made: 2 * made[1].data.nbytes)


def _cells_key(layer: MatrixLayer, target: Target, options: MapOptions) -> Hashable:
    """What cells depend on; None where prices or code of others have a say in them."""
    if options.adc_savings or is_foreign(encoding_of(options)):
        return None
    asked = (options.encoding, options.tile, options.weight_slices)
    return ("cells", layer.name, Same(layer.weight), repr(target.array), target.cell.bits, asked)


def _unkept(layer: MatrixLayer, target: Target, options: MapOptions) -> tuple[Unkept, ...]:
    """Integers that the model declares and that the layer computes without."""
    found = [unkept_weights(layer, target, options), layer.unkept_input]
    return tuple(item for item in found if item is not None)


def _with_order(fit: FitRecord | None, places: Arrangement) -> FitRecord | None:
    """The record, and what the order of a chain costs where one was searched for."""
    if not places.natural_cost:
        return fit
    return replace(
        fit or FitRecord("rounding"),
        order_cost=places.cost,
        greedy_cost=places.greedy_cost,
        natural_cost=places.natural_cost,
        order_bound=places.bound,
    )


def _input_bits(layer: MatrixLayer) -> int:
    if isinstance(layer.quantizer, FloatInput):
        raise MappingError("the range of the input was never chosen", where=layer.name)
    return layer.quantizer.bits


def _no_adc() -> AdcSettings:
    one = np.ones((1, 1, 1, 1), dtype=np.int32)
    return AdcSettings(one.astype(np.uint8), one - 1, one, "lossless")


def _encode(job: Job) -> tuple[PackedCells, list[Int64Array]]:
    """Cells, packed as they are made, and entries of `R` of each part over all row blocks."""
    groups, rows, _ = job.weights.shape
    columns = int(job.cut.column_bounds[-1])
    packed = np.empty((groups, rows, packed_bytes(columns, job.cell_bits)), dtype=np.uint8)
    entries = pack_by_weight(job, packed)
    if entries is not None:
        return PackedCells(read_only(packed), job.cell_bits, columns), entries
    collected: list[list[Int64Array]] = [[] for _ in job.cut.parts]
    for first, last in _row_chunks(job, columns):
        pieces = encode_rows(job, first, last)
        for found, piece in zip(collected, pieces, strict=True):
            found.append(piece.r_value)
        row0, row1 = int(job.bounds[first]), int(job.bounds[last])
        flat = [piece.cells.reshape(groups, row1 - row0, -1) for piece in pieces]
        packed[:, row0:row1] = pack_cells(np.concatenate(flat, axis=2), job.cell_bits).data
    values = [
        found[0] if found[0].shape[1] == 1 and _constant(found) else np.concatenate(found, axis=1)
        for found in collected
    ]
    return PackedCells(read_only(packed), job.cell_bits, columns), values


def _constant(found: list[Int64Array]) -> bool:
    """Whether an encoding gave the same entries for every row block (an axis of length 1)."""
    return len(found) == 1 or all(
        item is found[0] or np.array_equal(item, found[0]) for item in found
    )


def _row_chunks(job: Job, columns: int) -> Iterator[tuple[int, int]]:
    """Runs of row blocks whose cells fit a buffer."""
    blocks = len(job.bounds) - 1
    per_block = int(np.diff(job.bounds).max()) * columns * job.weights.shape[0]
    step = max(1, _CHUNK_CELLS // max(1, per_block))
    for first in range(0, blocks, step):
        yield first, min(blocks, first + step)


def encode_rows(job: Job, first: int, last: int) -> list[Encoded]:
    """Encode some row blocks, one call for all blocks of one size."""
    row0, row1 = int(job.bounds[first]), int(job.bounds[last])
    bounds = job.bounds[first : last + 1] - row0
    weights = job.weights[:, row0:row1]
    encoded, start = [], 0
    for part in job.cut.parts:
        stop = start + part.blocks * part.outputs
        chosen = weights[:, :, start:stop]
        chosen = chosen.reshape(*chosen.shape[:2], part.blocks, part.outputs)
        start = stop
        piece = part.encoding.encode(chosen, bounds, job.weight_bits, job.cell_bits, job.slices)
        if is_foreign(part.encoding):
            blocks = len(bounds) - 1
            check_piece(part.encoding, piece, chosen, blocks, job.cell_bits, job.slices)
        encoded.append(piece)
    return encoded


def _make_tiling(job: Job, target: Target, pool: ArrayPool) -> Tiling:
    groups, rows, _ = job.weights.shape
    natural = np.arange(rows, dtype=np.int32)
    column_bounds = job.cut.column_bounds
    array, row_offset, column_offset = pool.place(
        groups, np.diff(job.bounds), np.diff(column_bounds)
    )
    return Tiling(
        row_input=natural if job.row_input is None else job.row_input,
        row_bounds=job.bounds,
        segment_bounds=segment_bounds(job.bounds, target.array.active_rows),
        column_bounds=column_bounds,
        conversion_bounds=job.cut.conversion_bounds,
        array=array,
        row_offset=row_offset,
        column_offset=column_offset,
    )


def _periphery(layer: MatrixLayer, job: Job, r_values: list[Int64Array]) -> Periphery:
    patterns = [(part, part.encoding.pattern(part.outputs, job.slices)) for part in job.cut.parts]
    entries = _place(patterns, job)
    groups, _, outputs = job.weights.shape
    spread = [
        np.broadcast_to(values, (*values.shape[:2], part.blocks, values.shape[3])).reshape(
            *values.shape[:2], -1
        )
        for (part, _), values in zip(patterns, r_values, strict=True)
    ]
    values = np.concatenate(_broadcast_parts(spread), axis=2)
    place = entries["r_output"]
    values = (values << job.shift) * job.places.signs[place]
    constant = layer.constant.astype(np.int64)
    if isinstance(layer.geometry, Scatter):
        if constant.any():
            raise MappingError("integer bias on a transposed convolution", where=layer.name)
        constant = np.zeros(groups * outputs, dtype=np.int64)
    centre = np.zeros(groups * outputs) if job.centre is None else job.centre
    return Periphery(
        **{**entries, "r_output": job.places.order[place].astype(np.int32)},
        r_code=encode_r(values),
        constant=constant,
        input_sum=centre.astype(np.int64).reshape(-1),
    )


def _broadcast_parts(parts: list[Int64Array]) -> list[Int64Array]:
    """Parts with the same leading axes, those of length 1 repeated."""
    lead = np.broadcast_shapes(*(part.shape[:2] for part in parts))
    return [np.broadcast_to(part, (*lead, part.shape[2])) for part in parts]


def _place(patterns: list[tuple[ColumnPart, Pattern]], job: Job) -> dict[str, AnyArray]:
    """Entries of `A` and `R` with the indices of the whole layer; outputs by their place."""
    found: dict[str, list[AnyArray]] = {
        name: [] for name in ("a_conversion", "a_column", "a_sign", "r_output", "r_conversion")
    }
    output = conversion = column = 0
    for part, pattern in patterns:
        width = part.encoding.width(part.outputs, job.slices)
        turn = np.arange(part.blocks, dtype=np.int32)[:, None]
        found["a_conversion"].append(conversion + turn * pattern.conversions + pattern.a_conversion)
        found["a_column"].append(column + turn * width + pattern.a_column)
        found["a_sign"].append(np.tile(pattern.a_sign, (part.blocks, 1)))
        found["r_output"].append(output + turn * part.outputs + pattern.r_output)
        found["r_conversion"].append(conversion + turn * pattern.conversions + pattern.r_conversion)
        output += part.blocks * part.outputs
        conversion += part.blocks * pattern.conversions
        column += part.blocks * width
    types = {"a_sign": np.int8}
    return {
        name: np.concatenate([part.reshape(-1) for part in parts]).astype(types.get(name, np.int32))
        for name, parts in found.items()
    }
