"""Signed digits for the slices of a differential pair, so that its columns need few bits.

Plus and minus cells of a slice can hold any digit from `-(2**b - 1)` to `2**b - 1`, so most weights
can be written in several ways: 3 is `3`, or `4 - 1`. Which one is taken changes the column sums and
nothing else. `digit_kernels` and `width_kernels` choose for all weights of an output together.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.converters import BOTH_LAWS
from xbarc.numerics import Int8Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.recoding import digit_kernels, width_kernels
else:
    digit_kernels = lazy_module("xbarc.mapping.recoding.digit_kernels")
    width_kernels = lazy_module("xbarc.mapping.recoding.width_kernels")

# Problems that are worth a thread: one of 128 rows takes 4 ms (48 in .2 s), so that 64 outweigh
# the start of a pool many times.
_PER_THREAD = 64
MANY_WEIGHTS = 1 << 20
"""Above this, one start, one sweep a lowered width and no looking around: time follows size."""
# No limit: lowering widths one by one ends by itself, for a width never rises again.
_SWEEPS = 1 << 20
_SWEEPS_OF_MANY = 8
"""Sweeps of a problem in a layer of many weights, so that its time is bounded by its size.

With four slices .7 % more levels than without a limit, six sevenths of the time.
"""
# Rounds of looking for better widths, and sweeps that try to meet them: 40 and 16 save 2 % and more
# where cost counts levels alone, and 3 % under the default law (held by
# `test_looking_around_finds_better_widths`).
_ROUNDS, _MEETING = 40, 16
# Starts that are gone on with, and problems that choose them among up to 81. All 81 on every output
# saved about half a per cent more on trained networks (docs: adc-sizing), and are 20 times as many.
_STARTS, _TRIED_ON = 4, 16
_MANY_SLICES = 4
"""With more slices, only some of all ways to choose their sides are tried."""
# Times the price of the other side: a digit goes there only where the weight cannot be written
# without it, or nearly so. Our choice, not tuned.
_DEAR = 50
Law = tuple[int, ...]


@dataclass(frozen=True)
class Spelling:
    """How weights are written in digits, and what the converters of their columns cost.

    Attributes:
        slices: digits of a weight.
        cell_bits: width of a digit without its sign; at most 7.
        top: largest input slice.
        joined: one converter sees the difference of the two columns.
        law: cost of each width of a converter.
    """

    slices: int
    cell_bits: int
    top: int = 1
    joined: bool = False
    law: Law = BOTH_LAWS.cost


def recode(
    weights: IntArray,
    bounds: IntArray,
    how: Spelling,
    *,
    quick: bool = False,
    least: bool = False,
    of_many: bool | None = None,
    begin: Int64Array | None = None,
) -> Int8Array:
    """Digits of every weight.

    Args:
        weights: axes: group, row, output; magnitudes fit the slices.
        bounds: first row of each set that is converted together, and the end.
        how: digits and their cost.
        quick: one sweep a lowered width, for comparisons.
        least: only look for the least total sum.
        of_many: whether work is held down, as for a piece of a large layer; None: where these
            weights are more than `MANY_WEIGHTS`.
        begin: prices of columns to start from; axes: start, column. None: those that suit these
            weights.

    Returns:
        Axes: group, row, output, slice. The same whatever the number of threads is.
    """
    groups, rows, outputs = weights.shape
    digits = np.zeros((groups, rows, outputs, how.slices), dtype=np.int8)
    many = weights.size > MANY_WEIGHTS if of_many is None else of_many
    edges, counts = [int(bound) for bound in bounds], _starts(quick=quick, many=many)
    every = start_prices(how.slices, how.joined)[: 1 if least else None]
    starts = every if least else begin
    if starts is None:
        starts = promising_starts(weights, edges, how, counts)
    others = every[: 0 if least or many else None]
    effort = _effort(quick=quick, least=least, many=many)
    for first, last in pairwise(edges):
        cells = _problems(weights, first, last)
        found = np.zeros((*cells.shape, how.slices), dtype=np.int8)
        _share(cells, how, (starts, others), effort, found)
        by_output = found.reshape(groups, outputs, last - first, how.slices)
        digits[:, first:last] = by_output.transpose(0, 2, 1, 3)
    return digits


def layer_start(weights: IntArray, bounds: IntArray, how: Spelling) -> tuple[tuple[int, ...], ...]:
    """The one start for all pieces of a layer of many weights, as `begin` of `recode` takes it.

    Args:
        weights: of the whole layer; axes: group, row, output.
        bounds: first row of each set that is converted together, and the end.
        how: digits and their cost.
    """
    edges = [int(bound) for bound in bounds]
    found = promising_starts(weights, edges, how, _starts(quick=False, many=True))
    return tuple(map(tuple, found.tolist()))


def _starts(*, quick: bool, many: bool) -> tuple[int, int]:
    """Starts that are gone on with, and problems that choose them."""
    return (1, 16) if many else (2, 8) if quick else (_STARTS, _TRIED_ON)


def start_prices(slices: int, joined: bool) -> Int64Array:
    """Prices that digits are first chosen by: a side of a slice may be dear; axes: start, column.

    The first has no dear side. All digits of a slice on one column need a bit more there and none
    on the other, which is less by the law that grows with bits.
    """
    if joined:
        return np.ones((1, slices), dtype=np.int64)
    sides = np.array([[1, 1], [1, _DEAR], [_DEAR, 1]], dtype=np.int64)
    ways = list(product(range(3), repeat=min(slices, _MANY_SLICES)))
    if slices > _MANY_SLICES:
        more = slices - _MANY_SLICES
        ways = [(*way[:1] * more, *way) for way in ways]
    starts: Int64Array = sides[np.array(ways)].reshape(len(ways), 2 * slices)
    return starts


def _effort(*, quick: bool, least: bool, many: bool) -> width_kernels.Effort:
    """More for small layers, where every width counts and time does not."""
    if least:
        return width_kernels.Effort(0, 0, 0, 0)
    if many:
        return width_kernels.Effort(1, _SWEEPS_OF_MANY, 0, 0)
    if quick:
        return width_kernels.Effort(1, _SWEEPS, 0, 0)
    return width_kernels.Effort(2, _SWEEPS, _ROUNDS, _MEETING)


def _problems(weights: IntArray, first: int, last: int) -> IntArray:
    """Weights of each output in a set of rows; axes: problem, row."""
    part = weights[:, first:last].transpose(0, 2, 1).reshape(-1, last - first)
    return np.ascontiguousarray(part, dtype=np.int32)


def promising_starts(
    weights: IntArray, edges: list[int], how: Spelling, counts: tuple[int, int]
) -> Int64Array:
    """The starts that together suit some outputs best; axes: start, column.

    Args:
        weights: axes: group, row, output.
        edges: first row of each set, and the end.
        how: digits and their cost.
        counts: starts wanted, and problems to try all of them on.
    """
    starts = start_prices(how.slices, how.joined)
    if len(starts) == 1 or not weights.size:
        return starts[:1]
    sets, losses = _spread(len(edges) - 1, counts[1]), []
    for index in sets:
        cells = _problems(weights, edges[index], edges[index + 1])
        tried = cells[_spread(len(cells), max(1, counts[1] // len(sets)))]
        costs = np.zeros((len(tried), len(starts)), dtype=np.int64)
        width_kernels.try_starts(
            tried, how.cell_bits, how.top, starts, np.array(how.law), how.slices, costs
        )
        losses.append(costs)
    return starts[_best_together(np.concatenate(losses), counts[0])]


def _spread(count: int, most: int) -> list[int]:
    """At most this many of some numbers, evenly."""
    found: list[int] = np.unique(np.linspace(0, count - 1, min(count, most)).astype(int)).tolist()
    return found


def _best_together(losses: Int64Array, count: int) -> list[int]:
    """Starts of which the best one each costs little: one after the other, least in sum."""
    chosen: list[int] = []
    least = np.full(len(losses), np.iinfo(np.int64).max)
    for _ in range(min(count, losses.shape[1])):
        sums = np.minimum(losses, least[:, None]).astype(np.float64).sum(axis=0)
        best = int(np.argmin(sums))
        # Another start that helps no problem is only time.
        if chosen and sums[best] >= least.astype(np.float64).sum():
            break
        chosen.append(best)
        least = np.minimum(least, losses[:, best])
    return chosen


def _share(
    cells: IntArray,
    how: Spelling,
    starts: tuple[Int64Array, Int64Array],
    effort: width_kernels.Effort,
    found: Int8Array,
) -> None:
    """Distribute problems over threads; each has its own rows of the result."""
    costs = np.array(how.law, dtype=np.int64)

    def work(span: tuple[int, int]) -> None:
        width_kernels.recode(cells, how.cell_bits, how.top, starts, costs, effort, found, span)

    count = len(cells)
    # Problems are independent and each writes its own rows: the result does not depend on the
    # number.
    threads = min(os.cpu_count() or 1, count // _PER_THREAD)
    if threads < 2:
        work((0, count))
        return
    edges = [count * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, pairwise(edges)))


def simple_digits(numbers: IntArray, start: Int64Array, slices: int, cell_bits: int) -> Int64Array:
    """What each number puts on each column under one price a column; axes: number, column."""
    digits, sums = np.zeros((1, slices), dtype=np.int8), np.zeros(len(start), dtype=np.int64)
    found = np.zeros((len(numbers), len(start)), dtype=np.int64)
    for place, number in enumerate(numbers.astype(np.int32)):
        digit_kernels.linear(number[None], cell_bits, start, digits, sums)
        found[place] = sums
    return found


def digit_sums(digits: Int8Array, bounds: IntArray) -> tuple[Int64Array, Int64Array]:
    """Sums of plus and of minus cells over each set of rows; axes: group, set, output, slice."""
    starts = np.asarray(bounds[:-1], dtype=np.int64)
    plus = np.add.reduceat(np.maximum(digits, 0), starts, axis=1, dtype=np.int64)
    minus = np.add.reduceat(np.maximum(-digits.astype(np.int16), 0), starts, axis=1, dtype=np.int64)
    return plus, minus
