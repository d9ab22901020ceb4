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
def _price(total, target):
    over = total - target
    return _SLOPE * total + (np.float64(over) * over if over > 0 else 0.0)


@compiled()
def _set_prices(sums, targets, column, prices):
    """What each digit would add to the price of a column; entry 0 stays 0."""
    base = prices.shape[1]
    now = _price(sums[column], targets[column])
    for digit in range(1, base):
        prices[column, digit] = _price(sums[column] + digit, targets[column]) - now


@compiled()
def _forward(magnitude, cell_bits, prices, sides, negative, cost, came):
    """Cheapest way to each state after each digit; a state is the carry, 0 or 1."""
    base, slices = 1 << cell_bits, cost.shape[0] - 1
    plus, minus = (sides - 1, 0) if negative else (0, sides - 1)
    cost[0, 0], cost[0, 1] = 0.0, np.inf
    for j in range(slices):
        digit = (magnitude >> (cell_bits * j)) & (base - 1)
        up, down = sides * j + plus, sides * j + minus
        cost[j + 1, 0] = cost[j + 1, 1] = np.inf
        for carry in range(2):
            here, x = cost[j, carry], digit + carry
            if x < base and here + prices[up, x] < cost[j + 1, 0]:
                cost[j + 1, 0], came[j + 1, 0] = here + prices[up, x], carry
            if x > 0 and here + prices[down, base - x] < cost[j + 1, 1]:
                cost[j + 1, 1], came[j + 1, 1] = here + prices[down, base - x], carry


@compiled()
def _backward(magnitude, cell_bits, came, sign, out):
    """Digits along the cheapest way."""
    carry, base = 0, 1 << cell_bits
    for j in range(out.shape[0] - 1, -1, -1):
        before = came[j + 1, carry]
        x = ((magnitude >> (cell_bits * j)) & (base - 1)) + before
        out[j] = sign * (x - base * carry)
        carry = before


@compiled()
def _move(digits, sums, sides, by):
    """Add digits to the sums of their columns, `by` times."""
    for j in range(digits.shape[0]):
        value = np.int64(digits[j])
        if value > 0:
            sums[sides * j] += by * value
        elif value < 0:
            sums[sides * j + sides - 1] -= by * value


@compiled()
def _renew(digits, sums, targets, prices):
    """Prices of the columns that digits stand on."""
    sides = sums.shape[0] // digits.shape[0]
    for j in range(digits.shape[0]):
        if digits[j] != 0:
            side = sides - 1 if digits[j] < 0 else 0
            _set_prices(sums, targets, sides * j + side, prices)


@compiled()
def _sweep(weights, cell_bits, digits, sums, targets, scratch):
    """Every weight takes its cheapest digits, given all others."""
    prices, cost, came, old = scratch
    slices = digits.shape[1]
    sides = sums.shape[0] // slices
    for column in range(sums.shape[0]):
        _set_prices(sums, targets, column, prices)
    for row in range(weights.shape[0]):
        weight = weights[row]
        if weight == 0:
            continue
        own = digits[row]
        for j in range(slices):
            old[j] = own[j]
        _move(own, sums, sides, -1)
        _renew(old, sums, targets, prices)
        _forward(abs(weight), cell_bits, prices, sides, weight < 0, cost, came)
        _backward(abs(weight), cell_bits, came, 1 if weight > 0 else -1, own)
        _move(own, sums, sides, 1)
        _renew(own, sums, targets, prices)


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
def _lower(weights, cell_bits, top, digits, sums, scratch, tries):
    """Lower the widths of columns one by one, as long as a few sweeps meet them."""
    columns = sums.shape[0]
    bits, targets = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    closed = np.zeros(columns, np.bool_)
    trial, trial_sums = digits.copy(), sums.copy()
    _measure(sums, top, bits, targets)
    while True:
        column = _widest(bits, closed)
        if column < 0:
            return
        targets[column] = _target(bits[column] - 1, top)
        trial[:], trial_sums[:] = digits, sums
        before = _excess(trial_sums, targets)
        for _ in range(tries):
            _sweep(weights, cell_bits, trial, trial_sums, targets, scratch)
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
def recode(weights, cell_bits, top, sides, tries, digits, span):
    """Choose the digits of each problem: the weights of one output in one set of rows.

    Args:
        weights: axes: problem, row.
        cell_bits: width of a digit without its sign.
        top: largest input slice.
        sides: 2 where plus and minus columns are converted apart, 1 where their difference is.
        tries: sweeps that may go into one lowered width; 0 keeps the digits of least total sum.
        digits: out, zero before; axes: problem, row, slice.
        span: first problem and the end; other threads may work on others at the same time.
    """
    slices = digits.shape[2]
    columns = sides * slices
    scratch = (
        np.zeros((columns, 1 << cell_bits)),
        np.zeros((slices + 1, 2)),
        np.zeros((slices + 1, 2), np.int64),
        np.zeros(slices, np.int64),
    )
    free = np.full(columns, np.int64(1) << 40)
    for problem in range(span[0], span[1]):
        sums = np.zeros(columns, np.int64)
        _sweep(weights[problem], cell_bits, digits[problem], sums, free, scratch)
        if tries > 0:
            _lower(weights[problem], cell_bits, top, digits[problem], sums, scratch, tries)
