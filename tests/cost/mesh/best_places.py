"""The best places of tiles on a mesh by CP-SAT: exact for a few tiles, a bound for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.cost import distances
from xbarc.lazy import lazy_module
from xbarc.numerics import Float64Array, Int64Array

if TYPE_CHECKING:
    from ortools.sat.python import cp_model
else:
    cp_model = lazy_module("ortools.sat.python.cp_model")

_SECONDS = 10.0


@dataclass(frozen=True, eq=False)
class BestPlaces:
    """What the solver found.

    Attributes:
        places: place of each tile.
        total: bytes times hops.
        bound: nothing is below.
    """

    places: Int64Array
    total: float
    bound: float


def best_places(
    traffic: Float64Array, grid: tuple[int, int], seconds: float = _SECONDS
) -> BestPlaces:
    """Give every tile a place of its own so that bytes times hops are least.

    Args:
        traffic: bytes between tiles, both ways together; symmetric.
        grid: rows and columns of the mesh.
        seconds: deterministic time that the solver may take.
    """
    count, places = len(traffic), grid[0] * grid[1]
    whole = np.rint(traffic).astype(np.int64)
    model = cp_model.CpModel()
    row = [model.new_int_var(0, grid[0] - 1, f"r{i}") for i in range(count)]
    column = [model.new_int_var(0, grid[1] - 1, f"c{i}") for i in range(count)]
    at = [model.new_int_var(0, places - 1, f"p{i}") for i in range(count)]
    for i in range(count):
        model.add(at[i] == grid[1] * row[i] + column[i])
    model.add_all_different(at)
    terms = []
    for i in range(count):
        for j in range(i + 1, count):
            if whole[i, j]:
                terms.append(int(whole[i, j]) * _apart(model, row, i, j, grid[0]))
                terms.append(int(whole[i, j]) * _apart(model, column, i, j, grid[1]))
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_deterministic_time = seconds
    solver.solve(model)
    found = np.array([solver.value(place) for place in at], dtype=np.int64)
    hops = distances(grid)[np.ix_(found, found)]
    return BestPlaces(found, float((traffic * hops).sum() / 2), solver.best_objective_bound)


def _apart(
    model: cp_model.CpModel, line: list[cp_model.IntVar], i: int, j: int, size: int
) -> cp_model.IntVar:
    """How far two tiles are apart along one axis."""
    gap = model.new_int_var(0, size - 1, f"{line[i].name}{j}")
    model.add_abs_equality(gap, line[i] - line[j])
    return gap
