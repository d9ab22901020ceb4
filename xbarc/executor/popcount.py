"""Compiled loops of layers read by sense amplifiers."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
from numba.core import types
from numba.extending import intrinsic

from xbarc.numerics.types import IntArray, UInt8Array


@intrinsic
def _popcount(_context: Any, _word: Any) -> tuple[Any, Any]:
    """Bits set in a word: one instruction."""

    def generate(_: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


_bits_of: Any = _popcount  # numba's own types describe the builder, not the function built


def pack_rows(codes: UInt8Array, inputs: IntArray, mask: np.uint8) -> IntArray:
    """Words of inputs that one state drives; axes: input, vector -> vector, word."""
    return set_bits(codes, inputs, np.full(len(inputs), mask, dtype=np.uint8))


def set_bits(codes: UInt8Array, inputs: IntArray, masks: UInt8Array) -> IntArray:
    """Words of driven rows; axes: input, vector -> vector, word."""
    words = np.zeros((-(-len(inputs) // 64), codes.shape[1]), dtype=np.uint64)
    _set_bits(codes, inputs, masks, words)
    packed: IntArray = np.ascontiguousarray(words.T)
    return packed


@nb.njit(nogil=True, cache=True)
def _set_bits(codes: UInt8Array, inputs: IntArray, masks: UInt8Array, words: IntArray) -> None:
    for row in range(inputs.size):
        line = codes[inputs[row]]
        mask = masks[row]
        word = words[row >> 6]
        place = np.uint64(row & 63)
        for vector in range(line.size):
            word[vector] |= np.uint64((line[vector] & mask) != 0) << place


@nb.njit(nogil=True, cache=True)
def compare_sums(words: IntArray, cells: IntArray, thresholds: IntArray, out: IntArray) -> None:
    """Add to `out` how many thresholds the count of driven cells reaches.

    Columns are the innermost loop: several are counted at a time in vector registers.

    Args:
        words: driven rows; axes: vector, word.
        cells: axes: word, column.
        thresholds: axes: level, column.
        out: axes: vector, column.
    """
    totals = np.zeros(cells.shape[1], dtype=np.int64)
    for vector in range(words.shape[0]):
        totals[:] = 0
        for word in range(words.shape[1]):
            driven = words[vector, word]
            line = cells[word]
            for column in range(line.size):
                totals[column] += np.int64(_bits_of(driven & line[column]))
        _compare(totals, thresholds, out[vector])


@nb.njit(nogil=True, cache=True)
def compare_agreements(
    ups: IntArray,
    downs: IntArray,
    both: IntArray,
    cells: IntArray,
    thresholds: IntArray,
    out: IntArray,
) -> None:
    """As `compare_sums` for complementary rows and cells: inputs that agree with their cell.

    Args:
        ups: inputs that drive the first row of their pair; axes: vector, word.
        downs: inputs that drive the second.
        both: inputs that drive both rows, whatever the cells; axis: vector.
        cells: of the first rows; axes: word, column.
        thresholds: axes: level, column.
        out: axes: vector, column.
    """
    totals = np.zeros(cells.shape[1], dtype=np.int64)
    for vector in range(ups.shape[0]):
        totals[:] = both[vector]
        for word in range(ups.shape[1]):
            up, down = ups[vector, word], downs[vector, word]
            line = cells[word]
            for column in range(line.size):
                agreeing = (up & line[column]) | (down & ~line[column])
                totals[column] += np.int64(_bits_of(agreeing))
        _compare(totals, thresholds, out[vector])


@nb.njit(nogil=True, cache=True)
def _compare(totals: IntArray, thresholds: IntArray, out: IntArray) -> None:
    for level in range(thresholds.shape[0]):
        line = thresholds[level]
        for column in range(totals.size):
            out[column] += np.int64(totals[column] >= line[column])
