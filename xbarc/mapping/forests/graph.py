"""Columns and outputs as a graph: columns are vertices, outputs are edges between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.forests.plan import ForestPlan, make_plan
from xbarc.numerics import IntArray

if TYPE_CHECKING:
    from scipy import sparse
    from scipy.sparse import csgraph
else:
    sparse = lazy_module("scipy.sparse")
    csgraph = lazy_module("scipy.sparse.csgraph")

MID: Final = -1
"""A pin at the middle level, `levels // 2`."""


@dataclass(frozen=True, eq=False)
class Forest:
    """Columns are vertices, outputs are edges: value of an edge = level[plus] - level[minus].

    Attributes:
        plus: vertex whose level counts positive; axis: edge.
        minus: vertex whose level counts negative; axis: edge.
        vertices: how many there are; some may have no edge.
        pinned: vertices held at a level index, as (vertex, level) or (vertex, MID); at most one in
            a connected component.

    Raises:
        ValueError: edges that are no forest, or pins that do not fit.
    """

    plus: IntArray
    minus: IntArray
    vertices: int
    pinned: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for name in ("plus", "minus"):
            # A copy that nobody can write to: plans and components are cached on it.
            ends = np.array(getattr(self, name), dtype=np.int32)
            ends.setflags(write=False)
            object.__setattr__(self, name, ends)
        _check_edges(self.plus, self.minus, self.vertices)
        if self.pinned:
            _check_pins(self.pinned, self.component, self.vertices)

    @classmethod
    def matching(cls, outputs: int) -> Self:
        """Differential pairs: output o is vertex 2 o less vertex 2 o + 1."""
        plus = 2 * np.arange(outputs)
        return cls(plus, plus + 1, 2 * outputs)

    @classmethod
    def star(cls, outputs: int, pinned: int | None = None) -> Self:
        """Output o is vertex o less the bias column, which is the vertex after the last output.

        Args:
            outputs: how many.
            pinned: level index of the bias column, or MID; None leaves it free in each row.
        """
        minus = np.full(outputs, outputs)
        pins = () if pinned is None else ((outputs, pinned),)
        return cls(np.arange(outputs), minus, outputs + 1, pins)

    @classmethod
    def path(cls, outputs: int) -> Self:
        """Adjacent columns: output j is vertex j less vertex j + 1."""
        return cls.cut_path(outputs, max(outputs, 1))

    @classmethod
    def cut_path(cls, outputs: int, every: int) -> Self:
        """Paths of `every` outputs, the last perhaps shorter, one after another."""
        if every < 1:
            raise ValueError(f"a path of {every} outputs")
        output = np.arange(outputs)
        plus = output + output // every
        paths = max(1, -(-outputs // every))
        return cls(plus, plus + 1, outputs + paths)

    @property
    def edges(self) -> int:
        """How many outputs there are."""
        return len(self.plus)

    @cached_property
    def component(self) -> IntArray:
        """Number of the connected component of each vertex, by its first vertex."""
        return _components(self.plus, self.minus, self.vertices)

    @cached_property
    def is_matching(self) -> bool:
        """Whether no two edges share a vertex and nothing is pinned."""
        ends = np.concatenate([self.plus, self.minus])
        return not self.pinned and len(np.unique(ends)) == len(ends)

    @cached_property
    def plan(self) -> ForestPlan:
        """The order in which the dynamic programme visits edges."""
        roots = {int(self.component[vertex]): vertex for vertex, _ in self.pinned}
        return make_plan(self.plus, self.minus, self.component, roots)

    def pins(self, levels: int) -> IntArray:
        """Level index of each component's root where it is pinned, otherwise -1."""
        out = np.full(len(self.plan.components), -1, dtype=np.int64)
        for vertex, level in self.pinned:
            index = levels // 2 if level == MID else level
            if index >= levels:
                raise ValueError(f"vertex {vertex} is pinned at level {index} of {levels} levels")
            out[self.component[vertex]] = index
        return out


def _components(plus: IntArray, minus: IntArray, vertices: int) -> IntArray:
    graph = sparse.coo_array((np.ones(len(plus)), (plus, minus)), shape=(vertices, vertices))
    if not vertices:
        return np.zeros(0, dtype=np.int32)
    _, labels = csgraph.connected_components(graph, directed=False)
    # scipy numbers components in no documented order; results must not depend on it.
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse]


def _check_edges(plus: IntArray, minus: IntArray, vertices: int) -> None:
    if plus.ndim != 1 or plus.shape != minus.shape:
        raise ValueError(f"ends of edges have shapes {plus.shape} and {minus.shape}")
    ends = np.concatenate([plus, minus])
    if ends.size and not 0 <= ends.min() <= ends.max() < vertices:
        raise ValueError(f"ends {ends.min()} to {ends.max()} with {vertices} vertices")
    loops = np.flatnonzero(plus == minus)
    if loops.size:
        raise ValueError(f"edge {loops[0]} joins vertex {plus[loops[0]]} to itself")
    if len(np.unique(ends)) == len(ends):
        return  # pairs close no cycle, and need none of scipy's graphs
    found = len(np.unique(_components(plus, minus, vertices)))
    # A graph with c components is a forest exactly if it has n - c edges.
    if len(plus) != vertices - found:
        raise ValueError(
            f"{len(plus)} edges on {vertices} vertices in {found} components close a cycle"
        )


def _check_pins(pinned: tuple[tuple[int, int], ...], component: IntArray, vertices: int) -> None:
    seen: dict[int, int] = {}
    for vertex, level in pinned:
        if not 0 <= vertex < vertices or level < MID:
            raise ValueError(f"vertex {vertex} of {vertices} pinned at level {level}")
        other = seen.setdefault(int(component[vertex]), vertex)
        if other != vertex:
            raise ValueError(f"vertices {other} and {vertex} of one component are both pinned")
