# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Rounds of `tabu_search.py`: the compiled part, one pass over the table of places a round.

Sums are added in one order, so that a search takes the same way on every machine.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled


@compiled()
def best_exchange(tables, order, until, number, bounds):
    """The exchange that costs least, the first of equals in the order of rows.

    Args:
        tables: bytes between tiles, hops, bytes times hops if a tile stood elsewhere, and what must
            not be exchanged; axes: one, other.
        order: place of each tile.
        until: round before which a tile may not return to a place; axes: tile, place.
        number: of this round.
        bounds: the total now, and the total below which a barred exchange is allowed.

    Returns:
        Both tiles, and the change of the total; infinite where no exchange is allowed.
    """
    traffic, hops, moved, barred = tables
    now, allowed = bounds
    size = len(order)
    best, one, other = np.inf, 0, 0
    for i in range(size):
        own = moved[i, i]
        for j in range(size):
            if barred[i, j]:
                continue
            gain = moved[i, j] + moved[j, i] - own - moved[j, j]
            # The two stay as far apart as they were, which the sums above counted as distance 0.
            gain += 2 * traffic[i, j] * hops[i, j]
            if gain >= best:
                continue
            early = until[i, order[j]] > number or until[j, order[i]] > number
            # The usual aspiration: a barred exchange is allowed where it leads to the best
            # placement yet.
            if early and now + gain >= allowed:
                continue
            best, one, other = gain, i, j
    return one, other, best


@compiled()
def exchange(tables, a, b):
    """Let two tiles change places in all tables."""
    traffic, hops, moved, _ = tables
    size = len(hops)
    for i in range(size):
        sent = traffic[i, a] - traffic[i, b]
        for j in range(size):
            moved[i, j] += sent * (hops[b, j] - hops[a, j])
        moved[i, a], moved[i, b] = moved[i, b], moved[i, a]
    for j in range(size):
        hops[a, j], hops[b, j] = hops[b, j], hops[a, j]
    for i in range(size):
        hops[i, a], hops[i, b] = hops[i, b], hops[i, a]
