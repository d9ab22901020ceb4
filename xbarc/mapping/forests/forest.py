"""The best levels of columns whose differences are the outputs' weights.

Columns are vertices and outputs are edges; a weight is the level of one end of its edge less the
level of the other. Differential pairs are a matching, a bias column is a star, adjacent columns are
a path. Where the graph is a forest, dynamic programming from the leaves to the roots finds the
levels with the least weighted squared error, each row by itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.forests.graph import MID, Forest
from xbarc.numerics import AnyArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.forests import kernels
else:
    kernels = lazy_module("xbarc.mapping.forests.kernels")

__all__ = [
    "MID",
    "FittedLevels",
    "Forest",
    "Levels",
    "RowEncoder",
    "encode",
    "encode_exact",
    "levels_needed",
]

# Choices are kept as uint16.
_MOST_LEVELS = 1 << 16
_PLAIN_LEVELS = 4
"""Up to here all pairs of levels are tried; above, convexity pays."""
# Operations, a level of an edge each: that many take a millisecond, and a pool of two threads
# starts in a tenth of one. The rest is room for pools of many threads; not tuned.
_WORTH_THREADS = 1 << 16

Levels = int | Float64Array
"""A number of levels one step apart, or ascending conductances."""


@dataclass(frozen=True, eq=False)
class FittedLevels:
    """Levels and what they add up to.

    Attributes:
        levels: level indices; axes: row, vertex.
        values: of the edges, integers where levels are one step apart; axes: row, edge.
    """

    levels: IntArray
    values: AnyArray


def encode(
    forest: Forest,
    targets: Float64Array,
    levels: Levels,
    weights: Float64Array | None = None,
    *,
    threads: int = 0,
) -> FittedLevels:
    """Levels with the least `sum weights * (targets - values)**2`, each row by itself.

    Of several best assignments it is the one with the least level at each root (a component's
    pinned or last vertex), then at each vertex given the one before it on the way from the root.

    Args:
        forest: columns and outputs.
        targets: axes: row, edge.
        levels: how many, 0, 1, 2 and so on; or conductances in ascending order.
        weights: not negative; axes: edge, or row and edge; 1 where None.
        threads: that share the rows; 0 takes all cores. The result does not depend on it.

    Raises:
        ValueError: arrays of the wrong shape, values that are not finite, negative weights.
    """
    targets = _matrix(targets, forest.edges)
    solver = _Solver(forest, levels)
    weight = _weights(weights, targets)
    out = np.empty((len(targets), forest.vertices), dtype=solver.dtype)
    values = np.empty(targets.shape, dtype=solver.g.dtype)

    def work(bounds: tuple[int, int]) -> None:
        rows = slice(*bounds)
        # One row of weights serves all rows.
        part = weight[rows] if len(weight) > 1 else weight
        solver.solve(targets[rows], part, out[rows], solver.workspace())
        kernels.differences(out[rows], forest.plus, forest.minus, solver.g, values[rows])

    _share(work, len(targets), targets.size * len(solver.g), threads)
    return FittedLevels(out, values)


class RowEncoder:
    """`encode` for one row at a time, with everything prepared. Not for several threads at once.

    Args:
        forest: columns and outputs.
        levels: how many, or conductances in ascending order.
        weights: not negative; axis: edge; 1 where None.
    """

    def __init__(self, forest: Forest, levels: Levels, weights: Float64Array | None = None) -> None:
        self._forest = forest
        self._solver = _Solver(forest, levels)
        blank = np.zeros((1, forest.edges))
        self._weights = _weights(weights, blank)
        self._work = self._solver.workspace()
        self._levels = np.empty((1, forest.vertices), dtype=self._solver.dtype)

    @property
    def levels(self) -> IntArray:
        """Level indices of the last row; overwritten by the next."""
        row: IntArray = self._levels[0]
        return row

    def encode_row(self, target: Float64Array) -> AnyArray:
        """Best values for a row of finite targets; integers where levels are one step apart."""
        forest, solver = self._forest, self._solver
        row = np.ascontiguousarray(target, dtype=np.float64).reshape(1, forest.edges)
        solver.solve(row, self._weights, self._levels, self._work)
        values = np.empty(row.shape, dtype=solver.g.dtype)
        kernels.differences(self._levels, forest.plus, forest.minus, solver.g, values)
        row_values: AnyArray = values[0]
        return row_values


def encode_exact(forest: Forest, values: IntArray, levels: int) -> IntArray:
    """Level indices whose differences are exactly the values; axes: row, vertex.

    The least level of a component is 0 in every row, unless one of its vertices is pinned.

    Raises:
        ValueError: some row needs more levels; the message names the first, its edges and range.
    """
    relative = _potentials(forest, values)
    low, high = _extremes(forest, relative)
    pins = forest.pins(levels)
    # A component without a pin is free up to a constant: the least level at 0 makes the smallest
    # sums.
    shift = np.where(pins < 0, -low, pins)
    bad = np.argwhere((low + shift < 0) | (high + shift >= levels))
    # The message names the first row and its edges, since a hint about the whole matrix would help
    # nobody.
    if len(bad):
        row, component = map(int, bad[0])
        raise ValueError(_does_not_fit(forest, relative[row], row, component, levels))
    dtype = _level_type(levels)
    return (relative + shift[:, forest.component]).astype(dtype)


def levels_needed(forest: Forest, values: IntArray) -> int:
    """The smallest number of levels with which `encode_exact` succeeds, at least 1.

    Raises:
        ValueError: a vertex pinned at a given level would have to lie higher.
    """
    low, high = _extremes(forest, _potentials(forest, values))
    if not low.size:
        return 1
    needs = np.maximum((high - low).max(axis=0) + 1, 1)
    for vertex, level in forest.pinned:
        component = int(forest.component[vertex])
        least, most = int(low[:, component].min()), int(high[:, component].max())
        needs[component] = _pinned_need(vertex, level, least, most)
    return int(needs.max())


def _pinned_need(vertex: int, level: int, least: int, most: int) -> int:
    if level == MID:
        return max(-2 * least, 2 * most + 1, 1)
    if level + least < 0:
        raise ValueError(
            f"vertex {vertex} is pinned at level {level}, and values need it at {-least} or more"
        )
    return level + max(most, 0) + 1


def _does_not_fit(
    forest: Forest, relative: Int64Array, row: int, component: int, levels: int
) -> str:
    members = np.flatnonzero(forest.component == component)
    lowest = int(members[relative[members].argmin()])
    highest = int(members[relative[members].argmax()])
    edges = np.flatnonzero(forest.component[forest.plus] == component)
    spread = int(relative[highest] - relative[lowest])
    found = (
        f"row {row}, edges {edges[0]} to {edges[-1]}"
        if len(edges) > 1
        else (f"row {row}, edge {edges[0]}")
    )
    pins = [
        f" with vertex {v} pinned" for v, _ in forest.pinned if forest.component[v] == component
    ]
    return (
        f"{found}: values need vertices {lowest} and {highest} {spread} apart, that is "
        f"{spread + 1} levels; there are {levels}{''.join(pins)}"
    )


class _Solver:
    """A forest and its levels, ready for the compiled loops."""

    def __init__(self, forest: Forest, levels: Levels) -> None:
        self.g, self._uniform = _conductances(levels)
        count = len(self.g)
        self.dtype = _level_type(count)
        self._forest = forest
        # Edges that share no vertex have their optimum in closed form, without costs and messages.
        self._closed = self._uniform and forest.is_matching
        # Convexity in the level index needs levels one step apart.
        self._convex = self._uniform and count > _PLAIN_LEVELS
        self._floats = self.g.astype(np.float64)
        pins = forest.pins(count)
        components = np.column_stack([forest.plan.components, pins])
        self._graph = kernels.Graph(forest.plan.steps, components)

    def workspace(self) -> kernels.Workspace:
        """Costs, messages and choices of one row."""
        count, plan = len(self.g), self._forest.plan
        longest = 0 if self._closed else plan.longest
        return kernels.Workspace(
            np.zeros((plan.slots, count)),
            np.empty(count),
            np.empty(count + 1, dtype=np.int64),
            np.empty((longest, count), dtype=np.uint16),
        )

    def solve(
        self,
        targets: Float64Array,
        weights: Float64Array,
        out: IntArray,
        work: kernels.Workspace,
    ) -> None:
        """Level indices of some rows."""
        forest = self._forest
        if self._closed:
            out[:] = 0
            top = len(self.g) - 1
            kernels.match_rows(targets, weights, top, forest.plus, forest.minus, out)
            return
        kernels.encode_rows(targets, weights, self._floats, self._convex, self._graph, work, out)


def _potentials(forest: Forest, values: IntArray) -> Int64Array:
    """Level of each vertex less that of its component's root; axes: row, vertex."""
    values = np.asarray(values)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"values of {values.dtype} where integers are expected")
    if values.ndim != 2 or values.shape[1] != forest.edges:
        raise ValueError(f"values of shape {values.shape}, with {forest.edges} edges")
    out = np.empty((len(values), forest.vertices), dtype=np.int64)
    wide = np.ascontiguousarray(values, dtype=np.int64)
    kernels.potentials(wide, forest.plan.steps, forest.plan.components, out)
    return out


def _extremes(forest: Forest, relative: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Least and greatest potential; axes: row, component."""
    # reduceat needs the vertices of a component side by side.
    order = np.argsort(forest.component, kind="stable")
    starts = np.searchsorted(forest.component[order], np.arange(len(forest.plan.components)))
    if not len(starts):
        none = np.zeros((len(relative), 0), dtype=np.int64)
        return none, none
    grouped = relative[:, order]
    low = np.minimum.reduceat(grouped, starts, axis=1)
    return low, np.maximum.reduceat(grouped, starts, axis=1)


def _matrix(targets: Float64Array, edges: int) -> Float64Array:
    out = np.ascontiguousarray(targets, dtype=np.float64)
    if out.ndim != 2 or out.shape[1] != edges:
        raise ValueError(f"targets of shape {out.shape}, with {edges} edges")
    if not np.isfinite(out).all():
        raise ValueError("targets that are not finite")
    return out


def _weights(weights: Float64Array | None, targets: Float64Array) -> Float64Array:
    """Axes: row or 1, edge."""
    if weights is None:
        return np.ones((1, targets.shape[1]))
    out = np.ascontiguousarray(np.atleast_2d(weights), dtype=np.float64)
    if out.shape not in ((1, targets.shape[1]), targets.shape):
        raise ValueError(f"weights of shape {np.shape(weights)} for targets {targets.shape}")
    if not np.isfinite(out).all() or out.min(initial=0.0) < 0:
        raise ValueError("weights that are negative or not finite")
    return out


def _conductances(levels: Levels) -> tuple[AnyArray, bool]:
    """Value of each level, and whether they are 0, 1, 2 and so on."""
    if isinstance(levels, int | np.integer):
        if not 1 <= levels <= _MOST_LEVELS:
            raise ValueError(f"{levels} levels; 1 to {_MOST_LEVELS} can be encoded")
        return np.arange(levels, dtype=np.int32), True
    g = np.array(levels, dtype=np.float64)
    if g.ndim != 1 or not 1 <= len(g) <= _MOST_LEVELS:
        raise ValueError(f"levels of shape {g.shape}; 1 to {_MOST_LEVELS} can be encoded")
    if not np.isfinite(g).all() or (np.diff(g) <= 0).any():
        raise ValueError("levels that are not finite or not ascending")
    return g, False


def _level_type(levels: int) -> type[np.uint8] | type[np.uint16] | type[np.int32]:
    """The narrowest that holds a level; chains of weights with 16 bits need more than `uint16`."""
    return np.uint8 if levels <= 1 << 8 else np.uint16 if levels <= 1 << 16 else np.int32


def _share(
    work: Callable[[tuple[int, int]], None], rows: int, operations: int, threads: int
) -> None:
    """Distribute rows over threads, where there is enough to do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = min(threads or cores or 1, rows)
    if count < 2 or operations < _WORTH_THREADS:
        work((0, rows))
        return
    bounds = [rows * part // count for part in range(count + 1)]
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(work, pairwise(bounds)))
