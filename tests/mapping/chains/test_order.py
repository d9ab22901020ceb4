"""Order and sign of outputs on chains: valid, repeatable, never worse, near the optimum."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ortools.sat.python import cp_model

from xbarc.mapping.chains import Arrangement, arrange
from xbarc.mapping.chains import order as order_module
from xbarc.mapping.forests import Forest, encode
from xbarc.numerics.types import Float64Array, IntArray


def _matrix(cut: int, count: int, levels: int | None) -> Float64Array:
    """`(D D' + r)**-1` from its definition, chain by chain; axes: position, position."""
    price = 0.0 if levels is None else 2.0 / (levels**2 - 1)
    out = np.zeros((count, count))
    for begin in range(0, count, cut):
        length = min(cut, count - begin)
        differences = np.eye(length, length + 1) - np.eye(length, length + 1, 1)
        block = np.linalg.inv(differences @ differences.T + price * np.eye(length))
        out[begin : begin + length, begin : begin + length] = block
    return out


def _cost(
    weights: Float64Array, cut: int, levels: int | None, order: IntArray, signs: IntArray
) -> float:
    chain = weights[:, order] * signs
    return float(np.einsum("ri,ij,rj->", chain, _matrix(cut, len(order), levels), chain))


def _least(weights: Float64Array, cut: int, levels: int | None, signs: bool) -> float:
    """Over every order and every choice of signs."""
    count = weights.shape[1]
    gram, matrix = weights.T @ weights, _matrix(cut, count, levels)
    turns = np.array(list(product([1, -1], repeat=count))) if signs else np.ones((1, count))
    least = np.inf
    for order in permutations(range(count)):
        both = matrix * gram[np.ix_(order, order)]
        least = min(least, float(np.einsum("si,ij,sj->s", turns, both, turns).min()))
    return least


@st.composite
def small(draw: st.DrawFn) -> tuple[Float64Array, int, int | None, bool]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = rng.normal(size=(draw(st.integers(1, 6)), draw(st.integers(1, 5))))
    if draw(st.booleans()):
        weights = np.rint(2 * weights)
    cut, levels = draw(st.integers(1, 6)), draw(st.sampled_from([None, 2, 4, 16]))
    return weights, cut, levels, draw(st.booleans())


@given(small())
@settings(max_examples=40)
def test_small_cases_against_every_arrangement(
    case: tuple[Float64Array, int, int | None, bool],
) -> None:
    weights, cut, levels, signs = case
    found = arrange(weights, cut, signs=signs, levels=levels)
    least = _least(weights, cut, levels, signs)
    slack = 1e-5 * float((weights**2).sum()) + 1e-12
    assert found.cost == pytest.approx(
        _cost(weights, cut, levels, found.order, found.signs), abs=slack
    )
    assert found.bound is not None
    assert found.bound <= least + slack
    assert found.cost <= least + slack  # disturbed often enough to be optimal on five outputs


@st.composite
def any_size(draw: st.DrawFn) -> tuple[Float64Array, int, int | None, bool]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.tuples(st.integers(0, 20), st.integers(0, 40)))
    scale = 10.0 ** draw(st.integers(-30, 30))
    weights = scale * rng.normal(size=shape) * rng.gamma(0.5, size=shape[1])
    cut, levels = draw(st.integers(1, 50)), draw(st.sampled_from([None, 2, 4, 256]))
    return weights, cut, levels, draw(st.booleans())


@given(any_size())
@settings(max_examples=40)
def test_an_arrangement_is_valid_and_no_worse(
    case: tuple[Float64Array, int, int | None, bool],
) -> None:
    weights, cut, levels, signs = case
    found = arrange(weights, cut, signs=signs, levels=levels, effort=0.01)
    count = weights.shape[1]
    assert np.array_equal(np.sort(found.order), np.arange(count))
    assert set(found.signs.tolist()) <= ({1, -1} if signs else {1})
    natural = _cost(weights, cut, levels, np.arange(count), np.ones(count, dtype=int))
    assert found.natural_cost == pytest.approx(natural, rel=1e-3)
    assert found.cost <= found.natural_cost * (1 + 1e-9)
    assert found.cost <= found.greedy_cost * (1 + 1e-9)
    assert 0.0 <= found.gain + 1e-9 <= 1.0 + 1e-9
    assert found.bound is not None
    assert found.bound <= found.cost * (1 + 1e-3)


def _same(one: Arrangement, other: Arrangement) -> bool:
    return (
        np.array_equal(one.order, other.order)
        and np.array_equal(one.signs, other.signs)
        and (one.cost, one.bound) == (other.cost, other.bound)
    )


def test_the_same_weights_give_the_same_arrangement() -> None:
    weights = np.random.default_rng(3).normal(size=(30, 60))
    found = arrange(weights, 16, levels=4, effort=0.2)
    assert _same(found, arrange(weights.copy(order="F"), 16, levels=4, effort=0.2))
    turned = arrange(weights[::-1], 16, levels=4, effort=0.2)
    assert np.array_equal(turned.order, found.order)  # sums over rows are exact in any order


@pytest.mark.parametrize("cut", [4, 1300])
def test_several_windows(cut: int) -> None:
    """More outputs than a window holds: neighbours, then other company."""
    weights = np.random.default_rng(4).normal(size=(8, 1100))
    found = arrange(weights, cut, levels=4, effort=0.02)
    assert np.array_equal(np.sort(found.order), np.arange(1100))
    assert found.bound is not None
    assert found.bound < found.cost < 0.99 * found.greedy_cost
    assert found.greedy_cost < 0.8 * found.natural_cost
    assert found.cost == pytest.approx(_cost(weights, cut, 4, found.order, found.signs), rel=1e-5)


@pytest.mark.parametrize("cut", [16, 500])
def test_very_many_outputs_go_piece_by_piece(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_module, "_LARGEST", 100)
    weights = np.random.default_rng(5).normal(size=(3, 450))
    found = arrange(weights, cut, levels=4, effort=0.01)
    assert np.array_equal(np.sort(found.order), np.arange(450))
    if cut == 500:  # a chain is longer than a piece, and every piece begins one
        assert found.order[:100].max() < 100
        return
    cost = _cost(weights, cut, 4, found.order, found.signs)
    assert found.cost == pytest.approx(cost, rel=1e-5)
    assert found.cost < found.greedy_cost < found.natural_cost


@pytest.mark.parametrize(("levels", "gain"), [(2, 0.015), (4, 0.03)])
def test_less_error_than_greedy(levels: int, gain: float) -> None:
    """What counts is the error that the best encode leaves; greedy is by prefix energy."""
    weights = np.random.default_rng(6).normal(size=(128, 128))
    greedy = arrange(weights, 128, effort=0.0)  # the criterion without forgetting
    found = arrange(weights, 128, levels=levels)
    assert _error(weights, levels, found) < (1 - gain) * _error(weights, levels, greedy)


def _error(weights: Float64Array, levels: int, found: Arrangement) -> float:
    """Relative RMS at the best of some steps."""
    chain = weights[:, found.order] * found.signs
    forest = Forest.path(weights.shape[1])
    errors = []
    for step in np.geomspace(0.6, 2.4, 9):
        left = chain - step * encode(forest, chain / step, levels).values
        errors.append(float(np.sqrt((left**2).mean() / (chain**2).mean())))
    return min(errors)


def test_a_solver_finds_nothing_better() -> None:
    """CP-SAT proves the optimum of four outputs, signs included."""
    weights = np.random.default_rng(8).integers(-3, 4, (5, 4)).astype(np.float64)
    found = arrange(weights, 4)
    assert found.cost == pytest.approx(_solve(weights) / 5, rel=1e-9)


def _solve(weights: Float64Array) -> float:
    """Five times the least cost of one chain of four: its matrix times five is whole."""
    count = weights.shape[1]
    gram = np.rint(weights.T @ weights).astype(int)
    matrix = np.rint((count + 1) * _matrix(count, count, None)).astype(int)
    model = cp_model.CpModel()
    chosen = {
        key: model.new_bool_var(str(key)) for key in product(range(count), range(count), (1, -1))
    }
    for here in range(count):
        model.add_exactly_one(v for (p, _, _), v in chosen.items() if p == here)
        model.add_exactly_one(v for (_, o, _), v in chosen.items() if o == here)
    terms = []
    for one, other in product(chosen, repeat=2):
        weight = int(matrix[one[0], other[0]] * gram[one[1], other[1]] * one[2] * other[2])
        if one == other:
            terms.append(weight * chosen[one])
        elif one[0] < other[0] and one[1] != other[1]:
            both = model.new_bool_var("")
            model.add_multiplication_equality(both, [chosen[one], chosen[other]])
            terms.append(2 * weight * both)
    model.minimize(sum(terms))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    assert solver.solve(model) == cp_model.OPTIMAL
    return solver.objective_value


def test_costs_that_can_be_checked_by_hand() -> None:
    """One row 1, -1: columns 0, 1, 0 about their mean 1/3 have the energy 2/3."""
    alternating = arrange(np.array([[1.0, -1.0]]), 2, signs=False)
    assert alternating.cost == pytest.approx(2 / 3)
    single = arrange(np.array([[2.0]]), 1)
    assert single.cost == pytest.approx(2.0)  # columns 0 and 2
    assert single.bound == pytest.approx(2.0, rel=1e-5)


def test_orders_are_of_positions() -> None:
    found = arrange(np.array([[1.0, 1.0, -3.0]]), 3)
    chain = np.array([1.0, 1.0, -3.0])[found.order] * found.signs
    sums = np.concatenate([[0.0], np.cumsum(chain)])
    assert found.cost == pytest.approx(float(((sums - sums.mean()) ** 2).sum()))


def test_wrong_arguments() -> None:
    fine = np.ones((2, 2))
    with pytest.raises(ValueError, match="not finite"):
        arrange(np.array([[np.inf]]), 1)
    with pytest.raises(ValueError, match="not a matrix"):
        arrange(np.ones(3), 1)
    with pytest.raises(ValueError, match="chains of 0"):
        arrange(fine, 0)
    with pytest.raises(ValueError, match="1 levels"):
        arrange(fine, 2, levels=1)
