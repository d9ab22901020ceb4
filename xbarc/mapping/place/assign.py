"""Units to places at least cost: by sorting where that is optimal, else by a solver.

A cost that is a product of what moves and where it goes is least when the largest meets the
smallest (rearrangement). A cost table without that form, units of one width, is a linear
assignment. Units of several widths share a line as blocks of different length do: CP-SAT, with one
worker, a fixed seed and a limit in deterministic time, so that the same inputs give the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array, Int64Array

if TYPE_CHECKING:
    from ortools.sat.python import cp_model
    from scipy import optimize
else:
    cp_model = lazy_module("ortools.sat.python.cp_model")
    optimize = lazy_module("scipy.optimize")

# Deterministic seconds for the units of one line; every block of every layer has lines.
_SOLVER_LIMIT = 0.3
# Variables of a model, a unit times a place: 200 units on 200 places. 132 on 198, of one and two
# columns, take 2 s with the limit above. Longer lines keep the greedy order and a weaker bound.
_MOST_CHOICES = 40_000
# CP-SAT takes whole numbers: nine digits of the dearest line, sums within int64.
_RESOLUTION = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Assignment:
    """What goes where.

    Attributes:
        start: first place of each unit.
        objective: cost of the assignment.
        bound: no assignment costs less.
    """

    start: Int64Array
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """How much of the objective is not proven necessary."""
        scale = max(abs(self.objective), abs(self.bound))
        return (self.objective - self.bound) / scale if scale > 0 else 0.0


def assign_sorted(weight: Float64Array, price: Float64Array) -> Assignment:
    """Heaviest to the cheapest place: optimal where the cost is weight times price.

    Args:
        weight: of each unit.
        price: of each place, at least as many as units; the cheapest are used.
    """
    places = np.argsort(price, kind="stable")[: len(weight)]
    start = np.empty(len(weight), dtype=np.int64)
    start[np.argsort(-weight, kind="stable")] = places
    cost = float((weight * price[start]).sum())
    return Assignment(start, cost, cost)


def assign(cost: Float64Array, widths: Int64Array) -> Assignment:
    """Units on a line at least cost.

    Args:
        cost: of a unit whose first column lies at a place; axes: unit, place.
        widths: columns of each unit; together at most the places there are.
    """
    if len(widths) == 0:
        return Assignment(np.zeros(0, dtype=np.int64), 0.0, 0.0)
    width = int(widths[0])
    if (widths == width).all():
        slots = np.arange(0, cost.shape[1] - width + 1, width)
        rows, chosen = optimize.linear_sum_assignment(cost[:, slots])
        total = float(cost[rows, slots[chosen]].sum())
        return Assignment(slots[chosen], total, total)
    return _assign_widths(cost, widths)


def _assign_widths(cost: Float64Array, widths: Int64Array) -> Assignment:
    """Units of several widths, without gaps where they fill the line."""
    units, places = cost.shape
    greedy = _in_turn(cost, widths)
    floor = float(sum(cost[u, : places - int(w) + 1].min() for u, w in enumerate(widths)))
    if units * places > _MOST_CHOICES:
        return Assignment(greedy, _total(cost, greedy), floor)
    model = cp_model.CpModel()
    scale = _RESOLUTION / max(1e-300, float(np.abs(cost).max()) * units)
    whole = np.rint(cost * scale).astype(np.int64)
    covers: list[list[cp_model.IntVar]] = [[] for _ in range(places)]
    chosen: list[list[cp_model.IntVar]] = []
    terms: list[cp_model.LinearExprT] = []
    for u, width in enumerate(widths.tolist()):
        row = [model.new_bool_var("") for _ in range(places - width + 1)]
        model.add_exactly_one(row)
        for at, variable in enumerate(row):
            model.add_hint(variable, bool(greedy[u] == at))
            terms.append(int(whole[u, at]) * variable)
            for place in range(at, at + width):
                covers[place].append(variable)
        chosen.append(row)
    for cover in covers:
        model.add_at_most_one(cover)
    model.minimize(cp_model.LinearExpr.sum(terms))
    return _solve(model, chosen, (cost, greedy, floor), scale)


def _solve(
    model: cp_model.CpModel,
    chosen: list[list[cp_model.IntVar]],
    known: tuple[Float64Array, Int64Array, float],
    scale: float,
) -> Assignment:
    """The solver's answer, or the greedy one where that is no worse."""
    cost, greedy, floor = known
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = _SOLVER_LIMIT
    status = solver.solve(model)
    best = Assignment(greedy, _total(cost, greedy), floor)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return best
    start = np.array(
        [[solver.boolean_value(v) for v in row].index(True) for row in chosen], dtype=np.int64
    )
    bound = max(floor, solver.best_objective_bound / scale)
    found = Assignment(start, _total(cost, start), bound)
    if best.objective < found.objective:
        return Assignment(greedy, best.objective, min(bound, best.objective))
    return Assignment(start, found.objective, min(bound, found.objective))


def _in_turn(cost: Float64Array, widths: Int64Array) -> Int64Array:
    """A first guess: units in the order of their cost a place, packed from the cheap end."""
    slope = cost.mean(axis=1) / widths
    start = np.zeros(len(widths), dtype=np.int64)
    order = np.argsort(-slope, kind="stable")
    start[order] = np.cumsum(widths[order]) - widths[order]
    return start


def _total(cost: AnyArray, start: Int64Array) -> float:
    return float(cost[np.arange(len(start)), start].sum())
