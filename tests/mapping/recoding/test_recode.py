"""Digits of weights: every step is the cheapest one, and work is bounded."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped
from xbarc.ir.effective import effective_weights
from xbarc.mapping.converter_savings import centring, savings
from xbarc.mapping.converter_savings.centring import centres
from xbarc.mapping.converters import BOTH_LAWS
from xbarc.mapping.recoding import Spelling, digit_kernels, digit_sums, recode
from xbarc.mapping.recoding import digits as digits_module
from xbarc.numerics.types import IntArray
from xbarc.target import load_target


def gaussian(rows: int, outputs: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(0, 35, (1, rows, outputs))), -127, 127).astype(np.int64)


def levels(digits: IntArray, bounds: IntArray) -> float:
    bits = [np.frexp(sums.astype(float))[1] for sums in digit_sums(digits.astype(np.int8), bounds)]
    return float(sum((2.0**b * (b > 0)).sum() for b in bits))


def price(sums: IntArray, targets: IntArray) -> float:
    over = np.maximum(sums - targets, 0)
    return float(0.02 * sums.sum() + (over * over).sum())


@given(st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_a_sweep_takes_the_cheapest_way_of_all(
    cell_bits: int, slices: int, joined: bool, seed: int
) -> None:
    """One weight after the other, against every way there is to write it."""
    rng = np.random.default_rng(seed)
    most, sides = (1 << cell_bits * slices) - 1, 1 if joined else 2
    weights = rng.integers(-most, most + 1, 4).astype(np.int32)
    targets = rng.integers(0, 6, sides * slices)
    prices, priced = np.zeros((sides * slices, 60)), np.full(sides * slices, -1)
    digit_kernels.set_prices(prices, priced, targets)
    digits, sums = np.zeros((4, slices), np.int8), np.zeros(sides * slices, np.int64)
    reach = range(1 - (1 << cell_bits), 1 << cell_bits)
    for _ in range(2):
        for row in range(4):
            others = np.delete(digits, row, axis=0).astype(np.int64)
            digit_kernels.sweep(
                weights[row : row + 1], cell_bits, digits[row : row + 1], sums, prices
            )
            ways = [
                way
                for way in product(reach, repeat=slices)
                if sum(d << cell_bits * j for j, d in enumerate(way)) == weights[row]
            ]
            best = min(price(column_sums([*others, np.array(w)], sides), targets) for w in ways)
            assert np.array_equal(sums, column_sums(list(digits.astype(np.int64)), sides))
            assert price(sums, targets) == pytest.approx(best, abs=1e-9)


def column_sums(rows: list[IntArray], sides: int) -> IntArray:
    digits = np.array(rows)
    if sides == 1:
        return np.asarray(np.abs(digits).sum(axis=0))
    both = np.stack([np.maximum(digits, 0).sum(axis=0), np.maximum(-digits, 0).sum(axis=0)], axis=1)
    return both.reshape(-1)


def test_fewer_sweeps_cost_levels_and_never_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, bounds = gaussian(256, 24), np.array([0, 128, 256])
    monkeypatch.setattr(digits_module, "MANY_WEIGHTS", 0)
    found = []
    for sweeps in (0, 2, 4, 8, 16):
        monkeypatch.setattr(digits_module, "_SWEEPS_OF_MANY", sweeps)
        digits = recode(weights, bounds, Spelling(4, 2))
        places = np.int64(1) << (2 * np.arange(4))
        assert np.array_equal((digits.astype(np.int64) * places).sum(axis=3), weights)
        found.append(levels(digits, bounds))
    assert found == sorted(found, reverse=True)
    assert found[0] == levels(recode(weights, bounds, Spelling(4, 2), least=True), bounds)
    assert found[-1] < 0.9 * found[0]


def test_the_limit_costs_less_than_a_hundredth_with_four_slices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a layer of many weights loses to the limit."""
    weights, bounds = gaussian(128, 60), np.array([0, 128])
    free = recode(weights, bounds, Spelling(4, 2), quick=True)
    monkeypatch.setattr(digits_module, "MANY_WEIGHTS", 0)
    held = recode(weights, bounds, Spelling(4, 2))
    assert levels(held, bounds) <= 1.01 * levels(free, bounds)


def test_pieces_of_a_large_layer_are_held_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, target = int_layer(gaussian(128, 8)), load_target("rram128")
    free = mapped(layer, target, adc_savings=("recode",))
    monkeypatch.setattr(savings, "MANY_WEIGHTS", 128 * 8 - 1)
    monkeypatch.setattr(digits_module, "_SWEEPS_OF_MANY", 2)
    held = mapped(layer, target, adc_savings=("recode",))
    assert np.array_equal(effective_weights(held), effective_weights(free))
    assert not np.array_equal(held.cells.data, free.cells.data)


@pytest.mark.slow
def test_a_sample_of_row_blocks_finds_centres_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.clip(gaussian(1000, 12) + 9, -127, 127)
    bounds = np.array([*range(0, 1000, 128), 1000])
    target = load_target("rram128")
    how = centring._How(4, 2, 1, joined=False, law=BOTH_LAWS, many=False)
    costs = []
    for tried in (1 << 18, 4000, 1):
        monkeypatch.setattr(centring, "_TRIED_WEIGHTS", tried)
        off = centres(weights, bounds, 4, target, joined=False)
        moved = weights - off[:, None]
        costs.append(centring._cost(moved, bounds, how).sum())
    plain = centring._cost(weights, bounds, how).sum()
    assert costs[0] <= costs[1] <= 1.02 * costs[0]
    assert costs[0] <= costs[2] <= 1.03 * costs[0]
    assert costs[2] < plain


@given(st.integers(1, 400), st.integers(1, 130), st.integers(1, 5000))
def test_a_sample_is_made_of_whole_row_blocks(rows: int, active: int, tried: int) -> None:
    weights = np.arange(rows).reshape(1, rows, 1)
    bounds = np.array([*range(0, rows, active), rows])
    chosen, edges = centring._sample(weights, bounds, tried)
    assert edges[0] == 0
    assert edges[-1] == chosen.shape[1]
    assert chosen.shape[1] <= max(active, tried)
    for first, last in pairwise(edges.tolist()):
        part = chosen[0, first:last, 0]
        assert part[0] in bounds
        assert np.array_equal(part, np.arange(part[0], part[0] + last - first))
        assert part[-1] + 1 in bounds
