# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Column sums by table lookup, thirty-two input vectors at a time.

Four wordlines of one bit plane are a number from 0 to 15, and for each conversion the sum of the
four cells that it selects is an entry of a table of 16 bytes. A byte shuffle looks up that table
for 32 input vectors in one instruction, so a column of 128 one-bit inputs costs 32 shuffles and 32
additions for 32 conversions. The converter, the shift-and-add over input slices and the entries of
`R` follow in the same loop: no array of partial sums is ever in memory.

Everything here is compiled by numba, hence without types; `saturating.py` is the typed face, and
the only caller. The compiled code is cached between processes, and runs without the interpreter's
lock, so that threads share the chunks.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from xbarc.executor import shuffle
from xbarc.executor.byte_ops import HAS_SHUFFLE
from xbarc.executor.lanes import DIGIT_BITS, LANES, NIBBLES
from xbarc.executor.loop_arguments import Setting
from xbarc.executor.shuffle import ANY_REACH, NARROW_REACH
from xbarc.numerics import compiled

SUMS, JOINED, OUTSIDE = 0, 1, 2
"""What a chunk of vectors carries through one conversion: rows of one array of 32-bit lanes."""

LANE = np.argsort(shuffle.lane_order())
"""The lane of each vector of a chunk; sums and codes go by vector, packed planes by lane."""

NARROW_NIBBLES = (32767 - NARROW_REACH) // (4 * ((1 << DIGIT_BITS) - 1))
"""Wordlines in fours whose largest sum, less any `lo`, still fits 16 bits with a sign."""

_add_sums = cast(Any, shuffle.add_sums)
_convert_unit = cast(Any, shuffle.convert_unit)
_sum_and_convert = cast(Any, shuffle.sum_and_convert)
_sum_and_convert_four = cast(Any, shuffle.sum_and_convert_four)
_sum_and_convert_any = cast(Any, shuffle.sum_and_convert_any)
_sum_and_convert_four_any = cast(Any, shuffle.sum_and_convert_four_any)
_sum_and_convert_four_narrow = cast(Any, shuffle.sum_and_convert_four_narrow)
_pack_nibble = cast(Any, shuffle.pack_nibble)


@compiled()
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


@compiled(inline="always")
def _places(tables, packed, k, plane):
    """Where the lookups of a conversion over a plane begin: table, planes, bytes apart, groups."""
    nibbles = packed.shape[2]
    table = np.intp(tables.ctypes.data + k * tables.shape[1] * nibbles * 16)
    index = packed.ctypes.data + (plane[0] * packed.shape[1] + plane[1]) * nibbles * LANES
    return table, np.intp(index), np.intp(nibbles * LANES), np.intp(nibbles // NIBBLES)


@compiled(inline="always")
def _results(lanes):
    """Addresses of what a conversion adds to."""
    row = LANES * 4
    return np.intp(lanes.ctypes.data + JOINED * row), np.intp(lanes.ctypes.data + OUTSIDE * row)


@compiled()
def _at_once_by_shuffle(tables, packed, k, plane, setting, shift, lanes):
    """Sums of one conversion over one plane, converted with step 1, shifted and added."""
    numbers = (setting.lo, setting.top, np.int32(shift))
    _sum_and_convert(_places(tables, packed, k, plane), numbers, _results(lanes))


@compiled()
def _four_by_shuffle(tables, packed, k, plane, setting, shift, lanes):
    """The same for four planes, one after another in weight."""
    places, nibbles = _places(tables, packed, k, plane), packed.shape[2]
    numbers = (setting.lo, setting.top, np.int32(shift))
    if abs(setting.lo) + setting.top <= NARROW_REACH and nibbles <= NARROW_NIBBLES:
        _sum_and_convert_four_narrow(places, numbers, _results(lanes))
    else:
        _sum_and_convert_four(places, numbers, _results(lanes))


@compiled()
def _any_by_shuffle(tables, packed, k, plane, settings, place, shift, lanes):
    """Any steps: one plane, or four with a setting each; `place` is slice, next slice, planes."""
    places = _places(tables, packed, k, plane)
    row = settings.shape[1] * settings.shape[2] * 4
    lo = settings.ctypes.data + (k * settings.shape[2] + place[0]) * 4
    apart = np.intp((place[1] - place[0]) * 4)
    addresses = (np.intp(lo), np.intp(lo + row), np.intp(lo + 2 * row), apart, np.int32(shift))
    if place[2] == 4:
        _sum_and_convert_four_any(places, addresses, _results(lanes))
    else:
        _sum_and_convert_any(places, addresses, _results(lanes))


@compiled()
def _any_by_loops(tables, packed, k, plane, settings, place, shift, lanes):
    """The same on any CPU."""
    for q in range(place[2]):
        at = place[0] + q * (place[1] - place[0])
        setting = Setting(settings[0, k, at], settings[1, k, at], settings[2, k, at])
        for lane in range(LANES):
            lanes[SUMS, lane] = 0
        _by_loops(tables, packed, (k, 0), (plane[0], plane[1] + q), 0, lanes[SUMS])
        _convert_step(setting, shift + q, lanes)


@compiled()
def _has_one_setting(settings, k):
    """Whether a conversion has step 1 and one setting for all input slices."""
    return settings.shape[2] == 1 and settings[1, k, 0] == 1


@compiled()
def _has_small_settings(settings, k):
    """Whether quotients of a conversion's converter are exact in float32."""
    for at in range(settings.shape[2]):
        if abs(settings[0, k, at]) >= ANY_REACH or settings[1, k, at] >= ANY_REACH:
            return False
    return True


@compiled()
def _at_once_by_loops(tables, packed, k, plane, setting, shift, lanes):
    """The same on any CPU."""
    for lane in range(LANES):
        lanes[SUMS, lane] = 0
    _by_loops(tables, packed, (k, 0), plane, 0, lanes[SUMS])
    _convert_step(setting, shift, lanes)


@compiled()
def _four_by_loops(tables, packed, k, plane, setting, shift, lanes):
    """The same on any CPU."""
    for q in range(4):
        at = (plane[0], plane[1] + q)
        _at_once_by_loops(tables, packed, k, at, setting, shift + q, lanes)


@compiled()
def _by_loops(tables, packed, table, plane, shift, sums):
    """The same on any CPU."""
    for nibble in range(packed.shape[2]):
        row = tables[table[0], table[1], nibble]
        where = packed[plane[0], plane[1], nibble]
        for vector in range(LANES):
            sums[vector] += np.int32(row[where[LANE[vector]]]) << shift


@compiled()
def _convert_step(setting, shift, lanes):
    """Converter of any step and shift-and-add on 32 lanes.

    The quotient of two integers below 2**31 in float64 never rounds up to a whole number.
    """
    lo, step, top = setting
    for lane in range(LANES):
        doubled = 2 * (np.int64(lanes[SUMS, lane]) - lo) + step
        code = np.int64(np.floor(doubled / (2.0 * step)))
        kept = min(max(code, np.int64(0)), np.int64(top))
        lanes[OUTSIDE, lane] += np.int32(kept != code)
        lanes[JOINED, lane] += np.int32((kept * step + lo) << shift)


@compiled()
def _spread_row(row, base, joined, sign, by):
    """One entry of `R`: add or subtract 32 joined codes, shifted, on a row of accumulators."""
    if sign > 0:
        for lane in range(LANES):
            row[base + lane] += np.int64(joined[lane]) << by
    else:
        for lane in range(LANES):
            row[base + lane] -= np.int64(joined[lane]) << by


@compiled()
def _raise_floor(floor, counts, shift, sums):
    """Add what tables left out: the floor of the cells, for each wordline that is on."""
    for vector in range(LANES):
        sums[vector] += (floor * counts[LANE[vector]]) << shift


# Closures over compiled functions would never be found in the cache again, since each process
# pickles them to other bytes. So both ways stand at module level. `anywhere` is None or True: numba
# drops the branch of an argument that is None, so the loop is as fast as one written twice.
_by_shuffle_here = _by_shuffle if HAS_SHUFFLE else _by_loops
_at_once_here = _at_once_by_shuffle if HAS_SHUFFLE else _at_once_by_loops
_four_here = _four_by_shuffle if HAS_SHUFFLE else _four_by_loops
_any_here = _any_by_shuffle if HAS_SHUFFLE else _any_by_loops


@compiled()
def _sum_slice(anywhere, cells, inputs, chunk, k, bits, sums):
    """Column sums of one conversion over the planes of one input slice: first and end."""
    floor, counts = cells.floor[k], inputs.counts[chunk]
    for lane in range(LANES):
        sums[lane] = 0
    for bit in range(bits[0], bits[1]):
        # Upper planes of small codes are empty for whole chunks.
        if counts[bit, LANES] == 0:
            continue
        if floor != 0:
            _raise_floor(floor, counts[bit], bit - bits[0], sums)
        for digit in range(cells.sums.shape[1]):
            by = bit - bits[0] + DIGIT_BITS * digit
            if anywhere is None:
                _by_shuffle_here(cells.sums, inputs.packed, (k, digit), (chunk, bit), by, sums)
            else:
                _by_loops(cells.sums, inputs.packed, (k, digit), (chunk, bit), by, sums)


@compiled(inline="always")
def _join_slices(  # noqa: C901, PLR0912  # each branch is inlined into the hot loop
    anywhere, cells, inputs, converters, chunk, k, lanes
):
    """Codes of one conversion over all input slices, shifted and added up."""
    tables, packed, settings = cells.sums, inputs.packed, converters.settings
    planes, dac_bits = converters.input_bits, converters.dac_bits
    last = settings.shape[2] - 1
    simple = dac_bits == 1 and tables.shape[1] == 1 and cells.floor[k] == 0
    same, small = _has_one_setting(settings, k), _has_small_settings(settings, k)
    for lane in range(LANES):
        lanes[JOINED, lane] = 0
    slices = -(-planes // dac_bits)
    s = 0
    while s < slices:
        at, by = min(s, last), s * dac_bits
        setting = Setting(settings[0, k, at], settings[1, k, at], settings[2, k, at])
        if simple and s + 4 <= slices and (same or small):
            plane = (chunk, s)
            if same:
                if anywhere is None:
                    _four_here(tables, packed, k, plane, setting, by, lanes)
                else:
                    _four_by_loops(tables, packed, k, plane, setting, by, lanes)
            else:
                place = (at, min(s + 1, last), 4)
                if anywhere is None:
                    _any_here(tables, packed, k, plane, settings, place, by, lanes)
                else:
                    _any_by_loops(tables, packed, k, plane, settings, place, by, lanes)
            s += 4
            continue
        s += 1
        plane = (chunk, s - 1)
        if simple and small and setting.step != 1:
            place = (at, at, 1)
            if anywhere is None:
                _any_here(tables, packed, k, plane, settings, place, by, lanes)
            else:
                _any_by_loops(tables, packed, k, plane, settings, place, by, lanes)
            continue
        if simple and setting.step == 1:
            if anywhere is None:
                _at_once_here(tables, packed, k, plane, setting, by, lanes)
            else:
                _at_once_by_loops(tables, packed, k, plane, setting, by, lanes)
            continue
        end = min(planes, by + dac_bits)
        _sum_slice(anywhere, cells, inputs, chunk, k, (by, end), lanes[SUMS])
        if setting.step == 1:
            joined, outside = _results(lanes)
            _convert_unit(lanes.ctypes.data, setting.lo, setting.top, np.int32(by), joined, outside)
        else:
            _convert_step(setting, by, lanes)


@compiled()
def convert_and_add(anywhere, cells, inputs, converters, entries, totals, span):
    """Everything from packed inputs to accumulators, for one group and one segment.

    Args:
        anywhere: True takes the loops that need no byte shuffle, None the quickest ones.
        cells: tables as `make_tables` fills them, and the floor.
        inputs: planes as `pack_planes` fills them.
        converters: settings, planes of an input and of an input slice.
        entries: of `R`.
        totals: in and out.
        span: first chunk and the end; other threads may work on other chunks at the same time.
    """
    values, starts = entries.values, entries.starts
    for chunk in range(span[0], span[1]):
        lanes = np.zeros((3, LANES), np.int32)
        for k in range(cells.sums.shape[0]):
            _join_slices(anywhere, cells, inputs, converters, chunk, k, lanes)
            for entry in range(starts[k], starts[k + 1]):
                row = totals.acc[values[0, entry]]
                _spread_row(row, chunk * LANES, lanes[JOINED], values[1, entry], values[2, entry])
        for lane in range(LANES):
            totals.missed[chunk, lane] += lanes[OUTSIDE, lane]


@compiled()
def pack_planes(codes, rows, packed, counts, span):
    """Pack input codes into nibbles of four wordlines, a bit plane at a time.

    Args:
        codes: bytes of a code, least significant first; the last row is zero; axes: byte, input,
            vector (padded to whole chunks).
        rows: input of each wordline; the zero row for one that is always off.
        packed: out; axes: chunk of 32 vectors, plane (eight a byte), nibble, lane.
        counts: out, zero before: in place 32 whether any wordline is on; axes: chunk, plane, lane.
        span: first chunk and the end.
    """
    vectors, inputs = codes.shape[2], codes.shape[1]
    nibbles = packed.shape[2]
    stride = nibbles * LANES
    for chunk in range(span[0], span[1]):
        for byte in range(codes.shape[0]):
            base = codes.ctypes.data + byte * inputs * vectors + chunk * LANES
            out = packed.ctypes.data + (chunk * packed.shape[1] + 8 * byte) * stride
            for nibble in range(nibbles):
                _pack_nibble(
                    base + rows[4 * nibble] * vectors,
                    base + rows[4 * nibble + 1] * vectors,
                    base + rows[4 * nibble + 2] * vectors,
                    base + rows[4 * nibble + 3] * vectors,
                    out + nibble * LANES,
                    stride,
                )
        for plane in range(packed.shape[1]):
            counts[chunk, plane, LANES] = np.int32(_has_any(packed[chunk, plane]))


@compiled()
def _has_any(plane):
    """Whether any byte of a plane is set."""
    found = np.uint8(0)
    for nibble in range(plane.shape[0]):
        for lane in range(LANES):
            found |= plane[nibble, lane]
    return found != 0


@compiled()
def count_planes(packed, counts):
    """Wordlines that are on, for each lane; axes as for `pack_planes`."""
    for chunk in range(packed.shape[0]):
        for plane in range(packed.shape[1]):
            for nibble in range(packed.shape[2]):
                for lane in range(LANES):
                    value = np.int32(packed[chunk, plane, nibble, lane])
                    on = (value & 1) + ((value >> 1) & 1) + ((value >> 2) & 1) + (value >> 3)
                    counts[chunk, plane, lane] += on


@compiled()
def make_tables(cells, tables):
    """Sums of each subset of four cells, digit by digit.

    Args:
        cells: what a conversion sees of each row, not negative; axes: conversion, row.
        tables: out; axes: conversion, digit, nibble, entry.
    """
    rows = cells.shape[1]
    mask = (1 << DIGIT_BITS) - 1
    for conversion in range(cells.shape[0]):
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
                        # Each subset from the one without its highest cell: fifteen additions for
                        # sixteen sums.
                        row[entry + (1 << k)] = row[entry] + level
