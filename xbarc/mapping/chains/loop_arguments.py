"""What `search.py` hands to its compiled loops; reading it loads no compiler."""

from __future__ import annotations

from typing import NamedTuple

from xbarc.numerics import AnyArray, BoolArray, Float64Array, Int64Array, IntArray

SEED, LAST, FIRST = 0, 1, 2


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
    """Levels of a chain in every row: of its two ends, the least and the greatest of all."""

    ends: IntArray
    low: IntArray
    high: IntArray
    limit: int


class Free(NamedTuple):
    """Items: which are placed, and how many free neighbours each has."""

    placed: BoolArray
    degree: Int64Array


class FollowerNoise(NamedTuple):
    """How much chance there is in an order, and the state that it is drawn from."""

    share: float
    state: AnyArray


class Ranked(NamedTuple):
    """The followers that are tried, best first; filled by `find_followers`."""

    items: Int64Array
    signs: Int64Array
    keys: Float64Array
