"""Signed digits for the slices of a differential pair, so that its columns need few bits.

Plus and minus cells of a slice can hold any digit from `-(2**b - 1)` to `2**b - 1`, so most weights
can be written in several ways: 3 is `3`, or `4 - 1`. Which one is taken changes the column sums and
nothing else. `recode_loop.py` chooses for all weights of an output together.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from xbarc.mapping import recode_loop
from xbarc.numerics.types import Int8Array, Int64Array, IntArray

_PER_THREAD = 64
MANY_WEIGHTS = 1 << 22
"""Above this, one sweep a lowered width instead of two: 1 % more levels, half the time."""
_SWEEPS = 1 << 20
_SWEEPS_OF_MANY = 8
"""Sweeps of a problem in a layer of many weights, so that its time is bounded by its size.

With four slices .7 % more levels than without a limit, six sevenths of the time.
"""


def recode(
    weights: IntArray,
    bounds: IntArray,
    *,
    slices: int,
    cell_bits: int,
    top: int = 1,
    joined: bool = False,
    quick: bool = False,
    least: bool = False,
    of_many: bool = False,
) -> Int8Array:
    """Digits of every weight.

    Args:
        weights: axes: group, row, output; magnitudes fit the slices.
        bounds: first row of each set that is converted together, and the end.
        slices: digits of a weight.
        cell_bits: width of a digit without its sign; at most 7.
        top: largest input slice.
        joined: one converter sees the difference of the two columns.
        quick: one sweep a lowered width, for comparisons.
        least: only look for the least total sum.
        of_many: the weights are a piece of a layer of more than `MANY_WEIGHTS`.

    Returns:
        Axes: group, row, output, slice. The same whatever the number of threads is.
    """
    groups, rows, outputs = weights.shape
    digits = np.zeros((groups, rows, outputs, slices), dtype=np.int8)
    sides, many = 1 if joined else 2, of_many or weights.size > MANY_WEIGHTS
    tries, most = 0 if least else 1 if quick or many else 2, _SWEEPS_OF_MANY if many else _SWEEPS
    for first, last in pairwise(int(bound) for bound in bounds):
        part = weights[:, first:last].transpose(0, 2, 1).reshape(groups * outputs, last - first)
        found = np.zeros((*part.shape, slices), dtype=np.int8)
        cells = np.ascontiguousarray(part, dtype=np.int32)
        _share((cells, cell_bits, top, sides, tries, most, found))
        by_output = found.reshape(groups, outputs, last - first, slices)
        digits[:, first:last] = by_output.transpose(0, 2, 1, 3)
    return digits


def _share(problem: tuple[IntArray, int, int, int, int, int, Int8Array]) -> None:
    """Deal problems over threads; each has its own rows of the result."""
    count = len(problem[0])
    threads = min(os.cpu_count() or 1, count // _PER_THREAD)
    if threads < 2:
        recode_loop.recode(*problem, (0, count))
        return
    edges = [count * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda span: recode_loop.recode(*problem, span), pairwise(edges)))


def digit_sums(digits: Int8Array, bounds: IntArray) -> tuple[Int64Array, Int64Array]:
    """Sums of plus and of minus cells over each set of rows; axes: group, set, output, slice."""
    starts = np.asarray(bounds[:-1], dtype=np.int64)
    plus = np.add.reduceat(np.maximum(digits, 0), starts, axis=1, dtype=np.int64)
    minus = np.add.reduceat(np.maximum(-digits.astype(np.int16), 0), starts, axis=1, dtype=np.int64)
    return plus, minus
