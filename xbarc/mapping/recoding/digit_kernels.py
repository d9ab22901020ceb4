# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Digits of weights chosen so that the columns of a pair need few bits: the compiled part.

A weight is `sum_j base**j d_j` with digits `-(base-1) .. base-1`; a positive digit lies on the plus
cell of its slice, a negative one on the minus cell. From low to high, a digit either stays `x` or
becomes `x - base` with a carry, so all ways to write a weight are the paths of a small graph with
two states, and the cheapest one under any price a column is found by dynamic programming.

The weights of an output are visited again and again; each takes its cheapest path given the sums
of all others, where a column pays for what it exceeds its target by. Targets start at the widths of
the cheapest digits under one price a column, and are lowered bit by bit, the widest column first,
as long as they are met. Several prices are tried: a slice whose minus cells are dear puts all its
digits on plus. `width_kernels.py` goes on from there.

`digits.py` is the typed face, and the only caller.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled

_SLOPE = 0.02
"""Price of a unit of a sum below its target, in units of squared excess."""


@compiled()
def width(total, top):
    """Bits that number the sums `0 .. top * total`."""
    bits, left = 0, total * top
    while left > 0:
        left >>= 1
        bits += 1
    return bits


@compiled()
def target(bits, top):
    """Largest sum of cells that this many bits hold."""
    return ((1 << bits) - 1) // top


@compiled()
def set_prices(prices, priced, targets):
    """Price of each sum of each column; `priced` are the targets that they hold for."""
    for column in range(prices.shape[0]):
        if priced[column] != targets[column]:
            priced[column] = targets[column]
            for total in range(prices.shape[1]):
                # Squared, so that one column far beyond its target costs more than several that
                # miss it by little.
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
        # Unsigned: numba checks signed indices for being negative, in the hottest loop there is.
        column, other = np.uintp(sides * j + plus), np.uintp(sides * j + minus)
        here, there = max(sign * own[j], 0), max(-sign * own[j], 0)
        up = sums[column] - (here if sides == 2 else here + there)
        down = sums[other] - (there if sides == 2 else here + there)
        now, now_down = prices[column, np.uintp(up)], prices[other, np.uintp(down)]
        stay = none + (prices[column, np.uintp(up + x)] - now)
        turn_on = one + (prices[other, np.uintp(down + base - x - 1)] - now_down)
        stay_on = one + (prices[column, np.uintp(up + x + 1)] - now)
        turn = none + (prices[other, np.uintp(down + base - x)] - now_down)
        # x + 1 = base is no digit: it is 0 and another carry, which `turn_on` is.
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
def sweep(weights, cell_bits, digits, sums, prices):
    """Every weight takes its cheapest digits, given all others."""
    sides = sums.shape[0] // digits.shape[1]
    for row in range(weights.shape[0]):
        weight = np.int64(weights[row])
        if weight != 0:
            way = _cheapest(weight, digits[row], cell_bits, sums, prices, sides)
            _write(weight, way, digits[row], cell_bits, sums, sides)


@compiled()
def excess(sums, targets):
    """By how much sums are too large, together."""
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
def measure(sums, top, bits, targets):
    """Widths of columns, and the largest sums that these hold."""
    for column in range(sums.shape[0]):
        bits[column] = width(sums[column], top)
        targets[column] = target(bits[column], top)


@compiled()
def linear(weights, cell_bits, prices, digits, sums):
    """Cheapest digits of every weight under one price a column; their cost is `prices @ sums`."""
    base, sides = 1 << cell_bits, prices.shape[0] // digits.shape[1]
    # No price times sum comes near, and adding to it cannot overflow.
    never = np.int64(1) << 50
    sums[:], digits[:] = 0, 0
    for row in range(weights.shape[0]):
        weight = np.int64(weights[row])
        plus, minus = (0, sides - 1) if weight > 0 else (sides - 1, 0)
        none, one, way_none, way_one = np.int64(0), never, np.int64(0), np.int64(0)
        for j in range(digits.shape[1]):
            x = (abs(weight) >> (cell_bits * j)) & (base - 1)
            here, there = prices[sides * j + plus], prices[sides * j + minus]
            stay, turn_on = none + here * x, one + there * (base - x - 1)
            stay_on = one + here * (x + 1) if x + 1 < base else never
            turn = none + there * (base - x) if x > 0 else never
            carried = way_one | (np.int64(1) << j)
            way_one = carried if turn_on < turn else way_none
            way_none = carried if stay_on < stay else way_none
            one, none = min(turn, turn_on), min(stay, stay_on)
        if weight != 0:
            _write(weight, way_none, digits[row], cell_bits, sums, sides)


@compiled()
def cost_of(sums, top, law):
    """What converters for these sums cost; `law` holds the cost of each width."""
    total = np.int64(0)
    for column in range(sums.shape[0]):
        total += law[width(sums[column], top)]
    return total


@compiled()
def copy_digits(digits, sums, to_digits, to_sums):
    """Copy digits and the sums of their columns.

    As loops: where numba assigns one array to another it makes code for arrays of all shapes, which
    takes three seconds.
    """
    for column in range(sums.shape[0]):
        to_sums[column] = sums[column]
    for row in range(digits.shape[0]):
        for j in range(digits.shape[1]):
            to_digits[row, j] = digits[row, j]


@compiled()
def lower(weights, cell_bits, top, digits, sums, table, tries, most):
    """Lower the widths of columns one by one, as long as a few sweeps meet them.

    The widest go first, so that what `most` sweeps leave undone is worth the least.
    """
    columns = sums.shape[0]
    bits, targets = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    closed = np.zeros(columns, np.bool_)
    trial, trial_sums = digits.copy(), sums.copy()
    measure(sums, top, bits, targets)
    while True:
        column = _widest(bits, closed)
        if column < 0 or most <= 0:
            return
        targets[column] = target(bits[column] - 1, top)
        set_prices(table[0], table[1], targets)
        copy_digits(digits, sums, trial, trial_sums)
        before = excess(trial_sums, targets)
        for _ in range(min(tries, most)):
            most -= 1
            sweep(weights, cell_bits, trial, trial_sums, table[0])
            left = excess(trial_sums, targets)
            # Less than an eighth gained: taken for out of reach, so that other columns get their
            # turn.
            if left == 0 or 8 * left > 7 * before:
                break
            before = left
        if excess(trial_sums, targets) == 0:
            copy_digits(trial, trial_sums, digits, sums)
            measure(sums, top, bits, targets)
        else:
            # Not asked again, though later digits might meet it: the loop has to end.
            closed[column] = True
            targets[column] = target(bits[column], top)
