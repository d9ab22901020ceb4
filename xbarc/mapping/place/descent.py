# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Levels of signed pairs changed one by one, as long as what the outputs miss falls; compiled.

Rounding each weight to the nearest level is best for the weight, not for the output: what inputs
have in common, their means above all, meets the sum of all errors. Each step puts the pair of one
row where `e^T M e` is least, `e` being what an output's weights miss and `M` the second moments of
the inputs. That never rises, so it ends.

`pairs.py` is the typed face, and the only caller.
"""

from __future__ import annotations

from xbarc.numerics import compiled

_compiled = compiled(error_model="numpy")


@_compiled
def _contribution(cells, columns, i, grid):
    """What a pair of row `i` contributes, before its factor."""
    share, _, floor, _ = grid
    p, m = columns
    return share[i, p] * (cells[i, p] + floor) - share[i, m] * (cells[i, m] + floor)


@_compiled
def _best(cells, columns, i, grid, slope):
    """Levels of a pair of row `i` that lower the cost most, and their change of what it gives."""
    share, stuck, floor, levels = grid
    p, m = columns
    factor, pull, bend = slope
    now = _contribution(cells, columns, i, grid)
    # A gain within rounding could be undone by the next step and found again, sweep after sweep.
    best, move, best_p, best_m = -1e-9 * bend, 0.0, cells[i, p], cells[i, m]
    # One side at 0: two conducting cells would draw current for the same difference.
    for v in range(1 - levels, levels):
        a = stuck[i, p] if stuck[i, p] >= 0 else max(v, 0)
        b = stuck[i, m] if stuck[i, m] >= 0 else max(-v, 0)
        change = factor * (share[i, p] * (a + floor) - share[i, m] * (b + floor) - now)
        cost = change * (2 * pull + change * bend)
        if cost < best:
            best, move, best_p, best_m = cost, change, a, b
    return move, best_p, best_m


@_compiled
def descend(wanted, cells, pair, grid, matrix, sweeps):
    """Improve the levels of one output's pairs in place.

    Args:
        wanted: what the pairs are to give; axis: row.
        cells: levels; axes: row, column of the layer; changed.
        pair: columns of the positive and of the negative cells, and their factors; axis: slice.
        grid: share and stuck level of each cell (axes: row, column), floor, count of levels.
        matrix: mean of `x x^T`; axes: row, row.
        sweeps: at most.
    """
    plus, minus, factor = pair
    rows = len(wanted)
    error = -wanted
    for s in range(len(plus)):
        for i in range(rows):
            error[i] += factor[s] * _contribution(cells, (plus[s], minus[s]), i, grid)
    # Kept up to date by one row of the matrix a step; computed anew it would be a product each.
    pull = matrix @ error
    for _ in range(sweeps):
        changed = False
        for place in range(rows * len(plus)):
            i, s = place // len(plus), place % len(plus)
            slope = (factor[s], pull[i], matrix[i, i])
            move, p, m = _best(cells, (plus[s], minus[s]), i, grid, slope)
            if move != 0.0:
                cells[i, plus[s]], cells[i, minus[s]] = p, m
                changed = True
                # The slope for all rows after this change, exactly.
                pull += matrix[i] * move
        if not changed:
            break
