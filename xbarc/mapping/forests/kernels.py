# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled loops of `forest.py`, its only caller: rows one after another, edges from the leaves up.

A step is an edge seen from its child (the vertex further from the root): child, parent, edge, sign,
slot of the child's costs, slot of the parent's costs, and whether the parent's costs begin with it.
The sign is +1 where the child is the edge's plus vertex. Slot 0 holds zeros, the costs of a leaf.
The code runs without the interpreter's lock, so that threads share the rows.
"""

from __future__ import annotations

from typing import NamedTuple

from xbarc.numerics import AnyArray, Float64Array, Int64Array, compiled


class Graph(NamedTuple):
    """Steps of all components, and for each its begin, end, root, the root's slot and pin or -1."""

    steps: Int64Array
    components: Int64Array


class Workspace(NamedTuple):
    """Buffers of one row, so that rows allocate nothing.

    Attributes:
        costs: of each level; axes: slot, level.
        best: least cost of a child for each level of its parent.
        who: level of the child that has it; one longer, for thresholds.
        choice: `who` of each step; axes: step, level.
    """

    costs: Float64Array
    best: Float64Array
    who: Int64Array
    choice: AnyArray


@compiled()
def _least(costs):
    """The first of the least costs."""
    least = 0
    for a in range(1, costs.shape[0]):
        # Strictly less: of equal costs the least level wins, which makes the result unique.
        if costs[a] < costs[least]:
            least = a
    return least


@compiled()
def _message_any(costs, target, weight, g, best, who):
    """Least cost for each level of the parent, over all levels of the child."""
    levels = g.shape[0]
    shift = target - g[0]
    for b in range(levels):
        away = shift + g[b]
        best[b] = costs[0] + weight * (away * away)
        who[b] = 0
    # The child's level outside: turns of the inner loop do not depend on each other, so that LLVM
    # may vectorise it.
    for a in range(1, levels):
        shift = target - g[a]
        base = costs[a]
        for b in range(levels):
            away = shift + g[b]
            cost = base + weight * (away * away)
            better = cost < best[b]
            best[b] = cost if better else best[b]
            who[b] = a if better else who[b]


@compiled()
def _message_convex(costs, target, weight, g, best, who):
    """The same for levels one step apart, in linear time.

    Costs are convex there: a sum of parabolas on integers stays convex when it is minimised over
    one of its arguments. So the child's best level rises by at most one when the parent's does,
    and it rises from a to a + 1 where the slope of `costs` and of the parabola is less than
    `2 weight b`. Each slope is therefore one threshold on b.
    """
    levels = g.shape[0]
    for b in range(levels):
        who[b] = 0
    if weight > 0:
        twice, limit = 2.0 * weight, levels - 1.0
        for a in range(levels - 1):
            slope = (costs[a + 1] - costs[a]) + weight * (2.0 * (g[a] - target) + 1.0)
            # Clipped before the conversion: a float beyond int64 has no defined integer.
            threshold = min(slope / twice, limit)
            who[0 if threshold < 0.0 else int(threshold) + 1] += 1
    else:
        who[0] = _least(costs)
    a = 0
    for b in range(levels):
        a += who[b]
        who[b] = a
        away = (target - g[a]) + g[b]
        best[b] = costs[a] + weight * (away * away)


@compiled()
def _climb(target, weight, g, convex, steps, work):
    """Costs of all vertices from the leaves up, and each child's choice; axes: step, level."""
    costs, best, who, choice = work
    for k in range(steps.shape[0]):
        edge, sign = steps[k, 2], steps[k, 3]
        child, parent = costs[steps[k, 4]], costs[steps[k, 5]]
        t = target[edge] if sign > 0 else -target[edge]
        if convex:
            _message_convex(child, t, weight[edge], g, best, who)
        else:
            _message_any(child, t, weight[edge], g, best, who)
        for b in range(g.shape[0]):
            choice[k, b] = who[b]
        if steps[k, 6]:
            for b in range(g.shape[0]):
                parent[b] = best[b]
        else:
            for b in range(g.shape[0]):
                parent[b] += best[b]


@compiled()
def encode_rows(targets, weights, g, convex, graph, work, levels):
    """Best level of every vertex; axes of `levels`: row, vertex."""
    steps, components = graph
    costs, choice = work.costs, work.choice
    for row in range(targets.shape[0]):
        # One row of weights serves all rows.
        weight = weights[row if weights.shape[0] > 1 else 0]
        for c in range(components.shape[0]):
            begin, end, root = components[c, 0], components[c, 1], components[c, 2]
            part = steps[begin:end]
            _climb(targets[row], weight, g, convex, part, work)
            pin = components[c, 4]
            levels[row, root] = pin if pin >= 0 else _least(costs[components[c, 3]])
            for k in range(end - begin - 1, -1, -1):
                levels[row, part[k, 0]] = choice[k, levels[row, part[k, 1]]]


@compiled()
def match_rows(targets, weights, top, plus, minus, levels):
    """The optimum of single edges with levels 0..top: the nearest value, halves towards zero."""
    for row in range(targets.shape[0]):
        weight = weights[row if weights.shape[0] > 1 else 0]
        for edge in range(targets.shape[1]):
            target = targets[row, edge]
            size = min(abs(target), float(top))
            whole = int(size)
            nearest = whole + 1 if size - whole > 0.5 else whole
            nearest = nearest if weight[edge] > 0 else 0
            levels[row, plus[edge]] = nearest if target > 0 else 0
            levels[row, minus[edge]] = 0 if target > 0 else nearest


@compiled()
def differences(levels, plus, minus, g, values):
    """Value of every edge; axes: row, edge."""
    for row in range(levels.shape[0]):
        for edge in range(plus.shape[0]):
            values[row, edge] = g[levels[row, plus[edge]]] - g[levels[row, minus[edge]]]


@compiled()
def potentials(values, steps, components, out):
    """Sums of values along the paths from the roots, whose potential is 0; axes: row, vertex."""
    for row in range(values.shape[0]):
        for c in range(components.shape[0]):
            out[row, components[c, 2]] = 0
            for k in range(components[c, 1] - 1, components[c, 0] - 1, -1):
                value = values[row, steps[k, 2]]
                rise = value if steps[k, 3] > 0 else -value
                out[row, steps[k, 0]] = out[row, steps[k, 1]] + rise
