# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Digits of weights chosen so that the columns of a pair need few bits: the compiled part.

A weight is `sum_j base**j d_j` with digits `-(base-1) .. base-1`; a positive digit lies on the plus
cell of its slice, a negative one on the minus cell. From low to high, a digit either stays `x` or
becomes `x - base` with a carry, so all ways to write a weight are the paths of a small graph with
two states, and the cheapest one under any price a column is found by dynamic programming.

The weights of an output are visited again and again; each takes its cheapest path given the sums
of all others, where a column pays for what it exceeds its target by. Targets start at the widths of
the least total sum and are lowered bit by bit, the widest column first, as long as they are met.

`recode.py` is the typed face, and the only caller.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics.compiled import compiled

_SLOPE = 0.02
"""Price of a unit of a sum below its target, in units of squared excess."""


@compiled()
def _width(total, top):
    """Bits that number the sums `0 .. top * total`."""
    bits, left = 0, total * top
    while left > 0:
        left >>= 1
        bits += 1
    return bits


@compiled()
def _target(bits, top):
    """Largest sum of cells that this many bits hold."""
    return ((1 << bits) - 1) // top


@compiled()
def _set_prices(prices, priced, targets):
    """Price of each sum of each column; `priced` are the targets that they hold for."""
    for column in range(prices.shape[0]):
        if priced[column] != targets[column]:
            priced[column] = targets[column]
            for total in range(prices.shape[1]):
                over = np.float64(max(total - targets[column], 0))
                prices[column, total] = _SLOPE * total + over * over


@compiled()
def _cheapest(weight, own, cell_bits, sums, prices, sides):
    """Cheapest way to write a weight: bit `j` says whether its digit `j` takes a carry in.

    A state is the carry, none or one. Both ways into a state are priced and one is kept, all
    without jumps: those nobody can foretell, and they took most of the time. The weight's own
    digits still lie on the columns, and are left out here.
    """
    base, magnitude, sign = 1 << cell_bits, abs(weight), 1 if weight > 0 else -1
    plus, minus = (0, sides - 1) if weight > 0 else (sides - 1, 0)
    none, one = 0.0, np.inf
    way_none, way_one = np.int64(0), np.int64(0)
    for j in range(own.shape[0]):
        x = (magnitude >> (cell_bits * j)) & (base - 1)
        column, other = np.uintp(sides * j + plus), np.uintp(sides * j + minus)
        here, there = max(sign * own[j], 0), max(-sign * own[j], 0)
        up = sums[column] - (here if sides == 2 else here + there)
        down = sums[other] - (there if sides == 2 else here + there)
        now, now_down = prices[column, np.uintp(up)], prices[other, np.uintp(down)]
        stay = none + (prices[column, np.uintp(up + x)] - now)
        turn_on = one + (prices[other, np.uintp(down + base - x - 1)] - now_down)
        stay_on = one + (prices[column, np.uintp(up + x + 1)] - now)
        turn = none + (prices[other, np.uintp(down + base - x)] - now_down)
        stay_on = stay_on if x + 1 < base else np.inf
        turn = turn if x > 0 else np.inf
        carried = way_one | (np.int64(1) << j)
        way_one = carried if turn_on < turn else way_none
        way_none = carried if stay_on < stay else way_none
        one, none = min(turn, turn_on), min(stay, stay_on)
    return way_none


@compiled()
def _write(weight, way, own, cell_bits, sums, sides):
    """Take the digits of a way instead of the old ones."""
    base, magnitude, sign = 1 << cell_bits, abs(weight), 1 if weight > 0 else -1
    for j in range(own.shape[0]):
        x = (magnitude >> (cell_bits * j)) & (base - 1)
        digit = sign * (x + ((way >> j) & 1) - base * ((way >> (j + 1)) & 1))
        if digit != own[j]:
            sums[sides * j] += max(digit, 0) - max(own[j], 0)
            sums[sides * j + sides - 1] += max(-digit, 0) - max(-own[j], 0)
            own[j] = digit


@compiled()
def _sweep(weights, cell_bits, digits, sums, prices):
    """Every weight takes its cheapest digits, given all others."""
    sides = sums.shape[0] // digits.shape[1]
    for row in range(weights.shape[0]):
        weight = np.int64(weights[row])
        if weight != 0:
            way = _cheapest(weight, digits[row], cell_bits, sums, prices, sides)
            _write(weight, way, digits[row], cell_bits, sums, sides)


@compiled()
def _excess(sums, targets):
    total = np.int64(0)
    for column in range(sums.shape[0]):
        total += max(sums[column] - targets[column], 0)
    return total


@compiled()
def _widest(bits, closed):
    """The widest column that may still be lowered, or -1."""
    best = -1
    for column in range(bits.shape[0]):
        if not closed[column] and bits[column] > 0 and (best < 0 or bits[column] > bits[best]):
            best = column
    return best


@compiled()
def _measure(sums, top, bits, targets):
    for column in range(sums.shape[0]):
        bits[column] = _width(sums[column], top)
        targets[column] = _target(bits[column], top)


@compiled()
def _lower(weights, cell_bits, top, digits, sums, table, tries, most):
    """Lower the widths of columns one by one, as long as a few sweeps meet them.

    The widest go first, so that what `most` sweeps leave undone is worth the least.
    """
    columns = sums.shape[0]
    bits, targets = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    closed = np.zeros(columns, np.bool_)
    trial, trial_sums = digits.copy(), sums.copy()
    _measure(sums, top, bits, targets)
    while True:
        column = _widest(bits, closed)
        if column < 0 or most <= 0:
            return
        targets[column] = _target(bits[column] - 1, top)
        _set_prices(table[0], table[1], targets)
        trial[:], trial_sums[:] = digits, sums
        before = _excess(trial_sums, targets)
        for _ in range(min(tries, most)):
            most -= 1
            _sweep(weights, cell_bits, trial, trial_sums, table[0])
            left = _excess(trial_sums, targets)
            if left == 0 or 8 * left > 7 * before:
                break
            before = left
        if _excess(trial_sums, targets) == 0:
            digits[:], sums[:] = trial, trial_sums
            _measure(sums, top, bits, targets)
        else:
            closed[column] = True
            targets[column] = _target(bits[column], top)


@compiled()
def recode(weights, cell_bits, top, sides, tries, most, digits, span):
    """Choose the digits of each problem: the weights of one output in one set of rows.

    Args:
        weights: axes: problem, row.
        cell_bits: width of a digit without its sign.
        top: largest input slice.
        sides: 2 where plus and minus columns are converted apart, 1 where their difference is.
        tries: sweeps that may go into one lowered width; 0 keeps the digits of least total sum.
        most: sweeps that may go into one problem.
        digits: out, zero before; axes: problem, row, slice.
        span: first problem and the end; other threads may work on others at the same time.
    """
    slices = digits.shape[2]
    columns = sides * slices
    free = np.full(columns, np.int64(1) << 40)
    largest = weights.shape[1] * ((1 << cell_bits) - 1) + 1
    table = (np.zeros((columns, largest + 1)), np.full(columns, np.int64(-1)))
    for problem in range(span[0], span[1]):
        sums = np.zeros(columns, np.int64)
        _set_prices(table[0], table[1], free)
        _sweep(weights[problem], cell_bits, digits[problem], sums, table[0])
        if tries > 0:
            _lower(weights[problem], cell_bits, top, digits[problem], sums, table, tries, most)
