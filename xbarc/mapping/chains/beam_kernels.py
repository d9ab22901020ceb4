# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled loops of `beam.py`, its only caller.

A beam holds chains of one length. Each grows by one output at
either end; the best of what comes of all of them are the next beam.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled

# Fibonacci hashing: 2**64 over the golden ratio, odd (Knuth, The Art of Computer Programming 6.4).
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@compiled()
def _is_placed(placed, item):
    """Whether a chain holds an output."""
    return (placed[item >> 6] >> np.uint64(item & 63)) & np.uint64(1) != 0


@compiled()
def _count_free(placed, links, degree):
    """Possible neighbours of each output that are free; -1 for outputs that are placed."""
    for item in range(degree.shape[0]):
        degree[item] = -1
        if _is_placed(placed, item):
            continue
        degree[item] = 0
        for k in range(links.start[item], links.start[item + 1]):
            if not _is_placed(placed, links.other[k]):
                degree[item] += 1


@compiled()
def _reach(beam, entry, way, row, limit, level, low, high):
    """Levels with one more output at an end; whether all rows keep to the limit."""
    side, turn = way >> 1, 1 - 2 * (way & 1)
    step = turn if side == 0 else -turn
    for r in range(row.shape[0]):
        level[r] = beam.tips[entry, side, r] + step * row[r]
        low[r] = min(beam.low[entry, r], level[r])
        high[r] = max(beam.high[entry, r], level[r])
        if high[r] - low[r] > limit:
            return False
    return True


@compiled()
def _state(other, level, low, high, side, random):
    """A number for what matters of a chain beside its outputs: levels of ends and of all."""
    key = np.uint64(0)
    for r in range(level.shape[0]):
        key += random[side, r] * np.uint64(level[r] - low[r])
        key += random[1 - side, r] * np.uint64(other[r] - low[r])
        key += random[2, r] * np.uint64(high[r] - low[r])
    return key * _GOLDEN


@compiled()
def _is_new(table, key):
    """Whether no equal chain was seen at this length; it is noted."""
    place = np.int64(key & np.uint64(table.shape[0] - 1))
    while table[place] != 0:
        if table[place] == key:
            return False
        place = (place + 1) & (table.shape[0] - 1)
    table[place] = key
    return True


@compiled()
def _loss(item, links, degree, price):
    """How much harder the outputs that stay free are to place, once an item is placed."""
    total = -price[degree[item]]
    for k in range(links.start[item], links.start[item + 1]):
        free = degree[links.other[k]]
        if free > 0:
            total += price[free - 1] - price[free]
    return total


@compiled()
def _expand(beam, entry, problem, work, found, count):
    """Add what comes of one chain; how many ways on there are then."""
    columns, links = problem.columns, problem.links
    _count_free(beam.placed[entry], links, work.degree)
    for item in range(columns.shape[0]):
        if work.degree[item] < 0:
            continue
        loss = _loss(item, links, work.degree, problem.price)
        for way in range(4):
            if count == found.item.shape[0]:
                return count
            if not _reach(
                beam, entry, way, columns[item], problem.limit, work.level, work.low, work.high
            ):
                continue
            outputs = beam.outputs[entry] ^ problem.name[item]
            other = beam.tips[entry, 1 - (way >> 1)]
            key = _state(other, work.level, work.low, work.high, way >> 1, problem.random)
            if _is_new(work.table, (outputs ^ key) | np.uint64(1)):
                found.parent[count], found.item[count], found.way[count] = entry, item, way
                found.score[count] = beam.score[entry] + loss
                count += 1
    return count


@compiled()
def _take(beam, following, place, way, problem):
    """Put a chain with one more output into the next beam; `way` is parent, item, way."""
    entry, item, turn = way
    row, side = problem.columns[item], turn >> 1
    # Loops: numba takes seconds for the code of an assignment between arrays.
    for word in range(beam.placed.shape[1]):
        following.placed[place, word] = beam.placed[entry, word]
    following.placed[place, item >> 6] |= np.uint64(1) << np.uint64(item & 63)
    following.outputs[place] = beam.outputs[entry] ^ problem.name[item]
    for r in range(row.shape[0]):
        following.tips[place, 0, r] = beam.tips[entry, 0, r]
        following.tips[place, 1, r] = beam.tips[entry, 1, r]
    _reach(
        beam,
        entry,
        turn,
        row,
        problem.limit,
        following.tips[place, side],
        following.low[place],
        following.high[place],
    )


@compiled()
def grow_chains(beam, following, problem, work, found, past):
    """Grow chains output by output; the length of the longest.

    Args:
        beam: room for chains; the first is empty.
        following: room for chains one output longer.
        problem: outputs, links and what they are judged by.
        work: room for one chain.
        found: room for ways on.
        past: axes: length, chain; parent, item and way of each.
    """
    size, count = 1, problem.columns.shape[0]
    for length in range(count):
        ways = 0
        work.table[:] = 0
        for entry in range(size):
            ways = _expand(beam, entry, problem, work, found, ways)
        if ways == 0:
            return length
        # Stable, so that equal scores keep their order everywhere.
        best = np.argsort(found.score[:ways], kind="mergesort")[: past.item.shape[1]]
        size = best.shape[0]
        for place in range(size):
            k = best[place]
            way = (found.parent[k], found.item[k], found.way[k])
            _take(beam, following, place, way, problem)
            past.parent[length, place], past.item[length, place], past.way[length, place] = way
            following.score[place] = found.score[k]
        beam, following = following, beam
    return count
