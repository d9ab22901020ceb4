from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.mapping.place.assign import Assignment, assign, assign_sorted
from xbarc.numerics.types import Float64Array, Int64Array


def _brute(cost: Float64Array, widths: Int64Array) -> float:
    """The least cost over every order and every gap, for few units."""
    best = np.inf

    def place(left: tuple[int, ...], at: int, spent: float) -> None:
        nonlocal best
        if not left:
            best = min(best, spent)
            return
        for unit in left:
            rest = tuple(u for u in left if u != unit)
            for start in range(at, cost.shape[1] - int(widths[unit]) + 1):
                place(rest, start + int(widths[unit]), spent + cost[unit, start])

    place(tuple(range(len(widths))), 0, 0.0)
    return float(best)


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_sorting_is_optimal_for_products_and_the_solver_agrees(units: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, price = rng.random(units), rng.random(units)
    sorted_ = assign_sorted(weight, price)
    brute = min(float((weight * price[list(order)]).sum()) for order in permutations(range(units)))
    solved = assign(np.outer(weight, price), np.ones(units, dtype=np.int64))
    assert np.isclose(sorted_.objective, brute)
    assert np.isclose(solved.objective, brute)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(0, 2), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_units_of_any_widths_equal_brute_force(widths: list[int], spare: int, seed: int) -> None:
    sizes = np.array(widths)
    places = int(sizes.sum()) + (spare if len(set(widths)) > 1 else 0)
    cost = np.random.default_rng(seed).random((len(widths), places))
    found = assign(cost, sizes)
    if len(set(widths)) > 1:
        assert np.isclose(found.objective, _brute(cost, sizes), rtol=1e-6)
    taken = sorted(p for s, w in zip(found.start, sizes, strict=True) for p in range(s, s + w))
    assert len(set(taken)) == len(taken)
    assert taken[-1] < places
    assert found.bound <= found.objective * (1 + 1e-9)
    assert found.gap < 1e-6


def test_never_worse_than_sorting() -> None:
    rng = np.random.default_rng(0)
    widths = np.array([2, 1] * 20)
    weight, price = rng.random(40), np.sort(rng.random(60))
    cost = weight[:, None] * price
    cost[::2, :-1] += weight[::2, None] * price[1:]
    found = assign(cost, widths)
    order = np.argsort(-weight / widths)
    start = np.zeros(40, dtype=int)
    start[order] = np.cumsum(widths[order]) - widths[order]
    assert found.objective <= cost[np.arange(40), start].sum() + 1e-12


def test_nothing_to_place() -> None:
    assert assign(np.zeros((0, 4)), np.zeros(0, dtype=np.int64)).objective == 0


def test_the_gap_is_a_share_of_the_objective() -> None:
    assert Assignment(np.zeros(1, dtype=np.int64), 2.0, 1.0).gap == pytest.approx(0.5)
    assert Assignment(np.zeros(1, dtype=np.int64), 0.0, 0.0).gap == 0
