"""Integers that lie on chains of columns, in an order and with signs that nobody knows any more."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.mapping.chains import find_order
from xbarc.mapping.chains.search import ChainOrder
from xbarc.numerics.types import IntArray


def spans(weights: IntArray, lengths: list[int], order: IntArray, signs: IntArray) -> int:
    """Levels that the widest row needs."""
    turned, start, widest = weights.astype(np.int64)[:, order] * signs, 0, 0
    for length in lengths:
        sums = np.cumsum(turned[:, start : start + length], axis=1)
        full = np.concatenate([np.zeros((len(sums), 1), np.int64), sums], axis=1)
        widest = max(widest, int(np.ptp(full, axis=1).max(initial=0)))
        start += length
    return widest + 1


def chains(count: int, rows: int, levels: int, cut: int, seed: int) -> tuple[IntArray, list[int]]:
    """Differences of random cells, shuffled over all chains and some negated."""
    rng = np.random.default_rng(seed)
    lengths = [cut] * (count // cut) + [count % cut] * (count % cut > 0)
    cells = [rng.integers(0, levels, (rows, length + 1)) for length in lengths]
    weights = np.concatenate([part[:, :-1] - part[:, 1:] for part in cells], axis=1)
    return weights[:, rng.permutation(count)] * rng.choice([-1, 1], count), lengths


def assert_fits(found: ChainOrder, weights: IntArray, lengths: list[int], levels: int) -> None:
    assert found.answer == "found"
    assert sorted(found.order.tolist()) == list(range(weights.shape[1]))
    assert spans(weights, lengths, found.order, found.signs) <= levels


@pytest.mark.parametrize("levels", [2, 4, 16])
@pytest.mark.parametrize(("count", "cut"), [(64, 64), (127, 127), (300, 127), (60, 4)])
@pytest.mark.parametrize("rows", [36, 150])
def test_shuffled_chains_are_found(count: int, cut: int, levels: int, rows: int) -> None:
    weights, lengths = chains(count, rows, levels, cut, seed=count + levels)
    assert_fits(find_order(weights, lengths, levels), weights, lengths, levels)


@pytest.mark.parametrize(
    ("count", "rows", "levels"),
    [(64, 9, 2), (127, 9, 2), pytest.param(64, 12, 4, marks=pytest.mark.slow), (64, 16, 2)],
)
def test_chains_of_few_rows_are_found(count: int, rows: int, levels: int) -> None:
    weights, lengths = chains(count, rows, levels, count, seed=3)
    found = find_order(weights, lengths, levels)
    assert_fits(found, weights, lengths, levels)
    again = find_order(weights, lengths, levels)
    assert np.array_equal(found.order, again.order)
    assert np.array_equal(found.signs, again.signs)


def test_a_long_chain_that_is_cut_is_found() -> None:
    """Its outputs have no ends where shorter chains must have theirs."""
    for seed in range(3):
        weights, _ = chains(127, 27, 16, 127, seed)
        lengths = [63, 63, 1]
        assert_fits(find_order(weights, lengths, 16), weights, lengths, 16)


@settings(max_examples=80)
@given(
    count=st.integers(1, 5),
    rows=st.integers(1, 4),
    levels=st.sampled_from([2, 3, 4]),
    cut=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_an_order_is_found_exactly_where_there_is_one(
    count: int, rows: int, levels: int, cut: int, seed: int
) -> None:
    """Against every order and every sign."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1 - levels, levels, (rows, count))
    lengths = [cut] * (count // cut) + [count % cut] * (count % cut > 0)
    found = find_order(weights, lengths, levels)
    possible = any(
        spans(weights, lengths, np.array(order), np.array(signs)) <= levels
        for order in permutations(range(count))
        for signs in product([1, -1], repeat=count)
    )
    if possible and weights.any():
        assert_fits(found, weights, lengths, levels)
    else:
        assert found.answer != "found"


def test_a_dense_graph_is_left_where_nobody_asked() -> None:
    weights = np.random.default_rng(0).integers(-1, 2, (2, 200))
    assert find_order(weights, [200], 16, dense=False).answer == "unknown"


def test_the_answer_is_always_the_same() -> None:
    weights, lengths = chains(64, 18, 2, 64, seed=3)
    first, second = (find_order(weights, lengths, 2) for _ in range(2))
    assert first.answer == second.answer
    assert np.array_equal(first.order, second.order)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    count=st.integers(1, 40),
    rows=st.integers(1, 30),
    levels=st.sampled_from([2, 3, 4, 16]),
    cut=st.integers(1, 40),
    seed=st.integers(0, 10_000),
)
def test_nothing_is_proven_about_a_chain_that_there_is(
    count: int, rows: int, levels: int, cut: int, seed: int
) -> None:
    weights, lengths = chains(count, rows, levels, cut, seed)
    found = find_order(weights, lengths, levels)
    assert found.answer != "none"
    if found.answer == "found":
        assert_fits(found, weights, lengths, levels)


@pytest.mark.parametrize("lengths", [[3], [2, 3], [4, 0], []])
def test_chains_hold_all_outputs(lengths: list[int]) -> None:
    with pytest.raises(ValueError, match="for 4 outputs"):
        find_order(np.ones((2, 4), np.int64), lengths, 4)


def test_chains_of_several_lengths_stand_where_they_were_asked_for() -> None:
    lengths = [3, 7, 1, 7, 2]
    rng = np.random.default_rng(1)
    cells = [rng.integers(0, 4, (40, length + 1)) for length in lengths]
    weights = np.concatenate([part[:, :-1] - part[:, 1:] for part in cells], axis=1)
    shuffled = weights[:, rng.permutation(20)] * rng.choice([-1, 1], 20)
    assert_fits(find_order(shuffled, lengths, 4), shuffled, lengths, 4)
