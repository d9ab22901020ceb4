"""Tiles change places until that helps no more: robust tabu search for a quadratic assignment.

Each round makes the exchange that costs least, a dear one too, unless it brings a tile back to
where it was not long ago. All gains are kept and brought up to date in one step, so that a round
takes a few passes over a table of places by places. Nothing is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.numerics import BoolArray, Float64Array, Int64Array

PATIENCE = 300
"""Rounds without a better placement after which the search ends."""


@dataclass(eq=False)
class _Search:
    """Where every tile is; places without a tile hold one that sends nothing.

    Attributes:
        order: place of each tile.
        hops: between the places of any two tiles.
        moved: at [i, j] the bytes times hops of tile i, were it at the place of tile j.
        until: round before which a tile may not return to a place; axes: tile, place.
    """

    traffic: Float64Array
    order: Int64Array
    hops: Float64Array
    moved: Float64Array
    until: Int64Array
    free: BoolArray

    def gains(self) -> Float64Array:
        """Change of the total when two tiles change places; axes: one, other."""
        own = np.diag(self.moved)
        gain: Float64Array = self.moved + self.moved.T - own[:, None] - own[None, :]
        # the two stay as far apart as they were, which the sums above counted as distance 0
        gain += 2 * self.traffic * self.hops
        gain[self.free] = np.inf
        return gain

    def barred_exchanges(self, number: int) -> BoolArray:
        """Exchanges that bring a tile back too early."""
        early = self.until[:, self.order] > number
        return np.asarray(early | early.T, dtype=np.bool_)

    def exchange(self, a: int, b: int, number: int) -> None:
        """Let two tiles change places, and keep them from going back for a while."""
        # 7919 is prime: stays differ from round to round without random numbers, against cycles
        stay = len(self.order) // 2 + number * 7919 % len(self.order)
        self.until[a, self.order[a]] = self.until[b, self.order[b]] = number + stay
        sent = self.traffic[:, a] - self.traffic[:, b]
        self.moved += np.outer(sent, self.hops[b] - self.hops[a])
        self.moved[:, [a, b]] = self.moved[:, [b, a]]
        self.hops[[a, b]] = self.hops[[b, a]]
        self.hops[:, [a, b]] = self.hops[:, [b, a]]
        self.order[[a, b]] = self.order[[b, a]]


def improve_places(
    traffic: Float64Array, distance: Int64Array, places: Int64Array, patience: int = PATIENCE
) -> Int64Array:
    """Better places for tiles; never worse ones than those given.

    Args:
        traffic: bytes between tiles, both ways together; symmetric.
        distance: hops between any two places.
        places: place of each tile to begin with.
        patience: rounds without a better placement after which the search ends.
    """
    search = _begin(traffic, distance, places)
    count, now, best = len(places), 0.0, 0.0
    kept, number, last = search.order.copy(), 0, 0
    # `now` is a sum of rounded gains: less than this is no better placement
    slack = 1e-9 * max(1.0, float(search.traffic.sum()))
    while number - last < patience:
        gain = search.gains()
        # The usual aspiration: a barred exchange is allowed where it leads to the best placement
        # yet.
        gain[search.barred_exchanges(number) & (now + gain >= best - slack)] = np.inf
        chosen = int(np.argmin(gain))
        if not np.isfinite(gain.flat[chosen]):
            break
        now += float(gain.flat[chosen])
        search.exchange(*divmod(chosen, len(search.order)), number)
        number += 1
        if now < best - slack:
            best, last, kept = now, number, search.order.copy()
    # Places without a tile took part as tiles that send nothing; they are left out again.
    return kept[:count]


def _begin(traffic: Float64Array, distance: Int64Array, places: Int64Array) -> _Search:
    size, count = len(distance), len(places)
    full = np.zeros((size, size))
    full[:count, :count] = traffic
    np.fill_diagonal(full, 0.0)
    order = np.concatenate([places, np.setdiff1d(np.arange(size), places)])
    hops = distance[np.ix_(order, order)].astype(np.float64)
    empty = np.arange(size) >= count
    nothing = empty[:, None] & empty[None, :]
    np.fill_diagonal(nothing, True)
    until = np.zeros((size, size), dtype=np.int64)
    return _Search(full, order, hops, full @ hops, until, nothing)
