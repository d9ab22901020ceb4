"""Counts of what one step does for one input vector."""

from __future__ import annotations

from math import prod

import numpy as np

from xbarc.cost.counts import WIDTHS, Counts, Histogram, widths
from xbarc.ir import AdcSettings, CrossbarStep
from xbarc.numerics import AnyArray, BoolArray, Int64Array, bits_for
from xbarc.target import Target

# `bincount` makes int64 of what it counts: 32 MiB a chunk.
_CHUNK = 1 << 22


def join_segments(step: CrossbarStep, operation: np.ufunc, values: AnyArray) -> AnyArray:
    """Reduce over the segments of each row block; axis 1: segment -> row block."""
    segments = segments_of_block(step)
    # A segment a block is the usual case, and copying every value through `reduceat` is slow.
    if (segments == 1).all():
        return values
    # Segments of a row block lie side by side: their first index is the running sum less their own
    # count.
    joined: AnyArray = operation.reduceat(values, np.cumsum(segments) - segments, axis=1)
    return joined


def vector_counts(step: CrossbarStep, target: Target) -> Counts:
    """What one input vector of all groups makes the hardware do."""
    slices = step.input_slices
    arrays = arrays_of_block_row(step)
    rows = np.diff(step.tiling.row_bounds)
    drives = int((arrays * rows).sum()) * slices
    reads = int(reads_of_arrays(step, target).sum())
    done = Counts(
        array_reads=reads * slices,
        array_pulses=reads * sum((1 << width) - 1 for width in slice_widths(step)),
        wordline_drives=drives,
        samples=_samples(step),
        conversions=conversion_widths(step),
        shift_adds=_shift_adds(step),
        column_scalings=_column_scalings(step),
        crossbar_macs=step.groups * step.inputs * step.outputs,
    )
    return done + _traffic(step, target, drives)


def slice_widths(step: CrossbarStep) -> tuple[int, ...]:
    """Bits of each input slice; the last one may be narrower."""
    first = range(0, step.input_bits, step.dac_bits)
    return tuple(min(step.dac_bits, step.input_bits - at) for at in first)


def segments_of_block(step: CrossbarStep) -> Int64Array:
    """How many segments each row block has; axis: row block."""
    blocks = len(step.tiling.row_bounds) - 1
    return np.bincount(step.tiling.segment_block, minlength=blocks).astype(np.int64)


def first_of_array(step: CrossbarStep) -> tuple[Int64Array, BoolArray]:
    """Arrays of each group and row block, sorted, and where each array stands first.

    Column blocks of one row block in one array share its wordlines, so they are one read.
    """
    arrays = np.sort(np.asarray(step.tiling.array, dtype=np.int64), axis=2)
    first = np.ones(arrays.shape, dtype=np.bool_)
    first[:, :, 1:] = arrays[:, :, 1:] != arrays[:, :, :-1]
    return arrays, first


def reads_of_arrays(step: CrossbarStep, target: Target) -> Int64Array:
    """Reads that each array needs for one input slice, one after another; axis: array.

    Groups on the diagonal of an array have wordlines of their own, so as many of them as the
    target's active rows allow are read at once. Blocks of several segments take turns.
    """
    arrays, first = first_of_array(step)
    if not arrays.size:
        return np.zeros(0, dtype=np.int64)
    shape = arrays.shape
    segments = np.broadcast_to(segments_of_block(step)[None, :, None], shape)[first]
    rows = np.broadcast_to(np.diff(step.tiling.row_bounds)[None, :, None], shape)[first]
    together = np.maximum(1, target.array.active_rows // rows)
    # shares of 1/together may add to a little over a whole number: 1e-9 keeps `ceil` from one more
    share = np.where(segments == 1, 1.0 / together, segments)
    reads: Int64Array = np.ceil(np.bincount(arrays[first], share) - 1e-9).astype(np.int64)
    return reads


def arrays_of_block_row(step: CrossbarStep) -> Int64Array:
    """Different arrays that a row block spreads over; axes: group, row block."""
    count: Int64Array = first_of_array(step)[1].sum(axis=2, dtype=np.int64)
    return count


def conversion_widths(step: CrossbarStep) -> Histogram:
    """Conversions of one input vector by width; what reads with 0 bits makes none."""
    return (0, *reading_widths(step)[1:])


def reading_widths(step: CrossbarStep) -> Histogram:
    """Readings of one input vector by width, those of 0 bits included: rules compare over them.

    Broadcast axes are never written out. A sense amplifier makes one comparison a level, each of
    1 bit.
    """
    segments = len(step.tiling.segment_bounds) - 1
    if step.sense is not None:
        compared = step.groups * segments * step.conversions * step.sense.levels
        return widths({1: compared})
    full = (step.groups, segments, step.conversions, step.input_slices)
    repeats = 1
    for have, want in zip(step.adc.bits.shape, full, strict=True):
        repeats *= 1 if have == want else want
    counts = stored_widths(step.adc)
    return tuple(int(count) * repeats for count in counts)


def stored_widths(adc: AdcSettings) -> Int64Array:
    """How often each width stands in the settings."""
    flat = adc.bits.reshape(-1)
    counts = np.zeros(WIDTHS, dtype=np.int64)
    for start in range(0, flat.size, _CHUNK):
        counts += np.bincount(flat[start : start + _CHUNK], minlength=WIDTHS)
    return counts


def is_converted(step: CrossbarStep) -> BoolArray:
    """Whether a conversion is made; axes as `AdcSettings.bits`.

    With 0 bits none is: what would be read is a constant of the program, which joins `a`.
    """
    if step.sense is not None:
        return np.ones((1, 1, 1, 1), dtype=np.bool_)
    return step.adc.bits > 0


def conversions_made(step: CrossbarStep) -> Int64Array:
    """Cycles of one input vector in which each conversion is made, over the segments of its block.

    Axes: group or 1, row block, conversion.
    """
    made = is_converted(step)
    cycles = made.sum(axis=3, dtype=np.int64) * (step.input_slices if made.shape[3] == 1 else 1)
    if cycles.shape[1] == 1:
        cycles = cycles * segments_of_block(step)[None, :, None]
    else:
        cycles = join_segments(step, np.add, cycles)
    return np.broadcast_to(cycles, (*cycles.shape[:2], step.conversions))


def _samples(step: CrossbarStep) -> int:
    """Columns that are sampled in each cycle: those that some conversion sees."""
    full = (step.groups, len(step.tiling.segment_bounds) - 1, step.cells.columns, step.input_slices)
    made = is_converted(step)
    if made.all():
        return prod(full)
    if step.periphery.a_sign.size:
        made = _columns_seen(step, made)
    repeats = (want // have for have, want in zip(made.shape, full, strict=True))
    return int(np.count_nonzero(made) * prod(repeats))


def _columns_seen(step: CrossbarStep, made: BoolArray) -> BoolArray:
    """Columns that some conversion sees which is made; axis 2 of the argument: conversion."""
    sees, column = step.periphery.a_conversion, step.periphery.a_column
    order = np.argsort(column, kind="stable")
    starts = np.flatnonzero(np.diff(column[order], prepend=-1))
    wide = np.broadcast_to(made, (*made.shape[:2], step.conversions, made.shape[3]))
    seen = np.zeros((*made.shape[:2], step.cells.columns, made.shape[3]), dtype=np.bool_)
    for group, segment in np.ndindex(made.shape[:2]):
        joined = np.logical_or.reduceat(wide[group, segment][sees[order]], starts, axis=0)
        seen[group, segment, column[order][starts]] = joined
    return seen


def _shift_adds(step: CrossbarStep) -> int:
    """Codes that are shifted and added, and the digital sum of inputs that `beta` asks for."""
    made, used = conversions_made(step), step.periphery.r_code != 0
    total = 0
    for block in range(made.shape[1]):
        cycles = made[:, block, step.periphery.r_conversion] * used[:, block % used.shape[1]]
        total += int(cycles.sum()) * (step.groups // cycles.shape[0])
    beta = step.periphery.input_sum.reshape(step.groups, -1)
    summed = int(np.any(beta, axis=1).sum()) * step.inputs
    return total + summed + int(np.count_nonzero(beta))


def _column_scalings(step: CrossbarStep) -> int:
    """Codes that are multiplied by the factor of their column: every conversion that is made."""
    if step.periphery.column_scale is None:
        return 0
    return int(sum(reading_widths(step)[1:]))


def accumulator_bytes(step: CrossbarStep) -> int:
    """Bytes that hold any sum of the layer."""
    scale = step.periphery.column_scale
    factor = 0 if scale is None else bits_for(int(scale.max(initial=0)))
    bits = step.input_bits + step.weight_bits + factor + bits_for(step.inputs)
    return -(-bits // 8)


def _traffic(step: CrossbarStep, target: Target, drives: int) -> Counts:
    """Bytes through registers, the tile's buffer and routers.

    Inputs are read from the buffer once a vector (no reuse between windows), wait in registers and
    leave them slice by slice. Each row block writes its partial sums into registers, and over one
    router to where they are added; the sum goes to the buffer.
    """
    sums = step.groups * step.outputs * accumulator_bytes(step)
    row_blocks = len(step.tiling.row_bounds) - 1
    meshed = target.hierarchy.network == "mesh"
    return Counts(
        register_bytes=-(-drives * step.dac_bits // 8) + sums * row_blocks,
        buffer_bytes=-(-step.groups * step.inputs * step.input_bits // 8) + sums,
        router_bytes=sums * row_blocks if meshed else 0,
    )
