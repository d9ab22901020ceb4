"""A number taken off all weights of an output, and put back by one digital sum of the inputs.

`sum_r x_r w_ro = sum_r x_r (w_ro - c_o) + c_o sum_r x_r`: the sum of the inputs is made once for a
layer, and each output adds `c_o` times it (`beta` of the periphery). What is left on the cells
should be small: the best `c_o` among some is found by writing the weights out.
"""

from __future__ import annotations

import numpy as np

from xbarc.mapping.recode import digit_sums, recode
from xbarc.mapping.tiling import segment_bounds
from xbarc.numerics.types import Float64Array, Int64Array, IntArray
from xbarc.target import Target

_REACH = 40
_TRIED = 6
_TRIED_WEIGHTS = 1 << 18
"""Weights that a number is tried on: whole row blocks, spread over a layer that has more."""
_WIDEST_WEIGHTS = 1 << 10


def centres(
    weights: IntArray, blocks: IntArray, slices: int, target: Target, *, joined: bool
) -> Int64Array:
    """What to take off each output; axes: group, output.

    Digits of least total sum say which numbers are promising; the best few are tried on every row
    block, or on some of a large layer's.

    Args:
        weights: axes: group, row, output, rows in their final order.
        blocks: first row of each row block, and the end.
        slices: cells of one sign that a weight has.
        target: the chip.
        joined: one converter sees the difference of the two columns of a pair.
    """
    groups, _, outputs = weights.shape
    off = np.zeros((groups, outputs), dtype=np.int64)
    reach = int(np.abs(weights).max(initial=0))
    if not weights.size or reach > _WIDEST_WEIGHTS:
        return off
    candidates = np.arange(-_REACH, _REACH + 1)
    expected = _expected_cost(weights, candidates, slices, target)
    expected[~_fits(weights, candidates, slices * target.cell.bits)] = np.inf
    ranked = np.argsort(expected, axis=0, kind="stable")
    tried_rows, bounds = _sample(weights, segment_bounds(blocks, target.array.active_rows))
    least = np.full((groups, outputs), np.inf)
    for place in (_REACH, *range(_TRIED)):
        index = np.full(groups * outputs, _REACH) if place == _REACH else ranked[place]
        tried = candidates[index].reshape(groups, outputs)
        cost = _cost(tried_rows - tried[:, None], bounds, slices, target, joined=joined)
        cost[~np.isfinite(expected[index, np.arange(index.size)]).reshape(cost.shape)] = np.inf
        better = cost < least
        off[better], least[better] = tried[better], cost[better]
    return off


def _sample(weights: IntArray, bounds: IntArray) -> tuple[IntArray, IntArray]:
    """Some sets of rows, spread evenly, and their bounds; all of a layer that is not large."""
    count = len(bounds) - 1
    chosen = max(1, min(count, _TRIED_WEIGHTS * count // weights.size))
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


def _cost(
    weights: IntArray, bounds: IntArray, slices: int, target: Target, *, joined: bool
) -> Float64Array:
    """What converters cost for each output, by both laws; axes: group, output."""
    cell_bits, top = target.cell.bits, (1 << target.input.dac_bits) - 1
    fitting = np.clip(weights, 1 - (1 << slices * cell_bits), (1 << slices * cell_bits) - 1)
    digits = recode(
        fitting, bounds, slices=slices, cell_bits=cell_bits, top=top, joined=joined, quick=True
    )
    plus, minus = digit_sums(digits, bounds)
    columns = (plus + minus,) if joined else (plus, minus)
    bits = [np.frexp((column * top).astype(np.float64))[1] for column in columns]
    laws = [np.exp2(width) * (width > 0) + 8.0 * width for width in bits]
    return np.asarray(sum(law.sum(axis=(1, 3)) for law in laws), dtype=np.float64)


def _expected_cost(
    weights: IntArray, candidates: IntArray, slices: int, target: Target
) -> Float64Array:
    """Cost of the mean row block, widths taken as real numbers; axes: candidate, output."""
    groups, rows, outputs = weights.shape
    low, high = int(weights.min()), int(weights.max())
    flat = weights.transpose(0, 2, 1).reshape(groups * outputs, rows).astype(np.int64) - low
    span = high - low + 1
    index = flat + span * np.arange(len(flat))[:, None]
    counts = np.bincount(index.reshape(-1), minlength=span * len(flat)).reshape(len(flat), span)
    sums = _least_digits(low - int(candidates[-1]), high - int(candidates[0]), slices, target)
    per_block = counts / max(1, -(-rows // target.array.active_rows))
    cost = np.empty((len(candidates), len(flat)))
    for number, candidate in enumerate(candidates.tolist()):
        first = candidates[-1] - candidate
        mean = per_block @ sums[first : first + span]
        cost[number] = (1.44 * mean + 8.0 * np.log2(1.0 + mean)).sum(axis=1)
    return cost


def _least_digits(low: int, high: int, slices: int, target: Target) -> Float64Array:
    """Plus and minus digits of every number, of least total; axes: number, column."""
    cell_bits = target.cell.bits
    most = (1 << slices * cell_bits) - 1
    numbers = np.clip(np.arange(low, high + 1), -most, most).reshape(1, 1, -1)
    digits = recode(
        numbers, np.array([0, 1]), slices=slices, cell_bits=cell_bits, least=True
    ).reshape(numbers.size, slices)
    both = [np.maximum(digits, 0), np.maximum(-digits.astype(np.int16), 0)]
    return np.concatenate(both, axis=1).astype(np.float64)
