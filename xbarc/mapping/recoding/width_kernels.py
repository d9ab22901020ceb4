# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Better widths for the columns of one output than lowering them one by one finds.

Near the widths that were found (each a bit more, the same, or a bit less) the cheapest ones are
taken first. They are either met, or refuted: a price on each column gives a sum that the cheapest
digits of all weights already cost, and widths whose largest sums cost less cannot be met. Such a
price refutes many neighbours at once, so few of the thousands are tried.

To meet widths, weights take their cheapest digits in turn, and after every round a column that is
still too full charges as if its target were lower by what it has too much (the method of
multipliers). Where that does not succeed, these very offsets are the prices that refute.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xbarc.mapping.recoding.digit_kernels import (
    copy_digits,
    cost_of,
    excess,
    linear,
    lower,
    measure,
    set_prices,
    sweep,
    target,
    width,
)
from xbarc.numerics import Int64Array, compiled

_FINE = 64
"""Steps of a price that refutes."""
_DEEPEST = -64
"""Least target that charges."""


class Effort(NamedTuple):
    """How much work goes into the digits of one output.

    Attributes:
        tries: sweeps for one lowered width.
        most: sweeps for all lowered widths together.
        rounds: of looking for better widths.
        sweeps: of each round.
    """

    tries: int
    most: int
    rounds: int
    sweeps: int


class RuledOut(NamedTuple):
    """What is known of widths that cannot be met.

    Attributes:
        prices: axes: price, column.
        floors: what the cheapest digits cost under each price.
        failed: widths that were not met, nor refuted; axes: case, column.
    """

    prices: Int64Array
    floors: Int64Array
    failed: Int64Array


@compiled()
def _stands(prices, floors, held, rest, column, largest):
    """Whether some widths of the columns to come still satisfy every price."""
    for k in range(floors.shape[0]):
        paid = held[column, k] + prices[k, column] * largest
        held[column + 1, k] = paid
        # Even with the largest sums of all columns to come: a branch and bound over columns.
        if paid + rest[column + 1, k] < floors[k]:
            return False
    return True


@compiled()
def _given_up(widths, failed):
    """Whether these are no wider than widths that were not met."""
    for k in range(failed.shape[0]):
        wider = 0
        for column in range(widths.shape[0]):
            wider += widths[column] > failed[k, column]
        if wider == 0:
            return True
    return False


@compiled()
def _copy(numbers, to):
    """Copy a row; a loop for the reason that `copy_digits` is one."""
    for column in range(numbers.shape[0]):
        to[column] = numbers[column]


@compiled()
def next_widths(ruled_out, law, low, high, limit, top, best):
    """Cheapest widths between `low` and `high` that nothing rules out; their cost, or `limit`.

    Args:
        ruled_out: what cannot be met.
        law: cost of each width; never falls.
        low: least widths.
        high: largest widths.
        limit: only costs below this one count.
        top: largest input slice.
        best: out, where something was found.
    """
    prices, floors, failed = ruled_out
    columns = low.shape[0]
    rest = np.zeros((columns + 1, floors.shape[0]), np.int64)
    for column in range(columns - 1, -1, -1):
        largest = target(high[column], top)
        for k in range(floors.shape[0]):
            rest[column, k] = rest[column + 1, k] + prices[k, column] * largest
    held, spent = np.zeros_like(rest), np.zeros(columns + 1, np.int64)
    widths, column = low.copy(), 0
    widths[0] -= 1
    while column >= 0:
        widths[column] += 1
        here = widths[column]
        if here > high[column] or spent[column] + law[here] >= limit:
            column -= 1
        elif _stands(prices, floors, held, rest, column, target(here, top)):
            spent[column + 1] = spent[column] + law[here]
            if column < columns - 1:
                column += 1
                widths[column] = low[column] - 1
            elif not _given_up(widths, failed):
                limit = spent[columns]
                _copy(widths, best)
    return limit


@compiled()
def _refutes(weights, cell_bits, over, targets, price, digits, sums):
    """Turn offsets into whole prices, and say whether these refute the targets.

    Returns:
        The cost of the cheapest digits; 0 where nothing is refuted.
    """
    most = np.int64(0)
    for column in range(over.shape[0]):
        most = max(most, over[column])
    for column in range(over.shape[0]):
        # Whole numbers, so that the refutation is exact: floats would have to be rounded down, with
        # care, at every step.
        price[column] = (over[column] * _FINE + most // 2) // most
    linear(weights, cell_bits, price, digits, sums)
    floor, allowed = np.int64(0), np.int64(0)
    for column in range(over.shape[0]):
        floor += price[column] * sums[column]
        allowed += price[column] * targets[column]
    return floor if allowed < floor else 0


@compiled()
def _meet(weights, cell_bits, digits, sums, targets, table, sweeps, price):
    """Try to bring all sums within their targets.

    Returns:
        -1: met; 0: neither met nor refuted; more: refuted by `price`, with this floor.
    """
    over, charged = np.zeros_like(targets), np.zeros_like(targets)
    spare, spare_sums = np.zeros_like(digits), np.zeros_like(sums)
    for turn in range(sweeps):
        for column in range(targets.shape[0]):
            charged[column] = max(targets[column] - over[column], _DEEPEST)
        set_prices(table[0], table[1], charged)
        sweep(weights, cell_bits, digits, sums, table[0])
        if excess(sums, targets) == 0:
            return np.int64(-1)
        for column in range(targets.shape[0]):
            over[column] = max(0, over[column] + sums[column] - targets[column])
        # Offsets have to grow for a sweep or two before they are prices that can refute.
        if turn > 0:
            floor = _refutes(weights, cell_bits, over, targets, price, spare, spare_sums)
            if floor > 0:
                return floor
    return np.int64(0)


@compiled()
def _improve(weights, cell_bits, top, digits, sums, table, law, effort):
    """Look for cheaper widths around those of `digits` and `sums`, which are replaced by better."""
    columns, rounds = sums.shape[0], effort.rounds
    bits, targets = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    best, price = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    least, most = np.zeros(columns, np.int64), np.zeros(columns, np.int64)
    prices, floors = np.zeros((rounds, columns), np.int64), np.zeros(rounds, np.int64)
    failed, refuted, failures = np.zeros((rounds, columns), np.int64), 0, 0
    widest = width(weights.shape[0] * ((1 << cell_bits) - 1), top)
    trial, trial_sums = digits.copy(), sums.copy()
    for _ in range(rounds):
        measure(sums, top, bits, targets)
        found = cost_of(sums, top, law)
        known = RuledOut(prices[:refuted], floors[:refuted], failed[:failures])
        # One bit up or down: with eight columns these are 3**8 = 6,561 neighbours.
        for column in range(columns):
            least[column] = max(bits[column] - 1, 0)
            most[column] = min(bits[column] + 1, widest)
        if next_widths(known, law, least, most, found, top, best) >= found:
            return
        for column in range(columns):
            targets[column] = target(best[column], top)
        floor = _meet(weights, cell_bits, trial, trial_sums, targets, table, effort.sweeps, price)
        if floor < 0:
            copy_digits(trial, trial_sums, digits, sums)
        elif floor > 0:
            _copy(price, prices[refuted])
            floors[refuted] = floor
            refuted += 1
        else:
            _copy(best, failed[failures])
            failures += 1


@compiled()
def _table(rows, columns, cell_bits):
    """Prices of every sum of every column, not set yet."""
    largest = rows * ((1 << cell_bits) - 1) + 1
    return np.zeros((columns, largest + 1)), np.full(columns, np.int64(1) << 60)


@compiled()
def try_starts(weights, cell_bits, top, starts, law, slices, costs):
    """What each start comes to after one sweep a lowered width; axes of costs: problem, start."""
    rows, columns = weights.shape[1], starts.shape[1]
    table = _table(rows, columns, cell_bits)
    digits, sums = np.zeros((rows, slices), np.int8), np.zeros(columns, np.int64)
    for problem in range(weights.shape[0]):
        for start in range(starts.shape[0]):
            linear(weights[problem], cell_bits, starts[start], digits, sums)
            lower(weights[problem], cell_bits, top, digits, sums, table, 1, np.int64(1) << 20)
            costs[problem, start] = cost_of(sums, top, law)


@compiled()
def _cheapest_start(weights, cell_bits, top, starts, law, digits, sums):
    """The start whose digits cost least as they are."""
    best, least = 0, np.int64(-1)
    for start in range(starts.shape[0]):
        linear(weights, cell_bits, starts[start], digits, sums)
        cost = cost_of(sums, top, law)
        if least < 0 or cost < least:
            best, least = start, cost
    return best


@compiled()
def recode(weights, cell_bits, top, starts, law, effort, digits, span):
    """Choose the digits of each problem: the weights of one output in one set of rows.

    Args:
        weights: axes: problem, row.
        cell_bits: width of a digit without its sign.
        top: largest input slice.
        starts: prices of the columns to start from, plus and minus of each slice in turn, or one
            a slice where one converter sees their difference, axes: start, column; and those of
            which only the one is taken that is the cheapest as it is.
        law: cost of each width of a converter.
        effort: of each problem; where all of it is 0 the starts are all there is.
        digits: out; axes: problem, row, slice.
        span: first problem and the end; other threads may work on others at the same time.
    """
    always, others = starts
    columns, count = always.shape[1], always.shape[0] + min(1, others.shape[0])
    table = _table(weights.shape[1], columns, cell_bits)
    trial, sums = np.zeros(digits.shape[1:], np.int8), np.zeros(columns, np.int64)
    kept = np.zeros(columns, np.int64)
    for problem in range(span[0], span[1]):
        least = np.int64(-1)
        for start in range(count):
            if start < always.shape[0]:
                price = always[start]
            else:
                own = _cheapest_start(weights[problem], cell_bits, top, others, law, trial, sums)
                price = others[own]
            linear(weights[problem], cell_bits, price, trial, sums)
            if effort.tries > 0:
                tries, most = effort.tries, effort.most
                lower(weights[problem], cell_bits, top, trial, sums, table, tries, most)
            cost = cost_of(sums, top, law)
            if least < 0 or cost < least:
                least = cost
                copy_digits(trial, sums, digits[problem], kept)
        own = digits[problem]
        _improve(weights[problem], cell_bits, top, own, kept, table, law, effort)
