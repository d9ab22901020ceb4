# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled loops of `search.py`, its only caller.

Items are outputs, links say which two may be neighbours and with which relative sign. A chain grows
at both ends from a seed. `low` and `high` hold the least and the greatest level of every row at
each length of the chain; `ends` the levels of its first and its last column.
"""

from __future__ import annotations

import numpy as np

from xbarc.mapping.chains.loop_arguments import FIRST, LAST, SEED
from xbarc.numerics import compiled


@compiled()
def _fits(first, second, sign, limit):
    """Whether one output and `sign` times another stay within the levels as neighbours."""
    for r in range(first.shape[0]):
        both = first[r] + sign * second[r]
        if both > limit or both < -limit:
            return False, r + 1
    return True, first.shape[0]


@compiled()
def find_links(weights, limit, most, budget, start, other, sign):
    """Fill the lists of links; how many there are, or -1 where that takes too much.

    Item i's links stand from `start[i]` to `start[i + 1]`: `other` item, relative `sign`. All pairs
    are compared twice, so that each list comes out in order.
    """
    count, total, used = weights.shape[0], 0, 0
    for i in range(count):
        start[i] = total
        for j in range(count):
            if i == j:
                continue
            for turn in (1, -1):
                fits, cost = _fits(weights[i], weights[j], turn, limit)
                used += cost
                if fits:
                    if total == most:
                        return -1
                    other[total], sign[total] = j, turn
                    total += 1
        if used > budget:
            return -1
    start[count] = total
    return total


@compiled()
def grows(row, turn, side, reach):
    """Whether a chain can be longer by an output: its sum of new spans, or -1; rows looked at."""
    ends, low, high, limit = reach
    total = 0
    for r in range(row.shape[0]):
        level = ends[0, r] + turn * row[r] if side == FIRST else ends[1, r] - turn * row[r]
        # Not the level itself but the span counts: a constant for each row is free.
        span = max(high[r], level) - min(low[r], level)
        if span > limit:
            return -1, r + 1
        total += span
    return total, row.shape[0]


@compiled()
def put(row, turn, side, ends, low, high, length):
    """Levels of the chain after another output; `length` is that before it."""
    for r in range(row.shape[0]):
        if side == SEED:
            ends[0, r], ends[1, r] = turn * row[r], 0
            level, least, most = ends[0, r], 0, 0
        elif side == FIRST:
            ends[0, r] += turn * row[r]
            level, least, most = ends[0, r], low[length, r], high[length, r]
        else:
            ends[1, r] -= turn * row[r]
            level, least, most = ends[1, r], low[length, r], high[length, r]
        # Kept for every length, so that going back costs nothing: see `take`.
        low[length + 1, r], high[length + 1, r] = min(least, level), max(most, level)


@compiled()
def take(row, turn, side, ends):
    """Undo `put`; the levels of shorter chains are still there."""
    for r in range(row.shape[0]):
        if side == FIRST:
            ends[0, r] -= turn * row[r]
        elif side == LAST:
            ends[1, r] += turn * row[r]


@compiled()
def mark(item, change, start, other, degree):
    """Count an item in or out of its neighbours' free links."""
    for place in range(start[item], start[item + 1]):
        degree[other[place]] += change


@compiled()
def is_stuck(placed, degree, chains):
    """Whether free items with no or one free link are more than all chains can have at their ends.

    A free item lacks a free link for each end of a chain that it becomes, and for each end of the
    growing chain that it is put to. A chain to come has two ends; the growing one, at each of its
    two, one item that is put to it and one that becomes the end.
    """
    alone, single = 0, 0
    for item in range(placed.shape[0]):
        if not placed[item]:
            if degree[item] == 0:
                alone += 1
            elif degree[item] == 1:
                single += 1
    return 2 * alone + single > 2 * chains + 4


@compiled()
def _random(state, below):
    """The next number of a linear congruential generator, from 0 up to `below`."""
    # Knuth's MMIX generator. numba's own has a state for each thread, so that results would depend
    # on what ran there before.
    state[0] = state[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return int((state[0] >> np.uint64(33)) % np.uint64(below))


@compiled()
def _sort_in(ranked, count, item, turn, key):
    """Insert into a list sorted by key, which has a fixed length; the new count."""
    items, signs, keys = ranked
    place = min(count, items.shape[0] - 1)
    if count == items.shape[0] and key >= keys[place]:
        return count
    while place > 0 and keys[place - 1] > key:
        items[place], signs[place] = items[place - 1], signs[place - 1]
        keys[place] = keys[place - 1]
        place -= 1
    items[place], signs[place], keys[place] = item, turn, key
    return min(count + 1, items.shape[0])


@compiled()
def find_followers(weights, links, tip, reach, free, noise, ranked):
    """Free items that may follow at a tip, best first: how many, all there are, rows looked at.

    An item with few free neighbours comes first, for soon nobody may be left to stand beside it;
    of several such the one that widens the levels least, which counts less than one neighbour.
    """
    kept, every, used = 0, 0, 0
    for place in range(links.start[tip.item], links.start[tip.item + 1]):
        item = links.other[place]
        if free.placed[item]:
            continue
        turn = links.sign[place] * tip.sign
        span, cost = grows(weights[item], turn, tip.side, reach)
        used += cost
        if span >= 0:
            every += 1
            key = free.degree[item] * 1.0 + span / (1.0 + reach.limit * weights.shape[1])
            if noise.share > 0:
                key *= 1.0 + noise.share * _random(noise.state, 1024) / 1024.0
            kept = _sort_in(ranked, kept, item, turn, key)
    return kept, every, used


@compiled()
def best_seed(placed, degree, noise, state):
    """The free item with the fewest free links; every item is in some chain, so any would do."""
    best, least = -1, np.inf
    for item in range(placed.shape[0]):
        if not placed[item]:
            key = degree[item] * 1.0
            if noise > 0:
                key *= 1.0 + noise * _random(state, 1024) / 1024.0
            if key < least:
                best, least = item, key
    return best
