"""A number subtracted from all weights of an output, added back by one digital sum of inputs.

`sum_r x_r w_ro = sum_r x_r (w_ro - c_o) + c_o sum_r x_r`: the sum of the inputs is made once for a
layer, and each output adds `c_o` times it (`beta` of the periphery). What is left on the cells
should be small: the best `c_o` among some is found by writing the weights out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.converters import BOTH_LAWS, WidthCosts
from xbarc.mapping.recoding import Spelling, digit_sums, promising_starts, recode, simple_digits
from xbarc.mapping.tiling import segment_bounds
from xbarc.numerics import Float64Array, Int64Array, IntArray
from xbarc.target import Target

# 81 numbers, -40 to 40, are ranked; each takes a pass over the histogram of every output.
_REACH = 40
# The expected cost ranks all 81 numbers; the best ones are written out with real digits, each of
# which takes as long as recoding the layer quickly. The full search in place of the quick one came
# within half a per cent of these (docs: adc-sizing).
_TRIED = 6
_TRIED_WEIGHTS = 1 << 18
"""Weights that a number is tried on: whole row blocks, spread over a layer that has more."""
# With `--effort low`: a third of the numbers, on an eighth of the weights. Our choice, not tuned.
_TRIED_QUICK, _TRIED_WEIGHTS_QUICK = 2, 1 << 15
# Bounds the histogram of an output: 2,049 bins of 8 bytes.
_WIDEST_WEIGHTS = 1 << 10
# As in `recoding.digits`, with two starts more: the best number of some output may suit others
# than the best digits do. How many more is our choice, not tuned.
_STARTS, _TRIED_ON = 6, 16


def most_tried(*, quick: bool) -> int:
    """Weights of a layer on which numbers are tried, at most."""
    return _TRIED_WEIGHTS_QUICK if quick else _TRIED_WEIGHTS


def centres(
    weights: IntArray,
    blocks: IntArray,
    slices: int,
    target: Target,
    law: WidthCosts = BOTH_LAWS,
    *,
    joined: bool,
    quick: bool = False,
) -> Int64Array:
    """The number to subtract from each output's weights; axes: group, output.

    Digits that are the cheapest under one price a column say which numbers are promising; the best
    few are tried on every row block, or on some of a large layer's.

    Args:
        weights: axes: group, row, output, rows in their final order.
        blocks: first row of each row block, and the end.
        slices: cells of one sign that a weight has.
        target: the chip.
        law: what a conversion costs.
        joined: one converter sees the difference of the two columns of a pair.
        quick: fewer numbers are tried, on fewer rows.
    """
    groups, _, outputs = weights.shape
    off = np.zeros((groups, outputs), dtype=np.int64)
    reach = int(np.abs(weights).max(initial=0))
    if not weights.size or reach > _WIDEST_WEIGHTS:
        return off
    candidates = np.arange(-_REACH, _REACH + 1)
    most = most_tried(quick=quick)
    tried_rows, bounds = _sample(weights, segment_bounds(blocks, target.array.active_rows), most)
    many = quick or tried_rows.shape[1] < weights.shape[1]
    how = _How(slices, target.cell.bits, (1 << target.input.dac_bits) - 1, joined, law, many)
    starts = _starts(tried_rows, bounds, how)
    expected = _expected_cost(weights, candidates, how, (starts, target.array.active_rows))
    # A number that makes a weight too large for its cells is no candidate, however cheap it looks.
    expected[~_fits(weights, candidates, slices * target.cell.bits)] = np.inf
    ranked = np.argsort(expected, axis=0, kind="stable")
    least = np.full((groups, outputs), np.inf)
    # Zero first: a number has to win against leaving the weights as they are.
    for place in (_REACH, *range(_TRIED_QUICK if quick else _TRIED)):
        index = np.full(groups * outputs, _REACH) if place == _REACH else ranked[place]
        tried = candidates[index].reshape(groups, outputs)
        cost = _cost(tried_rows - tried[:, None], bounds, how)
        cost[~np.isfinite(expected[index, np.arange(index.size)]).reshape(cost.shape)] = np.inf
        better = cost < least
        off[better], least[better] = tried[better], cost[better]
    return off


def _sample(weights: IntArray, bounds: IntArray, most: int) -> tuple[IntArray, IntArray]:
    """Some sets of rows, spread evenly, and their bounds; all of a layer that is not large."""
    count = len(bounds) - 1
    chosen = max(1, min(count, most * count // weights.size))
    if chosen == count:
        return weights, bounds
    sets = np.unique(np.linspace(0, count - 1, chosen).astype(np.int64))
    rows = [np.arange(bounds[index], bounds[index + 1]) for index in sets.tolist()]
    sizes = [len(part) for part in rows]
    return weights[:, np.concatenate(rows)], np.concatenate([[0], np.cumsum(sizes)])


def _fits(weights: IntArray, candidates: IntArray, bits: int) -> IntArray:
    """Whether magnitudes still fit the cells; axes: candidate, output of all groups."""
    low = weights.min(axis=1).reshape(-1).astype(np.int64)
    high = weights.max(axis=1).reshape(-1).astype(np.int64)
    reach = np.maximum(high - candidates[:, None], candidates[:, None] - low)
    fits: IntArray = reach < (1 << bits)
    return fits


@dataclass(frozen=True)
class _How:
    """How weights are written and what that costs; `many`: a sample stands for a large layer."""

    slices: int
    cell_bits: int
    top: int
    joined: bool
    law: WidthCosts
    many: bool

    def clip_to_cells(self, weights: IntArray) -> IntArray:
        """Magnitudes that fit the cells."""
        most = (1 << self.slices * self.cell_bits) - 1
        return np.clip(weights, -most, most)

    @property
    def spelling(self) -> Spelling:
        """Digits and their cost."""
        return Spelling(self.slices, self.cell_bits, self.top, self.joined, self.law.cost)


def _starts(weights: IntArray, bounds: IntArray, how: _How) -> Int64Array:
    """Prices that suit some outputs; axes: start, column."""
    return promising_starts(
        how.clip_to_cells(weights),
        [int(bound) for bound in bounds],
        how.spelling,
        (2, 4) if how.many else (_STARTS, _TRIED_ON),
    )


def _cost(weights: IntArray, bounds: IntArray, how: _How) -> Float64Array:
    """What converters cost for each output; axes: group, output."""
    digits = recode(
        how.clip_to_cells(weights),
        bounds,
        how.spelling,
        quick=True,
        of_many=how.many,
    )
    plus, minus = digit_sums(digits, bounds)
    columns = (plus + minus,) if how.joined else (plus, minus)
    costs = [how.law.of_sums(column * how.top).sum(axis=(1, 3)) for column in columns]
    return np.asarray(sum(costs), dtype=np.float64)


def _expected_cost(
    weights: IntArray, candidates: IntArray, how: _How, by: tuple[Int64Array, int]
) -> Float64Array:
    """Cost of the mean row block, widths taken as real numbers; axes: candidate, output.

    Args:
        weights: axes: group, row, output.
        candidates: numbers to subtract.
        how: digits and law.
        by: prices that digits are chosen by, of which the best counts, and rows of a block.
    """
    groups, rows, outputs = weights.shape
    low, high = int(weights.min()), int(weights.max())
    flat = weights.transpose(0, 2, 1).reshape(groups * outputs, rows).astype(np.int64) - low
    span = high - low + 1
    # One bincount for all outputs: each has a range of bins of its own.
    index = flat + span * np.arange(len(flat))[:, None]
    counts = np.bincount(index.reshape(-1), minlength=span * len(flat)).reshape(len(flat), span)
    per_block = counts / max(1, -(-rows // by[1]))
    widths = np.arange(len(how.law.cost))
    numbers = how.clip_to_cells(np.arange(low - int(candidates[-1]), high - int(candidates[0]) + 1))
    cost = np.full((len(candidates), len(flat)), np.inf)
    for start in by[0]:
        sums = how.top * simple_digits(numbers, start, how.slices, how.cell_bits)
        for number, candidate in enumerate(candidates.tolist()):
            first = candidates[-1] - candidate
            mean = per_block @ sums[first : first + span]
            # Widths are steps, but the mean row block stands for many: between two widths the cost
            # rises evenly.
            here = np.interp(np.log2(1.0 + mean), widths, how.law.cost).sum(axis=1)
            cost[number] = np.minimum(cost[number], here)
    return cost
