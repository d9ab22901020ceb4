"""Tiles change places until that helps no more: robust tabu search for a quadratic assignment.

Each round makes the exchange that costs least, a dear one too, unless it brings a tile back to
where it was not long ago. All gains are kept and brought up to date in one step, so that a round
takes a few passes over a table of places by places. Nothing is drawn at random.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.cost.mesh import exchange_arrays
from xbarc.lazy import lazy_module
from xbarc.numerics import BoolArray, Float64Array, Int64Array

if TYPE_CHECKING:
    from xbarc.cost.mesh import exchange_loop
else:
    exchange_loop = lazy_module("xbarc.cost.mesh.exchange_loop")

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

    @property
    def rounds(self) -> Any:
        """Compiled rounds where compiled code is loaded anyway; loading it would take longer.

        Both give the same places.
        """
        # Not a lazy module: a file that imports a part of numba would find the package half loaded.
        return exchange_loop if "numba.core" in sys.modules else exchange_arrays

    def tables(self) -> tuple[Float64Array, Float64Array, Float64Array, BoolArray]:
        """What the compiled rounds read and write."""
        return self.traffic, self.hops, self.moved, self.free

    def exchange(self, a: int, b: int, number: int) -> None:
        """Let two tiles change places, and keep them from going back for a while."""
        # 7919 is prime: stays differ from round to round without random numbers, against cycles
        stay = len(self.order) // 2 + number * 7919 % len(self.order)
        self.until[a, self.order[a]] = self.until[b, self.order[b]] = number + stay
        self.rounds.exchange(self.tables(), a, b)
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
        bounds = (now, best - slack)
        one, other, gain = search.rounds.best_exchange(
            search.tables(), search.order, search.until, number, bounds
        )
        if not np.isfinite(gain):
            break
        now += gain
        search.exchange(one, other, number)
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
