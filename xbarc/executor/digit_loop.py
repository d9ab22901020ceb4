# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Real column sums by table lookup: as `lookup.py`, with tables of 24 bits.

`digit_sums.py` holds the inner part, `analog_tables.py` is the typed face and the only caller.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from xbarc.executor import digit_sums
from xbarc.executor.byte_ops import HAS_SHUFFLE
from xbarc.executor.digit_sums import SETTINGS
from xbarc.executor.lanes import DIGITS, LANES, LOW_DIGIT_BITS, NIBBLES
from xbarc.numerics import compiled

__all__ = ["HAS_SHUFFLE", "SETTINGS", "convert_and_add", "make_tables"]

_two = cast(Any, digit_sums.convert_two)
_one = cast(Any, digit_sums.convert_one)
_two_steps = cast(Any, digit_sums.convert_two_steps)
_one_steps = cast(Any, digit_sums.convert_one_steps)

# Chunks that the tables of a conversion are used for while they are near: at 128 rows 2 KB of
# tables, and 8 KB of planes a chunk.
_BLOCK = 4

# Conversions until counts of 16 bits are widened: each adds at most 16 planes.
_FLUSH = 4095


@compiled()
def make_tables(cells, tables):
    """Digits of the sums of each subset of four cells.

    Args:
        cells: what a conversion sees of each row, in steps of the grid; axes: conversion, row.
        tables: out; axes: conversion, nibble, digit, entry.
    """
    rows = cells.shape[1]
    entries = np.zeros(16, np.int32)
    low = (1 << LOW_DIGIT_BITS) - 1
    for conversion in range(cells.shape[0]):
        for nibble in range(tables.shape[1]):
            for k in range(4):
                at = 4 * nibble + k
                level = cells[conversion, at] if at < rows else np.int32(0)
                for entry in range(1 << k):
                    entries[entry + (1 << k)] = entries[entry] + level
            table = tables[conversion, nibble]
            for entry in range(16):
                value = entries[entry]
                table[0, entry] = value & low
                table[1, entry] = (value >> LOW_DIGIT_BITS) & low
                table[2, entry] = (value >> (2 * LOW_DIGIT_BITS)) & 63
                table[3, entry] = (value >> 16) & 255


@compiled(inline="always")
def _convert(places, numbers, results, planes, has_steps):
    """One plane or two."""
    if has_steps:
        if planes == 2:
            _two_steps(places, numbers, results)
        else:
            _one_steps(places, numbers, results)
    elif planes == 2:
        _two(places, numbers, results)
    else:
        _one(places, numbers, results)


@compiled(inline="always")
def _join_planes(where, planes, nibbles, rule, results):
    """Codes of some planes of a conversion, joined from the highest one down.

    Args:
        where: addresses of its tables, of the planes of the chunk and of its settings.
        planes: the lowest and the end.
        nibbles: of a plane.
        rule: shift, and whether any step is not 1.
        results: addresses of joined codes and of misses.
    """
    table, index, settings = where
    stride, groups = np.intp(nibbles * LANES), np.intp(nibbles // NIBBLES)
    plane = planes[1]
    while plane > planes[0]:
        count = 1 if (plane - planes[0]) % 2 else 2
        plane -= count
        places = (table, np.intp(index + plane * stride), stride, groups)
        numbers = (np.intp(settings + plane * SETTINGS * 2), rule[0])
        _convert(places, numbers, results, count, rule[1])


@compiled(inline="always")
def _spread(acc, values, span, vector, joined, by):
    """Add joined codes and their offset to the accumulators of some entries of `R`.

    Args:
        acc: accumulators; axes: output, vector.
        values: of the entries.
        span: the first entry and the end.
        vector: the first one.
        joined: 16 bits, axis: vector; and what is added to each.
        by: of the planes' weight.
    """
    codes, offset = joined
    for entry in range(span[0], span[1]):
        row, shift = values[0, entry], values[2, entry] + by
        mask = (values[1, entry] - 1) >> 1  # 0 or -1: a product of 64 bits is slow
        for lane in range(LANES):
            value = (np.int64(codes[lane]) + offset) << shift
            acc[row, vector + lane] += (value ^ mask) - mask


@compiled(inline="always")
def _flush(missed, outside, chunks):
    """Widen counts of conversions outside the range."""
    for chunk in range(chunks[0], chunks[1]):
        for lane in range(LANES):
            missed[chunk, lane] += np.int32(outside[chunk - chunks[0], lane])
    outside[:] = 0


@compiled()
def convert_and_add(tables, packed, reading, entries, totals, span):
    """Everything from packed inputs to accumulators, for one group and one segment.

    Args:
        tables: as `make_tables` fills them.
        packed: as `lookup.pack_planes` fills it.
        reading: how sums are read.
        entries: of `R`.
        totals: in and out.
        span: first chunk and the end; other threads may work on other chunks at the same time.
    """
    settings, offsets, together = reading.settings, reading.offsets, reading.together
    values, starts, acc, missed = entries.values, entries.starts, totals.acc, totals.missed
    planes, nibbles = settings.shape[1], packed.shape[2]
    rule = (np.int32(reading.shift), reading.has_steps)
    joined, outside = np.zeros(LANES, np.uint16), np.zeros((_BLOCK, LANES), np.uint16)
    tables_at, planes_at, settings_at = tables.ctypes.data, packed.ctypes.data, settings.ctypes.data
    codes, seen = np.intp(joined.ctypes.data), outside.ctypes.data
    for first in range(span[0], span[1], _BLOCK):
        chunks = (first, min(first + _BLOCK, span[1]))
        for k in range(tables.shape[0]):
            for chunk in range(chunks[0], chunks[1]):
                where = (
                    np.intp(tables_at + k * nibbles * 16 * DIGITS),
                    np.intp(planes_at + chunk * packed.shape[1] * nibbles * LANES),
                    np.intp(settings_at + k * planes * SETTINGS * 2),
                )
                results = (codes, np.intp(seen + (chunk - first) * LANES * 2))
                for low in range(0, planes, together):
                    joined[:] = 0
                    some = (low, min(low + together, planes))
                    _join_planes(where, some, nibbles, rule, results)
                    offset = offsets[k] if low == 0 else 0
                    entry = (starts[k], starts[k + 1])
                    _spread(acc, values, entry, chunk * LANES, (joined, offset), low)
            if (k + 1) % _FLUSH == 0 or k + 1 == tables.shape[0]:
                _flush(missed, outside, chunks)
