# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Column sums by table lookup, thirty-two input vectors at a time.

Four wordlines of one bit plane are a number from 0 to 15, and for each conversion the sum of the
four cells that it selects is an entry of a table of 16 bytes. A byte shuffle looks up that table
for 32 input vectors in one instruction, so a column of 128 one-bit inputs costs 32 shuffles and 32
additions for 32 conversions. The converter, the shift-and-add over input slices and the entries of
`R` follow in the same loop: no array of partial sums is ever in memory.

Everything here is compiled by numba, hence without types; `saturating.py` is the typed face, and
the only caller. The compiled code is cached between processes.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numba import njit, prange

from xbarc.executor import shuffle
from xbarc.executor.shuffle import DIGIT_BITS, HAS_SHUFFLE, LANES, NIBBLES

_add_sums = cast(Any, shuffle.add_sums)
_convert_unit = cast(Any, shuffle.convert_unit)
_sum_and_convert = cast(Any, shuffle.sum_and_convert)


@njit(cache=True, nogil=True)
def _by_shuffle(tables, packed, table, plane, shift, sums):
    """Add the sums of a table (conversion, digit) over a plane (chunk, bit), shifted."""
    nibbles = packed.shape[2]
    digits, planes = tables.shape[1], packed.shape[1]
    _add_sums(
        tables.ctypes.data + (table[0] * digits + table[1]) * nibbles * 16,
        packed.ctypes.data + (plane[0] * planes + plane[1]) * nibbles * LANES,
        nibbles // NIBBLES,
        np.int32(shift),
        sums.ctypes.data,
    )


@njit(cache=True, nogil=True)
def _at_once_by_shuffle(tables, packed, k, plane, lo, top, shift, _sums, joined, outside):
    """Sums of one conversion over one plane, converted with step 1, shifted and added."""
    nibbles = packed.shape[2]
    _sum_and_convert(
        tables.ctypes.data + k * tables.shape[1] * nibbles * 16,
        packed.ctypes.data + (plane[0] * packed.shape[1] + plane[1]) * nibbles * LANES,
        nibbles // NIBBLES,
        lo,
        top,
        np.int32(shift),
        joined.ctypes.data,
        outside.ctypes.data,
    )


@njit(cache=True, nogil=True)
def _at_once_by_loops(tables, packed, k, plane, lo, top, shift, sums, joined, outside):
    """The same on any CPU."""
    for lane in range(LANES):
        sums[lane] = 0
    _by_loops(tables, packed, (k, 0), plane, 0, sums)
    _convert_step(sums, lo, np.int32(1), top, shift, joined, outside)


@njit(cache=True, nogil=True)
def _by_loops(tables, packed, table, plane, shift, sums):
    """The same on any CPU."""
    for nibble in range(packed.shape[2]):
        row = tables[table[0], table[1], nibble]
        where = packed[plane[0], plane[1], nibble]
        for lane in range(LANES):
            sums[lane] += np.int32(row[where[lane]]) << shift


@njit(cache=True, nogil=True)
def _convert_step(sums, lo, step, top, shift, joined, outside):
    """Converter of any step and shift-and-add on 32 lanes.

    The quotient of two integers below 2**31 in float64 never rounds up to a whole number.
    """
    for lane in range(LANES):
        doubled = 2 * (np.int64(sums[lane]) - lo) + step
        code = np.int64(np.floor(doubled / (2.0 * step)))
        kept = min(max(code, np.int64(0)), np.int64(top))
        outside[lane] += np.int32(kept != code)
        joined[lane] += np.int32((kept * step + lo) << shift)


@njit(cache=True, nogil=True)
def _spread_row(row, base, joined, sign, by):
    """One entry of `R`: add or subtract 32 joined codes, shifted, on a row of accumulators."""
    if sign > 0:
        for lane in range(LANES):
            row[base + lane] += np.int64(joined[lane]) << by
    else:
        for lane in range(LANES):
            row[base + lane] -= np.int64(joined[lane]) << by


@njit(cache=True, nogil=True)
def _raise_floor(floor, counts, shift, sums):
    """Add what tables left out: the floor of the cells, for each wordline that is on."""
    for lane in range(LANES):
        sums[lane] += (floor * counts[lane]) << shift


def _loop(add_sums: Any, at_once: Any) -> Any:  # noqa: C901  # one nest of loops, compiled twice
    @njit(cache=True, nogil=True)
    def sum_slice(tables, floor, packed, counts, chunk, k, first, end, sums):
        for lane in range(LANES):
            sums[lane] = 0
        for bit in range(first, end):
            if counts[chunk, bit, LANES] == 0:
                continue
            if floor[k] != 0:
                _raise_floor(floor[k], counts[chunk, bit], bit - first, sums)
            for digit in range(tables.shape[1]):
                by = bit - first + DIGIT_BITS * digit
                add_sums(tables, packed, (k, digit), (chunk, bit), by, sums)

    @njit(cache=True, nogil=True)
    def join_slices(tables, floor, packed, counts, adc, dac_bits, chunk, k, sums, joined, outside):
        planes, last = packed.shape[1], adc.shape[2] - 1
        simple = dac_bits == 1 and tables.shape[1] == 1 and floor[k] == 0
        for lane in range(LANES):
            joined[lane] = 0
        for s in range(-(-planes // dac_bits)):
            at, by = min(s, last), s * dac_bits
            lo, step, top = adc[0, k, at], adc[1, k, at], adc[2, k, at]
            if simple and step == 1 and counts[chunk, s, LANES] != 0:
                at_once(tables, packed, k, (chunk, s), lo, top, by, sums, joined, outside)
                continue
            end = min(planes, by + dac_bits)
            sum_slice(tables, floor, packed, counts, chunk, k, by, end, sums)
            if step == 1:
                _convert_unit(
                    sums.ctypes.data,
                    lo,
                    top,
                    np.int32(by),
                    joined.ctypes.data,
                    outside.ctypes.data,
                )
            else:
                _convert_step(sums, lo, step, top, by, joined, outside)

    @njit(cache=True, nogil=True, parallel=True)
    def convert_and_add(tables, floor, packed, counts, adc, dac_bits, entries, starts, acc, missed):
        for chunk in prange(packed.shape[0]):
            sums = np.empty(LANES, np.int32)
            joined = np.empty(LANES, np.int32)
            outside = np.zeros(LANES, np.int32)
            for k in range(tables.shape[0]):
                join_slices(
                    tables, floor, packed, counts, adc, dac_bits, chunk, k, sums, joined, outside
                )
                for entry in range(starts[k], starts[k + 1]):
                    row, sign, by = entries[0, entry], entries[1, entry], entries[2, entry]
                    _spread_row(acc[row], chunk * LANES, joined, sign, by)
            for lane in range(LANES):
                missed[chunk, lane] += outside[lane]

    return convert_and_add


_LOOPS = (_by_loops, _at_once_by_loops)
convert_and_add = _loop(*((_by_shuffle, _at_once_by_shuffle) if HAS_SHUFFLE else _LOOPS))
"""Everything from packed inputs to accumulators, for one group and one segment.

Args:
    tables: as `make_tables` fills them.
    floor: what was taken off every cell of a conversion to make it not negative; axis: conversion.
    packed, counts: as `pack_planes` fills them.
    adc: lo, step, largest code; axes: which, conversion, input slice or 1.
    dac_bits: planes of an input slice.
    entries: output, sign, exponent of each entry of `R`, sorted by conversion.
    starts: first entry of each conversion, and the end.
    acc: in and out; axes: output, vector (padded to whole chunks).
    missed: in and out: conversions outside the range; axes: chunk, lane.
"""
convert_and_add_anywhere = _loop(*_LOOPS)
"""The same without the byte shuffle, which tests hold equal on CPUs that have it."""


def spread_table() -> np.ndarray[Any, np.dtype[np.uint64]]:
    """For each byte, its bits as the lowest bits of eight bytes."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1
    return bits.astype(np.uint8).view(np.uint64).reshape(-1)


SPREAD = spread_table()


@njit(cache=True, nogil=True, parallel=True)
def pack_planes(codes, rows, spread, packed, counts):
    """Pack input codes into nibbles of four wordlines, a bit plane at a time.

    Args:
        codes: axes: vector, input.
        rows: input of each wordline; -1 for one that is always at zero.
        spread: `SPREAD`.
        packed: out; axes: chunk of 32 vectors, plane, nibble, lane.
        counts: out, zero before: wordlines that are on for each lane, and in place 32 whether any
            is; axes: chunk, plane, lane.
    """
    planes = packed.shape[1]
    for chunk in prange(packed.shape[0]):
        for nibble in range(packed.shape[2]):
            for lane in range(LANES):
                vector = chunk * LANES + lane
                for first in range(0, planes, 8):
                    word = np.uint64(0)
                    if vector < codes.shape[0]:
                        word = _four_rows(codes[vector], rows, nibble, first, spread)
                    last = min(planes, first + 8)
                    _store_planes(word, packed, counts, (chunk, nibble, lane), (first, last))


@njit(cache=True, nogil=True)
def _four_rows(code, rows, nibble, first, spread):
    """Eight planes of four wordlines: bit k of byte p is plane `first + p` of wordline k."""
    word = np.uint64(0)
    for k in range(4):
        row = rows[4 * nibble + k]
        if row >= 0:
            byte = (np.int64(code[row]) >> first) & 255
            word |= spread[byte] << np.uint64(k)
    return word


@njit(cache=True, nogil=True)
def _store_planes(word, packed, counts, place, planes):
    chunk, nibble, lane = place
    first, last = planes
    for plane in range(first, last):
        value = (word >> np.uint64(8 * (plane - first))) & np.uint64(15)
        packed[chunk, plane, nibble, lane] = value
        if value:
            on = _ones(np.int32(value))
            counts[chunk, plane, lane] += on
            counts[chunk, plane, LANES] += on


@njit(cache=True, nogil=True)
def _ones(value):
    """Bits that are set among the lowest four."""
    return (value & 1) + ((value >> 1) & 1) + ((value >> 2) & 1) + ((value >> 3) & 1)


@njit(cache=True, nogil=True, parallel=True)
def make_tables(cells, tables):
    """Sums of each subset of four cells, digit by digit.

    Args:
        cells: what a conversion sees of each row, not negative; axes: conversion, row.
        tables: out; axes: conversion, digit, nibble, entry.
    """
    rows = cells.shape[1]
    mask = (1 << DIGIT_BITS) - 1
    for conversion in prange(cells.shape[0]):
        for digit in range(tables.shape[1]):
            for nibble in range(tables.shape[2]):
                row = tables[conversion, digit, nibble]
                row[0] = 0
                for k in range(4):
                    at = 4 * nibble + k
                    level = np.int64(0)
                    if at < rows:
                        level = np.int64(cells[conversion, at]) >> (DIGIT_BITS * digit) & mask
                    for entry in range(1 << k):
                        row[entry + (1 << k)] = row[entry] + level
