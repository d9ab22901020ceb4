"""In which order the dynamic programme of `forest.py` visits the edges of a forest."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xbarc.numerics import Int64Array, IntArray

ZERO_SLOT = 0
"""Costs of a leaf: zeros that nobody writes."""


@dataclass(frozen=True, eq=False)
class ForestPlan:
    """Edges from the leaves to the roots, components one after another.

    Attributes:
        steps: child, parent, edge, sign (+1 where the child is the plus vertex), slot of the
            child's costs, slot of the parent's, whether the parent's costs begin here.
        components: first step, step after the last, root, slot of the root's costs.
        slots: rows of costs that are in use at the same time, with the one of zeros; of the
            order of the logarithm of the vertices.
        longest: steps of the component with the most.
    """

    steps: Int64Array
    components: Int64Array
    slots: int
    longest: int


def make_plan(
    plus: IntArray, minus: IntArray, component: IntArray, roots: dict[int, int]
) -> ForestPlan:
    """Depth first, deepest-need subtrees first, so that few vertices hold costs at a time.

    Args:
        plus: one end of each edge.
        minus: the other.
        component: of each vertex, numbered without gaps.
        roots: of the components that have a given one; otherwise it is the last vertex.
    """
    walk = _ForestWalk(_neighbours(plus, minus, len(component)))
    last = {int(c): v for v, c in enumerate(component)} | roots
    components = []
    for number in range(len(last)):
        begin = len(walk.steps)
        slot = walk.visit(last[number])
        components.append((begin, len(walk.steps), last[number], slot))
        walk.release(slot)
    steps = np.array(walk.steps, dtype=np.int64).reshape(-1, 7)
    table = np.array(components, dtype=np.int64).reshape(-1, 4)
    longest = int((table[:, 1] - table[:, 0]).max(initial=0))
    return ForestPlan(steps, table, walk.slots, longest)


def _neighbours(plus: IntArray, minus: IntArray, vertices: int) -> list[list[tuple[int, int, int]]]:
    """For each vertex its neighbours, the edges to them, and +1 where the neighbour is plus."""
    out: list[list[tuple[int, int, int]]] = [[] for _ in range(vertices)]
    for edge, (p, m) in enumerate(zip(plus.tolist(), minus.tolist(), strict=True)):
        out[m].append((p, edge, 1))
        out[p].append((m, edge, -1))
    return out


@dataclass
class _ForestWalk:
    """Collects steps and hands out slots."""

    neighbours: list[list[tuple[int, int, int]]]
    steps: list[tuple[int, ...]] = field(default_factory=list)
    slots: int = 1
    free: list[int] = field(default_factory=list)

    def visit(self, root: int) -> int:
        """Append the steps of a component; the slot of its root's costs."""
        order, above = self._top_down(root)
        children: dict[int, list[int]] = {vertex: [] for vertex in order}
        for vertex in reversed(order[1:]):
            children[above[vertex][0]].append(vertex)
        self._sort_by_need(order, children)
        held: dict[int, int] = {}
        for vertex in _bottom_up(root, children):
            if vertex != root:
                self._step(vertex, above[vertex], held)
        return held.get(root, ZERO_SLOT)

    def release(self, slot: int) -> None:
        """Let a slot be used again."""
        if slot != ZERO_SLOT:
            self.free.append(slot)

    def _step(self, child: int, above: tuple[int, int, int], held: dict[int, int]) -> None:
        parent, edge, sign = above
        source = held.pop(child, ZERO_SLOT)
        begins = parent not in held
        if begins:
            # The first child passes its slot on to its parent, so that a path needs one slot in
            # all.
            held[parent] = source if source != ZERO_SLOT else self._take()
        else:
            self.release(source)
        self.steps.append((child, parent, edge, sign, source, held[parent], int(begins)))

    def _take(self) -> int:
        if self.free:
            return self.free.pop()
        self.slots += 1
        return self.slots - 1

    def _top_down(self, root: int) -> tuple[list[int], dict[int, tuple[int, int, int]]]:
        """Vertices from the root down, and the parent, edge and sign of each but the root."""
        # Without recursion: a path may be as deep as a layer has outputs.
        order, above = [root], {root: (-1, -1, 0)}
        for vertex in order:
            for neighbour, edge, sign in self.neighbours[vertex]:
                if neighbour not in above:
                    above[neighbour] = (vertex, edge, sign)
                    order.append(neighbour)
        return order, above

    @staticmethod
    def _sort_by_need(order: list[int], children: dict[int, list[int]]) -> None:
        """Children that need more slots come first."""
        need: dict[int, int] = {}
        for vertex in reversed(order):
            below = children[vertex]
            # As in the register numbering of Ershov (Sethi and Ullman): the child that needs most
            # goes first, while nothing else is held.
            below.sort(key=lambda child: (-need[child], child))
            need[vertex] = max((need[c] + (i > 0) for i, c in enumerate(below)), default=0)
            need[vertex] = max(need[vertex], 1 if below else 0)


def _bottom_up(root: int, children: dict[int, list[int]]) -> list[int]:
    """Children before parents, subtrees one after another."""
    out, stack = [], [root]
    while stack:
        vertex = stack.pop()
        out.append(vertex)
        stack.extend(children[vertex])
    return out[::-1]
