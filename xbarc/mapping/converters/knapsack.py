"""One choice for each item at least cost under a limit on summed errors, with CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import Float64Array, Int64Array

if TYPE_CHECKING:
    from ortools.sat.python import cp_model
else:
    cp_model = lazy_module("ortools.sat.python.cp_model")

# Any seed would do; a fixed one gives the same program for the same inputs.
_SEED = 1
# CP-SAT takes whole numbers. The greedy choice costs 2**36 units and the limit on errors is
# 2**30, so that rounding an item changes less than a part in 10**9 of either.
_COST_UNITS = 1 << 36
_ERROR_UNITS = 1 << 30  # an item is rounded up by less than 1e-9 of the limit


@dataclass(frozen=True, eq=False)
class Picked:
    """A choice for each item.

    Attributes:
        choice: axis: item.
        cost: of all choices.
        bound: no choice that keeps the limit costs less.
        error: of all choices.
        greedy_cost: what a single price on errors gives.
        seconds: deterministic time of the solver.
    """

    choice: Int64Array
    cost: float
    bound: float
    error: float
    greedy_cost: float
    seconds: float


def pick(costs: Float64Array, errors: Float64Array, limit: float, effort: float = 5.0) -> Picked:
    """Least cost such that errors add up to at most a limit.

    Args:
        costs: axes: item, option.
        errors: axes as `costs`; infinite where there is no such option.
        limit: on the sum of errors; where no choice keeps it, the least error is taken.
        effort: deterministic seconds.
    """
    guess = choose_by_price(costs, errors, limit)
    rows = np.arange(len(costs))
    greedy = float(costs[rows, guess].sum())
    # Not even the least errors keep the limit, or the guess is free already: nothing to choose.
    if float(errors[rows, guess].sum()) > limit or greedy <= 0:
        return _as_picked(costs, errors, guess, greedy, greedy, 0.0)
    unit = greedy / _COST_UNITS
    model = cp_model.CpModel()
    chosen = _choices(model, errors, guess, limit)
    terms = [(variable, item, option) for item, row in chosen for option, variable in row]
    spent = sum(int(np.ceil(errors[i, o] / limit * _ERROR_UNITS)) * v for v, i, o in terms)
    model.add(spent <= _ERROR_UNITS)
    model.minimize(sum(round(costs[i, o] / unit) * v for v, i, o in terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = _SEED
    solver.parameters.max_deterministic_time = effort
    solver.parameters.relative_gap_limit = 1e-4
    status = solver.solve(model)
    choice = guess
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        choice = guess.copy()
        for variable, item, option in terms:
            if solver.boolean_value(variable):
                choice[item] = option
    better = float(costs[rows, choice].sum()) <= greedy
    seconds = float(solver.response_proto.deterministic_time)
    bound = solver.best_objective_bound * unit
    return _as_picked(costs, errors, choice if better else guess, bound, greedy, seconds)


def _choices(
    model: cp_model.CpModel, errors: Float64Array, guess: Int64Array, limit: float
) -> list[tuple[int, list[tuple[int, cp_model.IntVar]]]]:
    """A variable for each option whose error alone keeps the limit."""
    chosen = []
    for item, row in enumerate(errors):
        options = [o for o in range(len(row)) if row[o] <= limit]
        variables = [(o, model.new_bool_var(f"i{item}o{o}")) for o in options]
        model.add_exactly_one(variable for _, variable in variables)
        for option, variable in variables:
            model.add_hint(variable, option == int(guess[item]))
        chosen.append((item, variables))
    return chosen


def choose_by_price(costs: Float64Array, errors: Float64Array, limit: float) -> Int64Array:
    """Each item's best option under one price on errors, the least price that keeps the limit."""
    finite = np.where(np.isfinite(errors), errors, 1e300)
    low, high = -60.0, 400.0
    rows = np.arange(len(costs))
    best: Int64Array = finite.argmin(axis=1)
    # Bisection of an exponent between -60 and 400: after 80 halvings the interval is below the
    # resolution of float64.
    for _ in range(80):
        middle = (low + high) / 2
        with np.errstate(over="ignore", invalid="ignore"):
            choice = (costs + np.exp2(middle) * finite).argmin(axis=1)
        if finite[rows, choice].sum() <= limit:
            high, best = middle, choice
        else:
            low = middle
    return best


def _as_picked(
    costs: Float64Array,
    errors: Float64Array,
    choice: Int64Array,
    bound: float,
    greedy: float,
    seconds: float,
) -> Picked:
    rows = np.arange(len(costs))
    cost, error = float(costs[rows, choice].sum()), float(errors[rows, choice].sum())
    return Picked(choice, cost, min(bound, cost), error, greedy, seconds)
