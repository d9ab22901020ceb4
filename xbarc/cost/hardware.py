"""What stands there: arrays, converters, macros, tiles, chips, and each layer's share of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from xbarc.cost.counts import WIDTHS, Counts, Histogram, widths
from xbarc.cost.step_counts import conversions_made, join_segments, segments_of_block
from xbarc.ir import CrossbarStep, Program
from xbarc.numerics import Float64Array, Int64Array, IntArray, UInt8Array
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Allocation:
    """The hardware of a program.

    Attributes:
        total: counts of the whole program.
        adc_bits: width of each converter; axes: array, converter.
        cells: cells in use in each array.
    """

    total: Counts
    adc_bits: UInt8Array
    cells: Float64Array


def places_of(program: Program) -> dict[str, IntArray]:
    """The converter of each conversion of every layer, see `adc_places`."""
    return {
        step.name: adc_places(step, program.target).astype(np.int32)
        for step in program.crossbar_steps
    }


def allocate(program: Program, converters: Mapping[str, IntArray] | None = None) -> Allocation:
    """Size every converter by its widest conversion, and count what the arrays need around them.

    Args:
        program: what is counted.
        converters: what `places_of` gave.
    """
    known = places_of(program) if converters is None else converters
    target, arrays = program.target, program.arrays
    bits = np.zeros(arrays * adcs_per_array(target), dtype=np.uint8)
    cells = np.zeros(arrays, dtype=np.float64)
    for step in program.crossbar_steps:
        places = known[step.name]
        # Layers that share an array share its converters, so the widest of all layers counts; `at`,
        # because a place occurs many times.
        np.maximum.at(bits, places.reshape(-1), _widest(step, places.shape).reshape(-1))
        cells += cells_of_array(step, arrays)
    table = bits.reshape(arrays, adcs_per_array(target))
    # a converter without a conversion is built as its neighbours are: an array has one layout
    idle_as_its_neighbours = np.where(table > 0, table, table.max(axis=1, initial=0, keepdims=True))
    total = _count(target, arrays, idle_as_its_neighbours)
    return Allocation(total, idle_as_its_neighbours, cells)


def arrays_of_step(step: CrossbarStep) -> IntArray:
    """Arrays that a layer touches, sorted."""
    return np.unique(np.asarray(step.tiling.array))


def adcs_per_array(target: Target) -> int:
    """Converters of one array; spare columns join the last one."""
    # Without the spare columns: a unit column must not cost a converter of its own in every array.
    return max(1, -(-target.array.columns // target.adc.columns_per_adc))


def chip_arrays(target: Target) -> int:
    """Arrays of one chip."""
    tree = target.hierarchy
    return tree.arrays_per_macro * tree.macros_per_tile * tree.tiles_per_chip


def full_chip(target: Target) -> Counts:
    """One whole chip, its links included, with converters of the target's largest width."""
    arrays = chip_arrays(target)
    adcs = widths({target.adc.max_bits: arrays * adcs_per_array(target)})
    return Counts(adcs=adcs, linked_chips=1) + around(target, arrays)


def bits_decided(
    step: CrossbarStep, allocation: Allocation, target: Target, places: IntArray | None = None
) -> Histogram:
    """Bits that the conversions of one input vector decide, by width of their converter.

    A comparator bank decides all its bits at once; any other converter stops where the conversion
    is as wide as it needs to be.

    Args:
        step: the layer.
        allocation: the program's converters.
        target: the chip.
        places: what `adc_places` gives.
    """
    if places is None:
        places = adc_places(step, target)
    if not places.size:
        return widths({})
    width = allocation.adc_bits.reshape(-1)[places].astype(np.float64)
    steps = _bits_of_block(step, places.shape)
    compared = step.sense.levels if step.sense else 1
    conversions = conversions_made(step).astype(np.float64) * compared
    flash = width <= target.costs.adc.flash_bits
    decided = np.where(flash, width * conversions, steps)
    found = np.bincount(width.astype(np.int64).ravel(), decided.ravel(), minlength=WIDTHS)
    return _histogram(found)


def _bits_of_block(step: CrossbarStep, shape: tuple[int, ...]) -> Float64Array:
    """Sums of widths over segments and input slices; axes: group, row block, conversion."""
    bits = step.adc.bits
    repeats = step.input_slices if bits.shape[3] == 1 else 1
    sums = bits.sum(axis=3, dtype=np.int64) * repeats
    if sums.shape[1] == 1:
        sums = sums * segments_of_block(step)[None, :, None]
    else:
        sums = join_segments(step, np.add, sums)
    return np.broadcast_to(sums, shape).astype(np.float64)


def with_copies(allocation: Allocation, program: Program, copies: Mapping[str, int]) -> Allocation:
    """The same with every array as often as its layer's copies ask for."""
    times = np.ones(program.arrays, dtype=np.int64)
    for step in program.crossbar_steps:
        arrays = arrays_of_step(step)
        # Layers in one array are copied together, so the one with most copies decides.
        times[arrays] = np.maximum(times[arrays], copies.get(step.name, 1))
    weights = np.broadcast_to(times[:, None], allocation.adc_bits.shape).ravel()
    adcs = np.bincount(allocation.adc_bits.ravel(), weights, minlength=WIDTHS)
    total = Counts(adcs=_histogram(adcs)) + around(program.target, int(times.sum()))
    return replace(allocation, total=total)


def share_of(step: CrossbarStep, allocation: Allocation, copies: int = 1) -> Counts:
    """A layer's share of the hardware: of each array by the cells that it uses there."""
    total = allocation.total
    if not total.arrays:
        return Counts()
    # From its first array to its last: all arrays for each layer would grow with their product.
    first, last = int(step.tiling.array.min(initial=0)), int(step.tiling.array.max(initial=-1)) + 1
    used, adc_bits = cells_of_array(step, last)[first:], allocation.adc_bits[first:last]
    # By cells in use and not by columns: what nobody uses is charged to those who are there, so
    # that shares add up to the hardware.
    part = copies * used / np.maximum(allocation.cells[first:last], 1)
    spread = np.broadcast_to(part[:, None], adc_bits.shape)
    adcs = np.bincount(adc_bits.ravel(), spread.ravel(), minlength=WIDTHS)
    arrays = float(part.sum())
    rest = arrays / total.arrays
    return Counts(
        arrays=arrays,
        adcs=_histogram(adcs),
        macros=total.macros * rest,
        tiles=total.tiles * rest,
        chips=total.chips * rest,
        linked_chips=total.linked_chips * rest,
    )


def adc_places(step: CrossbarStep, target: Target) -> Int64Array:
    """The converter of each conversion, over all arrays; axes: group, row block, conversion.

    A conversion of several columns belongs to the converter of its first one.
    """
    tiling, per_array = step.tiling, adcs_per_array(target)
    block = np.searchsorted(tiling.conversion_bounds, np.arange(step.conversions), side="right") - 1
    adc = np.minimum(step.bitlines() // target.adc.columns_per_adc, per_array - 1)
    places: Int64Array = np.asarray(tiling.array, dtype=np.int64)[:, :, block] * per_array + adc
    return places


def _widest(step: CrossbarStep, shape: tuple[int, ...]) -> UInt8Array:
    """Widest conversion over the segments of a row block and over input slices."""
    if step.sense is not None:
        return np.ones(shape, dtype=np.uint8)
    bits = step.adc.bits.max(axis=3, initial=0)
    if bits.shape[1] > 1:
        bits = join_segments(step, np.maximum, bits)
    return np.broadcast_to(bits, shape)


def cells_of_array(step: CrossbarStep, arrays: int) -> Float64Array:
    """Cells that a layer uses in each array of the program."""
    rows, columns = np.diff(step.tiling.row_bounds), np.diff(step.tiling.column_bounds)
    block = np.outer(rows, columns).astype(np.float64)
    spread = np.broadcast_to(block, step.tiling.array.shape)
    return np.bincount(step.tiling.array.ravel(), spread.ravel(), arrays).astype(np.float64)


def _count(target: Target, arrays: int, adc_bits: UInt8Array) -> Counts:
    adcs = np.bincount(adc_bits.ravel(), minlength=WIDTHS)
    return Counts(adcs=_histogram(adcs)) + around(target, arrays)


def around(target: Target, arrays: int) -> Counts:
    """Arrays, and the macros, tiles and chips that they fill."""
    tree = target.hierarchy
    macros = -(-arrays // tree.arrays_per_macro)
    tiles = -(-macros // tree.macros_per_tile)
    chips = -(-tiles // tree.tiles_per_chip)
    linked = chips if chips > 1 else 0
    return Counts(arrays=arrays, macros=macros, tiles=tiles, chips=chips, linked_chips=linked)


def _histogram(counts: Int64Array | Float64Array) -> Histogram:
    return tuple(counts.tolist())
