"""Rounds of `tabu_search.py` without compiled code: the same sums in the same order."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import BoolArray, Float64Array, Int64Array

Tables = tuple[Float64Array, Float64Array, Float64Array, BoolArray]


def best_exchange(
    tables: Tables, order: Int64Array, until: Int64Array, number: int, bounds: tuple[float, float]
) -> tuple[int, int, float]:
    """As `exchange_loop.best_exchange`."""
    traffic, hops, moved, barred = tables
    own = np.diag(moved)
    gain: Float64Array = moved + moved.T - own[:, None] - own[None, :]
    gain += 2 * traffic * hops
    gain[barred] = np.inf
    early = until[:, order] > number
    gain[(early | early.T) & (bounds[0] + gain >= bounds[1])] = np.inf
    chosen = int(np.argmin(gain))
    one, other = divmod(chosen, len(order))
    return one, other, float(gain.flat[chosen])


def exchange(tables: Tables, a: int, b: int) -> None:
    """As `exchange_loop.exchange`."""
    traffic, hops, moved, _ = tables
    sent = traffic[:, a] - traffic[:, b]
    moved += np.outer(sent, hops[b] - hops[a])
    moved[:, [a, b]] = moved[:, [b, a]]
    hops[[a, b]] = hops[[b, a]]
    hops[:, [a, b]] = hops[:, [b, a]]
