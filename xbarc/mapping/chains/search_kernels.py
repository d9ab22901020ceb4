# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled loops of `search.py`, its only caller.

Items are outputs, links say which two may be neighbours and with which relative sign. A chain grows
at both ends from a seed. `low` and `high` hold the least and the greatest level of every row at
each length of the chain; `ends` the levels of its first and its last column.

The whole search is one loop: a call from Python for each move took ten times as long as the move.
"""

from __future__ import annotations

import numpy as np

from xbarc.mapping.chains.loop_arguments import (
    BEGUN,
    FIRST,
    FOUND,
    LAST,
    LEFT_OUT,
    NONE,
    SEED,
    UNKNOWN,
    WORK,
    ChainReach,
    Tip,
)
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
def _put(row, turn, side, ends, levels):
    """Levels of a chain after another output; `levels` begins at its length before."""
    for r in range(row.shape[0]):
        least, most = levels[0, 0, r], levels[0, 1, r]
        if side == SEED:
            ends[0, r], ends[1, r], least, most = turn * row[r], 0, 0, 0
        elif side == FIRST:
            ends[0, r] += turn * row[r]
        else:
            ends[1, r] -= turn * row[r]
        level = ends[1 if side == LAST else 0, r]
        # Kept for every length, so that going back costs nothing: see `_take`.
        levels[1, 0, r], levels[1, 1, r] = min(least, level), max(most, level)


@compiled()
def _take(row, turn, side, ends):
    """Undo `_put`; the levels of shorter chains are still there."""
    for r in range(row.shape[0]):
        if side == FIRST:
            ends[0, r] -= turn * row[r]
        elif side == LAST:
            ends[1, r] += turn * row[r]


@compiled()
def _mark(item, change, start, other, degree):
    """Count an item in or out of its neighbours' free links."""
    for place in range(start[item], start[item + 1]):
        degree[other[place]] += change


@compiled()
def _is_stuck(placed, degree, chains):
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
    place = min(count, len(ranked) - 1)
    if count == len(ranked) and key >= ranked[place].key:
        return count
    while place > 0 and ranked[place - 1].key > key:
        ranked[place] = ranked[place - 1]
        place -= 1
    ranked[place].item, ranked[place].sign, ranked[place].key = item, turn, key
    return min(count + 1, len(ranked))


@compiled()
def _find_followers(weights, links, tip, reach, free, noise, ranked):
    """Free items that may follow at a tip, best first: how many, all there are, rows looked at.

    An item with few free neighbours comes first, for soon nobody may be left to stand beside it;
    of several such the one that widens the levels least, which counts less than one neighbour.
    """
    kept, every, used = 0, 0, 0
    end, levels, limit = reach
    widest = 1.0 + limit * weights.shape[1]
    for place in range(links.start[tip.item], links.start[tip.item + 1]):
        item = links.other[place]
        if free.placed[item]:
            continue
        turn = links.sign[place] * tip.sign
        step = turn if tip.side == FIRST else -turn
        # The sum of the new spans, up to a row that does not fit. Not a function of its own: its
        # call would take longer than the few rows that most items need.
        row, span, total = 0, 0, 0
        while row < weights.shape[1] and span <= limit:
            level = end[row] + step * weights[item, row]
            # Not the level itself but the span counts: a constant for each row is free.
            span = max(levels[1, row], level) - min(levels[0, row], level)
            total += span
            row += 1
        used += row
        if span <= limit:
            every += 1
            key = free.degree[item] * 1.0 + total / widest
            if noise.share > 0:
                key *= 1.0 + noise.share * _random(noise.state, 1024) / 1024.0
            kept = _sort_in(ranked, kept, item, turn, key)
    return kept, every, used


@compiled()
def _best_seed(placed, degree, noise, state):
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


@compiled()
def _is_whole(chain, lengths):
    """Whether a chain has its length."""
    return chain.stop - chain.first == lengths[chain.size]


@compiled()
def _level_row(chain, number):
    """Where the levels of a chain as it is stand."""
    # Each chain has one column more than items, and so do all before it.
    return chain.begin + number + chain.stop - chain.first


@compiled()
def _find_ways(search, number, side):
    """How many items may follow at one end of a chain; `search.ranked` says which."""
    chains = search.chains
    chain = chains.table[number]
    tip = chains.items[chain.first if side == FIRST else chain.stop - 1]
    levels = chains.levels[_level_row(chain, number)]
    kept, every, used = _find_followers(
        search.weights,
        search.links,
        Tip(int(tip.item), int(tip.sign), side),
        ChainReach(chains.ends[number, 0 if side == FIRST else 1], levels, search.limit),
        search.free,
        search.chance,
        search.ranked[side - 1],
    )
    search.tally[WORK] += used
    # Some ways were left out, so that finding none proves nothing.
    search.tally[LEFT_OUT] |= kept < every
    return kept


@compiled()
def _open_frame(search, depth):
    """List what can be done next, best first."""
    number = search.tally[BEGUN] - 1
    frame = search.frames.table[depth]
    frame.next, frame.count = 0, 0
    if number < 0 or _is_whole(search.chains.table[number], search.lengths):
        chance = search.chance
        seed = _best_seed(search.free.placed, search.free.degree, chance.share, chance.state)
        frame.side, frame.count = SEED, len(search.lengths)
        search.frames.moves[depth, 0].item, search.frames.moves[depth, 0].sign = seed, 1
        return
    closed = search.chains.table[number].closed
    last = np.int64(-1) if closed & LAST else _find_ways(search, number, LAST)
    first = np.int64(-1) if closed & FIRST else _find_ways(search, number, FIRST)
    if last > 0 or first > 0:
        _list_ways(search.ranked, last, first, frame, search.frames.moves[depth])


@compiled()
def _list_ways(ranked, last, first, frame, moves):
    """The ways on at one end; how many there are at each, or -1 where it is closed."""
    # The end with fewer ways on first: what cannot be decided there ends this branch soonest.
    side = FIRST if last < 0 or 0 <= first < last else LAST
    count = first if side == FIRST else last
    for way in range(count):
        moves[way].item, moves[way].sign = ranked[side - 1, way].item, ranked[side - 1, way].sign
    # Complete only if the end may also stay as it is, and the chain go on at the other.
    if min(last, first) >= 0:
        moves[count].item = -1
        count += 1
    frame.side, frame.count = side, count


@compiled()
def _take_next(frame, left):
    """Go on to the next move of a frame; whether there is one."""
    if frame.side == SEED:
        # A length of which no chain is left is no move.
        while frame.next < frame.count and left[frame.next] == 0:
            frame.next += 1
    frame.next += 1
    return frame.next <= frame.count


@compiled()
def _made(frame):
    """Place of the move of a frame that is made; all lengths of a new chain have the first."""
    return 0 if frame.side == SEED else frame.next - 1


@compiled()
def _make(search, depth):
    """Put an item, begin a chain with it, or close an end."""
    chains = search.chains
    frame = search.frames.table[depth]
    side, move = frame.side, search.frames.moves[depth, _made(frame)]
    if side == SEED:
        _begin(search, frame.next - 1)
    number = search.tally[BEGUN] - 1
    chain = chains.table[number]
    if move.item < 0:
        chain.closed |= side
        return
    levels = chains.levels[_level_row(chain, number) :]
    _put(search.weights[move.item], np.int64(move.sign), side, chains.ends[number], levels)
    chain.first -= side == FIRST
    put = chains.items[chain.first if side == FIRST else chain.stop]
    put.item, put.sign = move.item, move.sign
    chain.stop += side != FIRST
    search.free.placed[move.item] = True
    _mark(move.item, -1, search.links.start, search.links.other, search.free.degree)


@compiled()
def _begin(search, size):
    """Begin a chain of a length."""
    number, table = search.tally[BEGUN], search.chains.table
    chain = table[number]
    chain.size, chain.begin, chain.closed = size, 0, 0
    if number:
        chain.begin = table[number - 1].begin + search.lengths[table[number - 1].size]
    chain.first = chain.stop = 2 * chain.begin + search.lengths[size]
    search.left[size] -= 1
    search.tally[BEGUN] += 1


@compiled()
def _undo(search, depth):
    """Undo the move of a frame."""
    frame = search.frames.table[depth]
    side, move = frame.side, search.frames.moves[depth, _made(frame)]
    number = search.tally[BEGUN] - 1
    chain = search.chains.table[number]
    if move.item < 0:
        chain.closed &= ~side
        return
    _take(search.weights[move.item], np.int64(move.sign), side, search.chains.ends[number])
    chain.first += side == FIRST
    chain.stop -= side != FIRST
    search.free.placed[move.item] = False
    _mark(move.item, 1, search.links.start, search.links.other, search.free.degree)
    if side == SEED:
        search.left[chain.size] += 1
        search.tally[BEGUN] -= 1


@compiled()
def _go_back(search, depth):
    """The deepest depth with a move left, which is taken; -1 where there is none."""
    while depth >= 0 and not _take_next(search.frames.table[depth], search.left):
        depth -= 1
        if depth >= 0:
            _undo(search, depth)
    return depth


@compiled()
def search_order(search, moves, work):
    """Search until an order is found, all are tried, or moves or work are used up."""
    depth = 0
    _open_frame(search, depth)
    for _ in range(moves):
        depth = _go_back(search, depth)
        if depth < 0:
            return UNKNOWN if search.tally[LEFT_OUT] else NONE
        _make(search, depth)
        left = 0
        for chains in search.left:
            left += chains
        if left == 0 and _is_whole(search.chains.table[search.tally[BEGUN] - 1], search.lengths):
            return FOUND
        # Counted, not timed, so that the answer does not depend on the machine.
        if search.tally[WORK] > work:
            break
        depth += 1
        if _is_stuck(search.free.placed, search.free.degree, left):
            search.frames.table[depth].next, search.frames.table[depth].count = 0, 0
        else:
            _open_frame(search, depth)
    return UNKNOWN
