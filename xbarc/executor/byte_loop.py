# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The loop over conversions whose sums stay bytes; `byte_sums.py` holds its inner part."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from xbarc.executor import byte_sums
from xbarc.executor.byte_ops import HAS_SHUFFLE
from xbarc.executor.byte_sums import PAIRS
from xbarc.executor.lanes import LANES, NIBBLES, PAIRED
from xbarc.numerics import compiled

__all__ = ["HAS_SHUFFLE", "convert_and_add", "pack_planes"]

_sum_and_convert = cast(Any, byte_sums.sum_and_convert)
_sum_and_convert_half = cast(Any, byte_sums.sum_and_convert_half)
_of_steps = cast(Any, byte_sums.sum_and_convert_steps)
_of_steps_half = cast(Any, byte_sums.sum_and_convert_steps_half)
_pack_pairs = cast(Any, byte_sums.pack_pairs)
_pack_pairs_half = cast(Any, byte_sums.pack_pairs_half)

_BLOCK = 4
"""Chunks that a table is used for while it is near: 4 x 4 KB of planes and 0.5 KB of table."""

_FLUSH = 60
"""Conversions until counts of up to 4 a byte are widened."""


@compiled()
def pack_planes(codes, rows, packed, span):
    """Pack input codes into nibbles of four wordlines, a pair of bit planes at a time.

    Args:
        codes: bytes of a code beside those bytes shifted down by one, least significant first; the
            last row is zero; axes: byte, input, lane of all chunks.
        rows: input of each wordline; the zero row for one that is always off.
        packed: out; axes: chunk of 16 vectors, byte, pair of planes, nibble, lane.
        span: first chunk and the end.
    """
    lanes, inputs, nibbles = codes.shape[2], codes.shape[1], packed.shape[3]
    stride = nibbles * LANES
    for chunk in range(span[0], span[1]):
        for byte in range(codes.shape[0]):
            base = codes.ctypes.data + byte * inputs * lanes + chunk * LANES
            out = packed.ctypes.data + (chunk * packed.shape[1] + byte) * packed.shape[2] * stride
            for nibble in range(nibbles):
                one = base + rows[4 * nibble] * lanes
                two = base + rows[4 * nibble + 1] * lanes
                three = base + rows[4 * nibble + 2] * lanes
                four = base + rows[4 * nibble + 3] * lanes
                if packed.shape[2] == PAIRS:
                    _pack_pairs(one, two, three, four, out + nibble * LANES, stride)
                else:
                    _pack_pairs_half(one, two, three, four, out + nibble * LANES, stride)


@compiled()
def convert_and_add(tables, cells, packed, adc, entries, totals, span):
    """Everything from packed inputs to accumulators, for one group and one segment.

    Args:
        tables: sums of each subset of four cells; axes: levels of four cells, entry.
        cells: levels of four cells, as the number of their table; axes: conversion, nibble.
        packed: as `pack_planes` fills it.
        adc: lo, step, largest code and what divides by twice the step; axes: which, conversion.
        entries: of `R`.
        totals: in and out; the last axis of `missed` is the vector.
        span: first chunk and the end; other threads may work on other chunks at the same time.
    """
    inside = np.zeros((_BLOCK, LANES), np.uint8)
    joined = np.zeros(PAIRED, np.uint16)
    nibbles, stride, size = packed.shape[3], packed.shape[3] * LANES, packed.shape[1]
    table, codes = np.intp(tables.ctypes.data), np.intp(joined.ctypes.data)
    seen = np.intp(inside.ctypes.data)
    groups = nibbles // NIBBLES
    values, starts = entries.values, entries.starts
    # Codes of two bytes count twice a conversion.
    flush = _FLUSH // size
    # Chunks inside, conversions around them: a table is used for several chunks before the next one
    # is read.
    for first in range(span[0], span[1], _BLOCK):
        end = min(first + _BLOCK, span[1])
        for k in range(cells.shape[0]):
            numbers = np.intp(cells.ctypes.data + k * nibbles * 2)
            lo, step, top, magic = adc[0, k], adc[1, k], adc[2, k], adc[3, k]
            for chunk in range(first, end):
                counts = np.intp(seen + (chunk - first) * LANES)
                for byte in range(size):
                    index = packed.ctypes.data + (chunk * size + byte) * packed.shape[2] * stride
                    places = (table, numbers, np.intp(index), stride, groups, codes, counts)
                    _convert(packed.shape[2], places, (lo, step, top, magic))
                    for entry in range(starts[k], starts[k + 1]):
                        _spread(
                            totals.acc[values[0, entry], chunk * PAIRED :],
                            joined,
                            values[1, entry],
                            values[2, entry] + 8 * byte,
                        )
            if (k + 1) % flush == 0 or k + 1 == cells.shape[0]:
                made = 2 * packed.shape[2] * size * (k % flush + 1)
                _count(inside, totals.missed, first, end, made)


@compiled(inline="always")
def _convert(pairs, places, numbers):
    """All planes of a byte of sixteen codes."""
    lo, step, top, _ = numbers
    if step == 1:
        ends = (lo, np.int32(min(lo + top, 255)))
        if pairs == PAIRS:
            _sum_and_convert(places, ends)
        else:
            _sum_and_convert_half(places, ends)
    elif pairs == PAIRS:
        _of_steps(places, numbers)
    else:
        _of_steps_half(places, numbers)


@compiled(inline="always")
def _spread(row, joined, sign, by):
    """One entry of `R`: add or subtract 16 joined codes, shifted, on a row of accumulators."""
    mask = (sign - 1) >> 1  # 0 or -1: a product of 64 bits is slow
    for lane in range(PAIRED):
        row[lane] += ((np.int64(joined[lane]) << by) ^ mask) - mask


@compiled()
def _count(inside, missed, first, end, made):
    """Conversions that were made less those inside the range, per vector; counts start again."""
    for chunk in range(first, end):
        counts = inside[chunk - first]
        for vector in range(PAIRED):
            seen = np.int32(counts[2 * vector]) + np.int32(counts[2 * vector + 1])
            missed[chunk, vector] += np.int32(made) - seen
        counts[:] = 0
