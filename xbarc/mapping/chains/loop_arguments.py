"""What `search.py` hands to its compiled loops; reading it loads no compiler.

Numbers that belong together are fields of one record, not arrays of their own: a compiled function
counts references to every array that it is given, and with an array for each number that took most
of the time of a search.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from xbarc.numerics import AnyArray, BoolArray, Int64Array, IntArray

SEED, LAST, FIRST = 0, 1, 2
# Places in `ChainSearch.tally`: chains begun, rows looked at, and whether ways on were left out.
BEGUN, WORK, LEFT_OUT = 0, 1, 2
# What a search answers.
NONE, FOUND, UNKNOWN = 0, 1, 2

PUT: Final = np.dtype([("item", np.int32), ("sign", np.int32)])
"""An item that is put to a chain, and its sign."""
RANKED: Final = np.dtype([("item", np.int64), ("sign", np.int64), ("key", np.float64)])
"""An item that may follow, its sign, and its rank: the least comes first."""
CHAIN: Final = np.dtype([(name, np.int64) for name in ("size", "begin", "first", "stop", "closed")])
"""A chain that is begun.

Its length as a place in `ChainSearch.lengths`, the items of all chains before it, the places of its
own from `first` to `stop`, and the ends that take no further item: LAST + FIRST where neither does.
"""
FRAME: Final = np.dtype([(name, np.int64) for name in ("side", "count", "next")])
"""Moves that are open at one depth of the search.

Of `side`, where SEED stands for the lengths of a new chain; how many there are; and the one that is
tried next: the one before is made.
"""


class Links(NamedTuple):
    """Possible neighbours: those of item i from `start[i]` to `start[i + 1]`."""

    start: Int64Array
    other: IntArray
    sign: IntArray


class Tip(NamedTuple):
    """The end of a chain that grows: its item, that item's sign, and FIRST or LAST."""

    item: int
    sign: int
    side: int


class ChainReach(NamedTuple):
    """Levels of a chain in every row: at the end that grows, the least and the greatest of all.

    Attributes:
        end: level at the end.
        levels: axes: least and greatest, row.
        limit: the widest span.
    """

    end: IntArray
    levels: IntArray
    limit: int


class Free(NamedTuple):
    """Items: which are placed, and how many free neighbours each has."""

    placed: BoolArray
    degree: Int64Array


class FollowerNoise(NamedTuple):
    """How much chance there is in an order, and the state that it is drawn from."""

    share: float
    state: AnyArray


class GrownChains(NamedTuple):
    """Chains begun so far, one after the other; all but the last are whole.

    Attributes:
        table: a CHAIN each.
        items: PUT by PUT, with room for as many before the seed as behind it.
        ends: levels of the first and the last column; axes: chain, end, row.
        levels: least and greatest at each length of each chain; axes: length, two, row.
    """

    table: AnyArray
    items: AnyArray
    ends: IntArray
    levels: IntArray


class OpenMoves(NamedTuple):
    """Open moves at each depth.

    Attributes:
        table: a FRAME each.
        moves: what each puts, best first; item -1 closes the end. Axes: depth, move.
    """

    table: AnyArray
    moves: AnyArray


class ChainSearch(NamedTuple):
    """An attempt: what is given, and what changes while it runs.

    Attributes:
        weights: axes: item, row.
        links: who can be neighbours.
        limit: the widest span of levels in a row.
        lengths: that chains have, each once, the longest first.
        left: chains to come of each length.
        ranked: followers at the last and at the first item; axes: end, RANKED.
        tally: numbers by BEGUN, WORK and LEFT_OUT.
    """

    weights: IntArray
    links: Links
    limit: int
    lengths: Int64Array
    left: Int64Array
    free: Free
    chance: FollowerNoise
    ranked: AnyArray
    chains: GrownChains
    frames: OpenMoves
    tally: Int64Array
