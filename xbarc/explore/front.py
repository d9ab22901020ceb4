"""Designs of which no other is better at everything, and the space that they dominate."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import BoolArray, Float64Array


def on_front(values: Float64Array) -> BoolArray:
    """Which rows no other row dominates: at most as large everywhere, and smaller somewhere.

    Args:
        values: less is better; axes: design, objective. Rows with NaN are on no front.

    Returns:
        Axis: design. Rows that are equal are on the front together.
    """
    known: BoolArray = np.logical_not(np.isnan(values).any(axis=1))
    found = np.zeros(len(values), dtype=np.bool_)
    kept = np.empty((0, values.shape[1]))
    # In the order of the first objective, then the next: nothing that comes later dominates what
    # came before, so each row meets only the front so far.
    order = [row for row in np.lexsort(values.T[::-1]).tolist() if known[row]]
    for row in order:
        value = values[row]
        better = (kept <= value).all(axis=1) & (kept < value).any(axis=1)
        if not better.any():
            found[row] = True
            kept = np.vstack([kept, value])
    return found


def hypervolume(values: Float64Array, worst: Float64Array) -> float:
    """The volume between a front and a corner that is worse than all of it.

    Args:
        values: less is better; axes: design, objective.
        worst: the corner; axis: objective.
    """
    inside = values[(values < worst).all(axis=1)]
    if not len(inside):
        return 0.0
    inside = np.unique(inside[on_front(inside)], axis=0)
    if values.shape[1] == 1:
        return float(worst[0] - inside[:, 0].min())
    # Slices along the last objective: between two neighbouring values of it, the volume is that of
    # the front of what lies below, in one objective less.
    inside = inside[np.argsort(inside[:, -1], kind="stable")]
    ends = [*inside[1:, -1].tolist(), float(worst[-1])]
    volume = 0.0
    for number, end in enumerate(ends):
        height = end - inside[number, -1]
        if height > 0:
            volume += height * hypervolume(inside[: number + 1, :-1], worst[:-1])
    return volume
