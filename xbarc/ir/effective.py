"""What a layer's cells mean: effective weights through `A` and `R`, and the range of every sum."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xbarc.ir.facts import slice_drives
from xbarc.ir.program import CrossbarStep, Periphery
from xbarc.lazy import lazy_module
from xbarc.numerics import (
    BoolArray,
    ByteTables,
    Int64Array,
    IntArray,
    PackedCells,
    is_worth_loops,
    sum_columns,
)

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_module("scipy.sparse")

# Unpacked as int32 these are 64 MiB, whatever the layer's size.
_CHUNK_CELLS = 1 << 24
# Sums whose ranges are compared with converters at a time: 2 MiB in int64 stay near, where those of
# all segments of a layer are hundreds of MB.
_CHUNK_SUMS = 1 << 18


def conversion_matrix(periphery: Periphery, conversions: int, columns: int) -> sparse.csr_array:
    """Build `A` as a sparse matrix; axes: conversion, column."""
    # An identity is stored as no entries: most encodings have a conversion per column.
    if not periphery.a_sign.size:
        if conversions != columns:
            raise ValueError(f"A is the identity, but {columns} columns give {conversions} sums")
        return sparse.eye_array(columns, dtype=np.int64, format="csr")
    entries = (periphery.a_sign.astype(np.int64), (periphery.a_conversion, periphery.a_column))
    return sparse.csr_array(entries, shape=(conversions, columns))


def output_matrix(
    periphery: Periphery, group: int, row_block: int, outputs: int, conversions: int
) -> sparse.csr_array:
    """Build `R` of one group and row block as a sparse matrix; axes: output, conversion."""
    values = periphery.r_value
    # An axis of length 1 holds for all groups, or all row blocks.
    g = group if values.shape[0] > 1 else 0
    b = row_block if values.shape[1] > 1 else 0
    entries = (values[g, b], (periphery.r_output, periphery.r_conversion))
    return sparse.csr_array(entries, shape=(outputs, conversions))


def effective_weights(step: CrossbarStep, chosen: BoolArray | None = None) -> NDArray[np.int32]:
    """The integer matrix that the cells stand for; axes: group, input, output.

    Computed from the cells alone, so it is what a lossless program multiplies by: `a` is not in
    it, `beta` is.

    Args:
        step: the layer.
        chosen: conversions that count; axes: group, segment, conversion. None takes all.
    """
    weights = np.empty((step.groups, step.inputs, step.outputs), dtype=np.int32)
    weights[:] = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
    for group, rows, matrix, tables in _pieces(step, chosen):
        to = step.tiling.row_input[rows]
        if tables is not None:
            tables.join(step.cells, (group, rows), weights[group], to)
            continue
        cells = step.cells.unpack_as(np.int32, (group, rows))
        weights[group, to] += (matrix @ cells.T).T.astype(np.int32)
    return weights


def weight_sums(step: CrossbarStep) -> Int64Array:
    """Sums of the effective weights over inputs; axes: group, output.

    From column sums: no weight is ever made.
    """
    sums = sum_columns(step.cells, step.tiling.row_bounds)
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
    total: Int64Array = beta * np.int64(step.inputs)
    if step.periphery.r_lead[1] == 1:
        sums = sums.sum(axis=1, keepdims=True)
    for group in range(step.groups):
        for block in range(sums.shape[1]):
            r = output_matrix(step.periphery, group, block, step.outputs, step.conversions)
            total[group] += r @ (a @ sums[group, block])
    return total


def _pieces(
    step: CrossbarStep, chosen: BoolArray | None
) -> Iterator[tuple[int, slice, sparse.csr_array, ByteTables | None]]:
    """Cut rows into chunks of bounded memory, each with its `R A` and its tables, if it has any.

    Axes of `R A`: output, column.
    """
    chunk = max(1, _CHUNK_CELLS // max(1, step.cells.columns))
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    many_groups, many_blocks = (size > 1 for size in step.periphery.r_lead)
    known: dict[tuple[int, int], tuple[sparse.csr_array, ByteTables | None]] = {}
    for group in range(step.groups):
        for first, last, block, keep in _row_ranges(step, group, chosen):
            key = (group * many_groups, block * many_blocks)
            found = known.get(key) if keep is None else None
            if found is None:
                r = output_matrix(step.periphery, group, block, step.outputs, step.conversions)
                # Conversions that do not count get a row of zeros, so that no index moves.
                kept = a if keep is None else sparse.diags_array(keep, dtype=np.int64) @ a
                found = _with_tables(sparse.csr_array(r @ kept), step.cells)
            if keep is None:
                known = {key: found}  # rows and groups that share it follow each other
            for start in range(first, last, chunk):
                yield group, slice(start, min(last, start + chunk)), *found


def _with_tables(
    matrix: sparse.csr_array, cells: PackedCells
) -> tuple[sparse.csr_array, ByteTables | None]:
    if not is_worth_loops(cells.data):
        return matrix, None
    entries = sparse.coo_array(matrix)
    return matrix, ByteTables.of((entries.row, entries.col, entries.data), cells.bits)


def _row_ranges(
    step: CrossbarStep, group: int, chosen: BoolArray | None
) -> Iterator[tuple[int, int, int, BoolArray | None]]:
    """Rows over which `R A` is the same: first, end, row block, conversions that count."""
    tiling = step.tiling
    if chosen is not None and not chosen[group].all():
        blocks = tiling.segment_block.tolist()
        segments = pairwise(int(b) for b in tiling.segment_bounds)
        for number, (first, last) in enumerate(segments):
            yield first, last, blocks[number], chosen[group, number]
        return
    bounds = [int(b) for b in tiling.row_bounds]
    # One `R` for all row blocks: a single run of rows, so that few large products are made.
    if step.periphery.r_lead[1] == 1:
        yield 0, bounds[-1], 0, None
        return
    for block, (first, last) in enumerate(pairwise(bounds)):
        yield first, last, block, None


def input_tops(step: CrossbarStep) -> Int64Array:
    """Largest value of each input slice, from the width of the codes; axis: input slice.

    The last slice is narrower than the DAC where the widths do not divide.
    """
    shifts = step.dac_bits * np.arange(step.input_slices, dtype=np.int64)
    largest = np.int64((1 << step.input_bits) - 1)
    tops: Int64Array = np.minimum(largest >> shifts, (1 << step.dac_bits) - 1)
    return tops


def sum_ranges(step: CrossbarStep) -> tuple[Int64Array, Int64Array]:
    """Least and largest sum that each conversion can see, from the cells programmed.

    Returns:
        Two arrays; axes: group, segment, conversion. They hold for every input there is, in every
        input slice.
    """
    low, high = slice_ranges(step)
    return low.min(axis=3), high.max(axis=3)


def slice_ranges(
    step: CrossbarStep, segments: slice = slice(None)
) -> tuple[Int64Array, Int64Array]:
    """As `sum_ranges`, for each input slice, from the cells and what is known of the inputs.

    Args:
        step: the layer.
        segments: those that are looked at.

    Returns:
        Two arrays; axes: group, segment, conversion, input slice; the last one has length 1 where
        all slices are equal.
    """
    if step.facts is None or step.sense is not None:
        low, high = cell_ranges(step, segments)
        tops = input_tops(step)
        if (tops == 1).all():
            return low[..., None], high[..., None]
        tops = tops[:1] if (tops == tops[0]).all() else tops
        return low[..., None] * tops, high[..., None] * tops
    least, most = slice_drives(step.facts, step.dac_bits, step.input_slices)
    wires = np.stack([least, most])[:, :, step.tiling.row_input]
    # Slices of one interval often equal each other (all full, or all zero above some bit): each
    # kind costs a pass over the cells.
    kinds, kind = np.unique(wires, axis=3, return_inverse=True)
    ranges = [_driven_ranges(step, segments, *kinds[..., k]) for k in range(kinds.shape[3])]
    low, high = (np.stack([pair[end] for pair in ranges], axis=3) for end in (0, 1))
    if kinds.shape[3] == 1:
        return low, high
    kind = kind.reshape(-1)
    return low[..., kind], high[..., kind]


def _driven_ranges(
    step: CrossbarStep, segments: slice, least: Int64Array, most: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Ranges of sums whose wordlines carry from `least` to `most`; axes of both: group, row."""
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    bounds = _bounds_of(step, segments)
    shape = (step.groups, len(bounds) - 1, step.conversions)
    low, high = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for segment, (first, last) in enumerate(pairwise(int(b) for b in bounds)):
        for group in range(step.groups):
            # float64 products run in BLAS, and are exact: `accumulators_fit` bounds every sum, and
            # a column sum is far below 2**53.
            cells = step.cells.unpack_as(np.float64, (group, slice(first, last)))
            row = group if len(least) > 1 else 0
            down, up = (end[row, first:last].astype(np.float64) for end in (least, most))
            if step.periphery.a_sign.size:
                seen = (a @ cells.T).T
                plus, minus = np.maximum(seen, 0), np.minimum(seen, 0)
                # The least sum drives what pushes down as high as it goes, and what pushes up as
                # low.
                low[group, segment] = down @ plus + up @ minus
                high[group, segment] = up @ plus + down @ minus
            else:
                low[group, segment], high[group, segment] = down @ cells, up @ cells
    return low, high


def _bounds_of(step: CrossbarStep, segments: slice) -> IntArray:
    """First row of each of these segments, and the end of the last."""
    bounds = step.tiling.segment_bounds
    first, last, _ = segments.indices(len(bounds) - 1)
    return bounds[first : last + 1]


def cell_ranges(step: CrossbarStep, segments: slice = slice(None)) -> tuple[Int64Array, Int64Array]:
    """As `sum_ranges`, for one-bit inputs of which nothing is known."""
    bounds = _bounds_of(step, segments)
    if not step.periphery.a_sign.size:
        high = sum_columns(step.cells, bounds)
        return np.broadcast_to(np.int64(0), high.shape), high
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    plus, minus = a.maximum(0), (-a).maximum(0)
    shape = (step.groups, len(bounds) - 1, step.conversions)
    low, high = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for run, (first, last) in enumerate(pairwise(int(b) for b in bounds)):
        cells = step.cells.unpack((slice(None), slice(first, last)))
        low[:, run], high[:, run] = _signed_range(cells, plus, minus)
    return low, high


def _signed_range(
    cells: IntArray, plus: sparse.csr_array, minus: sparse.csr_array
) -> tuple[Int64Array, Int64Array]:
    """Exact range of `sum_r u_r (A g)_r`: rows that push up and rows that push down, apart."""
    low = np.zeros((cells.shape[0], plus.shape[0]), dtype=np.int64)
    high = np.zeros_like(low)
    signed = sparse.csr_array(plus - minus)
    for group in range(cells.shape[0]):
        # Rows are joined by `A` before signs part: a row of a pair pushes by its difference.
        contribution = signed @ cells[group].astype(np.int32).T
        high[group] = np.maximum(contribution, 0).sum(axis=1)
        low[group] = np.minimum(contribution, 0).sum(axis=1)
    return low, high


def lossless_conversions(step: CrossbarStep) -> BoolArray:
    """Find conversions of step 1 whose range covers every sum; axes: group, segment, conversion."""
    if step.sense is not None:
        # A comparison keeps no sum.
        segments = len(step.tiling.segment_bounds) - 1
        return np.zeros((step.groups, segments, step.conversions), dtype=np.bool_)
    segments = len(step.tiling.segment_bounds) - 1
    kept = np.empty((step.groups, segments, step.conversions), dtype=np.bool_)
    chunk = max(1, _CHUNK_SUMS // max(1, step.groups * step.conversions))
    for first in range(0, segments, chunk):
        part = slice(first, min(segments, first + chunk))
        low, high = slice_ranges(step, part)
        # An axis of length 1 holds for all segments.
        lo, width, bits = (
            array[:, part if array.shape[1] > 1 else slice(None)]
            for array in (step.adc.lo, step.adc.step, step.adc.bits)
        )
        top = lo + (np.int64(1) << bits.astype(np.int64)) - 1
        covered = (low >= lo) & (high <= top) & (width == 1)
        np.all(covered, axis=3, out=kept[:, part])
    return kept


def is_lossless(step: CrossbarStep) -> bool:
    """Whether every conversion is lossless, so that the layer is a plain integer product."""
    return bool(lossless_conversions(step).all())
