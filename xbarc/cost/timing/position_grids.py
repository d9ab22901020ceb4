"""Grids of positions: what a layer reads, what it writes, and what a fragment makes of them."""

from __future__ import annotations

from math import prod

import numpy as np

from xbarc.cost.timing.position_needs import POINT, Reaches, window_reach
from xbarc.ir import CrossbarStep, Dense, Scatter, Window, scatter_extent, window_output
from xbarc.numerics import IntArray

Grid = tuple[int, ...]


def input_grid(step: CrossbarStep) -> Grid | None:
    """Positions of a layer's input, batch first; None where the shape does not tell."""
    shape = step.input_shape
    if shape is None or not shape:
        return None
    if isinstance(step.geometry, Dense):
        axis = -1 if len(shape) == 1 else step.geometry.contract_axis
        kept = tuple(n for i, n in enumerate(shape) if i - len(shape) != axis)
        return kept or (1,)
    if len(shape) != len(step.geometry.kernel) + 2:
        return None
    return (shape[0], *shape[2:])


def positions_held(step: CrossbarStep) -> int | None:
    """Positions of a layer's largest grid: input, vectors or result; None where it is unknown."""
    source = input_grid(step)
    if source is None:
        return None
    other = source
    match step.geometry:
        case Window() as window:
            other = (source[0], *window_output(window, source[1:]))
        case Scatter() as scatter:
            other = (source[0], *scatter_extent(scatter, source[1:])[0])
        case Dense():
            pass
    return max(prod(source), prod(other))


def vector_grid(step: CrossbarStep, grid: Grid) -> tuple[Grid, Reaches]:
    """Grid of a layer's input vectors, and the input positions that each needs."""
    match step.geometry:
        case Window() as window:
            return (grid[0], *window_output(window, grid[1:])), window_reach(window, grid[1:])
        case Scatter():
            return grid, POINT
        case Dense() as dense:
            if dense.batch:
                # A matrix for each position of the batch: no window says what a vector needs, so it
                # waits for all.
                return (max(1, prod(grid) // prod(dense.batch)),), None
            return grid, POINT


def result_grid(step: CrossbarStep, source: Grid, grid: Grid) -> tuple[Grid, IntArray | None]:
    """Grid of a layer's result, and the vector that completes each position; None: its own."""
    if not isinstance(step.geometry, Scatter):
        return grid, None
    extent, crop = scatter_extent(step.geometry, source[1:])
    index = np.arange(source[0]).reshape(-1, *([1] * len(extent)))
    for axis, size in enumerate(extent):
        last = (np.arange(size) + crop[axis]) // step.geometry.strides[axis]
        shape = [1] * (len(extent) + 1)
        shape[axis + 1] = -1
        # Row-major numbers, axis by axis. The last vector that adds to a position completes it.
        index = index * source[axis + 1] + np.clip(last, 0, source[axis + 1] - 1).reshape(shape)
    out = (source[0], *extent)
    return out, np.broadcast_to(index, out).reshape(-1)


def channels(step: CrossbarStep, grid: Grid) -> int:
    """Numbers that stand at one input position."""
    return prod(step.input_shape or (0,)) // max(1, prod(grid))
