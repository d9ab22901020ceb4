"""Columns to converters under side conditions, with CP-SAT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.mapping.converters import LEVELS, WidthCosts
from xbarc.numerics import Int64Array, IntArray

if TYPE_CHECKING:
    from ortools.sat.python import cp_model
else:
    cp_model = lazy_module("ortools.sat.python.cp_model")

# Any seed would do; a fixed one gives the same program for the same inputs.
_SEED = 1
# Each case adds a variable for every converter and width. Sixteen cases of 128 columns on 16
# converters are some 4,000 variables, with those that say which column goes where.
_MOST_CASES = 16


@dataclass(frozen=True, eq=False)
class Assigned:
    """Places of conversions.

    Attributes:
        place: place in the block; axes: group or 1, row block or 1, conversion.
        objective: cost by the law, summed over conversions, of what was found.
        bound: no assignment has fewer.
        sorted_cost: cost of sorting by the sum over row blocks.
        seconds: deterministic time of the solver.
    """

    place: Int64Array
    objective: int
    bound: int
    sorted_cost: int
    seconds: float


def group_cost(sums: IntArray, slots: IntArray, law: WidthCosts = LEVELS) -> Int64Array:
    """Cost of all conversions where each is as wide as the widest of its slot.

    Args:
        sums: in the order of places; axes: case, place.
        slots: converter of each place, rising.
        law: cost of each width.
    """
    starts = np.flatnonzero(np.diff(slots, prepend=-1))
    size = np.diff(np.append(starts, len(slots)))
    widest = np.maximum.reduceat(law.of_sums(sums), starts, axis=1)
    total: Int64Array = (widest * size).sum(axis=1)
    return total


def assign(
    sums: Int64Array,
    offsets: IntArray,
    shared: int,
    common: bool,
    reach: int | None,
    effort: float,
    law: WidthCosts = LEVELS,
) -> Assigned:
    """Places for the conversions of one column block.

    Args:
        sums: largest sum of each conversion; axes: group, row block, conversion.
        offsets: first place of the block in its array; axes: group, row block.
        shared: places of a converter.
        common: one order for all groups and row blocks.
        reach: places a conversion may move; None: any.
        effort: deterministic seconds.
        law: cost of each width.
    """
    cases = sums.reshape(-1, sums.shape[2])
    phases = np.broadcast_to(offsets, sums.shape[:2]).reshape(-1) % shared
    if common:
        found = [_solve(cases, int(phases[0]), shared, reach, effort, law)]
        lead: tuple[int, ...] = (1, 1)
    else:
        share = effort / max(1, len(cases))
        pairs = zip(cases, phases.tolist(), strict=True)
        found = [_solve(case[None], phase, shared, reach, share, law) for case, phase in pairs]
        lead = sums.shape[:2]
    return Assigned(
        np.stack([item.place for item in found]).reshape(*lead, -1),
        sum(item.objective for item in found),
        sum(item.bound for item in found),
        sum(item.sorted_cost for item in found),
        sum(item.seconds for item in found),
    )


def _solve(
    cases: Int64Array,
    phase: int,
    shared: int,
    reach: int | None,
    effort: float,
    law: WidthCosts,
) -> Assigned:
    """One order for some cases at once."""
    count = cases.shape[1]
    slots = (phase + np.arange(count)) // shared
    start = _first_guess(cases, slots, reach, law)
    widths = law.of_sums(cases)
    distinct, weights = _distinct(widths)
    if len(distinct) > _MOST_CASES:
        distinct, weights = _pool_cases(distinct, weights)
    model = cp_model.CpModel()
    chosen = _places(model, slots, reach, start)
    _objective(model, chosen, distinct, weights, slots)
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = _SEED
    solver.parameters.max_deterministic_time = effort
    status = solver.solve(model)
    seconds = float(solver.response_proto.deterministic_time)
    place, exact = start, len(distinct) == len(_distinct(widths)[0])
    if status in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        picked = [[solver.boolean_value(item) for item in row.values()] for row in chosen]
        keys = [list(row) for row in chosen]
        slot = np.array([key[hits.index(True)] for key, hits in zip(keys, picked, strict=True)])
        place = _spread(slot, slots)
    before, after = _total(cases, start, slots, law), _total(cases, place, slots, law)
    # Cases stand for others where there are many, so the solver may improve its model and not the
    # layer.
    if after > before:
        place, after = start, before
    # With pooled cases the solver's bound is one of another problem.
    bound = int(np.ceil(solver.best_objective_bound)) if exact else _weak_bound(widths)
    naive = _total(cases, _by_sum(cases, law), slots, law)
    return Assigned(place, after, min(after, max(bound, 0)), naive, seconds)


def _total(cases: Int64Array, place: Int64Array, slots: IntArray, law: WidthCosts) -> int:
    laid = np.empty_like(cases)
    laid[:, place] = cases
    return int(group_cost(laid, slots, law).sum())


def _weak_bound(widths: Int64Array) -> int:
    """Every conversion as wide as itself only."""
    return int(widths.sum())


def _by_sum(cases: Int64Array, law: WidthCosts) -> Int64Array:
    order = np.argsort(-law.of_sums(cases).sum(axis=0), kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place


def _first_guess(
    cases: Int64Array, slots: IntArray, reach: int | None, law: WidthCosts
) -> Int64Array:
    """By the sum over cases where any place is allowed, as they come otherwise."""
    natural = np.arange(len(slots))
    if reach is not None:
        return natural
    guess = _by_sum(cases, law)
    better = _total(cases, guess, slots, law) < _total(cases, natural, slots, law)
    return guess if better else natural


def _distinct(widths: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Row blocks of equal widths count once, with their number."""
    rows, counts = np.unique(widths, axis=0, return_counts=True)
    return rows, counts.astype(np.int64)


def _pool_cases(rows: Int64Array, counts: Int64Array) -> tuple[Int64Array, Int64Array]:
    """The most frequent row blocks stand for all: a smaller problem, without a strict bound."""
    kept = np.argsort(-counts, kind="stable")[:_MOST_CASES]
    return rows[kept], counts[kept]


Choice: TypeAlias = "dict[int, cp_model.IntVar]"


def _places(
    model: cp_model.CpModel, slots: IntArray, reach: int | None, start: Int64Array
) -> list[Choice]:
    """A converter for every conversion; converters are filled exactly."""
    count = len(slots)
    chosen: list[Choice] = []
    for k in range(count):
        low, high = (0, count - 1) if reach is None else (max(0, k - reach), k + reach)
        allowed = sorted({int(slots[p]) for p in range(low, min(high, count - 1) + 1)})
        row = {slot: model.new_bool_var(f"c{k}s{slot}") for slot in allowed}
        model.add_exactly_one(row.values())
        for slot, item in row.items():
            model.add_hint(item, slot == int(slots[start[k]]))
        chosen.append(row)
    for slot, size in zip(*np.unique(slots, return_counts=True), strict=True):
        members = [row[int(slot)] for row in chosen if int(slot) in row]
        model.add(sum(members) == int(size))
    return chosen


def _objective(
    model: cp_model.CpModel,
    chosen: list[Choice],
    rows: Int64Array,
    counts: Int64Array,
    slots: IntArray,
) -> None:
    """Cost summed over cases and converters: each as wide as its widest member."""
    terms = []
    numbers, sizes = np.unique(slots, return_counts=True)
    for number, size in zip(numbers.tolist(), sizes.tolist(), strict=True):
        for case, (row, weight) in enumerate(zip(rows, counts.tolist(), strict=True)):
            terms.append(weight * size * _widest(model, chosen, row, int(number), case))
    model.minimize(sum(terms))


def _widest(
    model: cp_model.CpModel, chosen: list[Choice], row: Int64Array, slot: int, case: int
) -> cp_model.LinearExprT:
    """Cost of one converter in one case: steps that are paid once a member needs them."""
    kinds = np.unique(row)
    total: cp_model.LinearExprT = int(kinds[0])
    for before, kind in zip(kinds[:-1].tolist(), kinds[1:].tolist(), strict=True):
        paid = model.new_bool_var(f"s{slot}n{case}w{kind}")
        for k, options in enumerate(chosen):
            if slot in options and row[k] >= kind:
                model.add_implication(options[slot], paid)
        # A converter pays the least width anyway, and each further one once some member needs it:
        # no maximum in the model, which CP-SAT bounds badly.
        total = total + (kind - before) * paid
    return total


def _spread(slot: Int64Array, slots: IntArray) -> Int64Array:
    """Places within the chosen converters, in the order of the conversions."""
    place = np.empty(len(slot), dtype=np.int64)
    for number in np.unique(slots).tolist():
        place[slot == number] = np.flatnonzero(slots == number)
    return place
