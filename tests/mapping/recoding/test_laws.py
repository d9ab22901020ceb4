"""What converter savings make small is a choice; what comes out of a layer is not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.mapping.recoding.test_recode import gaussian
from xbarc.cost.converters.adc_models import adc_energy_pj
from xbarc.cost.converters.sizing_rules import Widths, converter_widths
from xbarc.errors import MappingError
from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.mapping.converters import costs_by_law
from xbarc.mapping.converters.width_costs import BOTH, by_levels
from xbarc.mapping.recoding import (
    Spelling,
    digit_kernels,
    digit_sums,
    recode,
    simple_digits,
    width_kernels,
)
from xbarc.mapping.recoding.digits import start_prices
from xbarc.numerics.types import IntArray
from xbarc.options import FREE_ADC_SAVINGS, parse_conversion_cost
from xbarc.target import load_target

NAMES = ["both", "bits", "levels", "target", "40"]


def test_every_law_is_a_table_of_costs() -> None:
    target = load_target("rram128")
    assert costs_by_law("bits", target).cost[:4] == (0, 1, 2, 3)
    assert costs_by_law("levels", target).cost[:4] == (0, 2, 4, 8)
    assert costs_by_law("both", target).cost[:3] == (0, 2 + BOTH, 4 + 2 * BOTH)
    assert costs_by_law("40", target) == by_levels(40)
    own = costs_by_law("target", target)
    assert own.unit == "fJ"
    for bits in range(11):
        assert own.cost[bits] == round(1000 * adc_energy_pj(bits, target.costs.adc))
    for name in NAMES:
        cost = costs_by_law(name, target).cost
        assert sorted(cost) == list(cost)
    assert costs_by_law("both", target).of_sums(np.array([0, 1, 63, 64])).tolist() == [
        costs_by_law("both", target).cost[bits] for bits in (0, 1, 6, 7)
    ]


def test_a_target_without_energy_of_converters_has_both_laws() -> None:
    target = load_target("hermes256")
    assert costs_by_law("target", target) == costs_by_law("both", target)


@pytest.mark.parametrize("text", ["", "b", "-1", "1.5", "9999999", "bits,levels"])
def test_an_unknown_law_is_refused(text: str) -> None:
    with pytest.raises(MappingError, match="conversion-cost"):
        parse_conversion_cost(text)


@pytest.mark.parametrize("name", NAMES)
@given(st.sets(st.sampled_from(FREE_ADC_SAVINGS)), st.integers(0, 2**32 - 1))
@settings(max_examples=5)
def test_no_law_changes_the_matrix(name: str, adc_savings: set[str], seed: int) -> None:
    weights = gaussian(70, 5, seed)
    chosen = tuple(saving for saving in FREE_ADC_SAVINGS if saving in adc_savings)
    step = mapped(int_layer(weights), small_target(), adc_savings=chosen, conversion_cost=name)
    assert np.array_equal(effective_weights(step), weights)
    assert is_lossless(step)


@pytest.mark.slow
def test_the_same_law_gives_the_same_bytes() -> None:
    layer = int_layer(gaussian(200, 40))
    for name in ("bits", "target"):
        first, second = (
            mapped(layer, small_target(), adc_savings=FREE_ADC_SAVINGS, conversion_cost=name)
            for _ in range(2)
        )
        assert np.array_equal(first.cells.data, second.cells.data)


@pytest.mark.slow
def test_each_law_is_best_at_what_it_makes_small() -> None:
    layer, target = int_layer(gaussian(256, 24)), small_target(adc__stops_early="true")
    found = {
        name: widths(mapped(layer, target, adc_savings=FREE_ADC_SAVINGS, conversion_cost=name))
        for name in NAMES
    }
    assert found["bits"].bits == min(item.bits for item in found.values())
    assert found["levels"].levels == min(item.levels for item in found.values())
    assert found["bits"].bits < 0.85 * found["levels"].bits
    assert found["levels"].levels < 0.6 * found["bits"].levels
    energy = {name: item.energy_pj(target.costs.adc) for name, item in found.items()}
    assert energy["target"] == min(energy.values())


def widths(step: object) -> Widths:
    return {item.rule: item for item in converter_widths(step)}["from cells"]  # type: ignore[arg-type]  # a step


def test_bits_take_one_column_of_a_pair_where_that_is_less() -> None:
    """192 on one column and nothing on the other, instead of 64 on each: 8 bits, not 12 to 14."""
    digits = np.resize(np.arange(-3, 4), (1, 126, 1))
    bounds = np.array([0, 126])
    for name, most in (("bits", 9), ("levels", 14)):
        law = costs_by_law(name, load_target("rram128"))
        found = recode(digits * 5, bounds, Spelling(4, 2, law=law.cost))
        plus, minus = (part.reshape(-1) for part in digit_sums(found, bounds))
        low = np.frexp(np.array([plus[0], minus[0]]).astype(float))[1].sum()
        assert low <= most
        if name == "bits":
            assert min(plus[0], minus[0]) == 0


@given(st.integers(1, 3), st.integers(1, 3), st.booleans(), st.integers(0, 2**32 - 1))
def test_prices_say_what_no_choice_of_digits_is_below(
    cell_bits: int, slices: int, joined: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    columns, most = slices * (1 if joined else 2), (1 << cell_bits * slices) - 1
    price = rng.integers(0, 9, columns)
    reach = range(1 - (1 << cell_bits), 1 << cell_bits)
    for weight in rng.integers(-most, most + 1, 4).tolist():
        ways = [
            way
            for way in product(reach, repeat=slices)
            if sum(digit << cell_bits * j for j, digit in enumerate(way)) == weight
        ]
        cost = min(int(price @ cells(way, joined)) for way in ways)
        assert int(price @ simple_digits(np.array([weight]), price, slices, cell_bits)[0]) == cost


def cells(way: tuple[int, ...], joined: bool) -> IntArray:
    if joined:
        return np.array([abs(digit) for digit in way])
    return np.array([side for digit in way for side in (max(digit, 0), max(-digit, 0))])


@given(st.integers(0, 2**32 - 1))
def test_the_cheapest_widths_are_found_among_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    law = np.array(by_levels(int(rng.integers(0, 20))).cost, dtype=np.int64)
    low = rng.integers(0, 3, 4)
    high = low + rng.integers(0, 3, 4)
    prices, floors = rng.integers(0, 5, (3, 4)), rng.integers(0, 60, 3)
    failed = rng.integers(0, 4, (2, 4))
    standing = [
        (int(law[np.array(w)].sum()), w)
        for w in product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
        if (prices @ ((1 << np.array(w)) - 1) >= floors).all()
        and not any((np.array(w) <= row).all() for row in failed)
    ]
    limit, best = np.int64(90), np.zeros(4, dtype=np.int64)
    known = width_kernels.RuledOut(prices, floors, failed)
    found = width_kernels.next_widths(known, law, low, high, limit, 1, best)
    least = min((cost for cost, _ in standing), default=90)
    assert found == min(least, 90)
    if found < 90:
        assert (found, tuple(best.tolist())) in standing


@pytest.mark.slow  # whole searches: 40 s
@pytest.mark.parametrize(("a_bit", "gain"), [(0, 0.98), (BOTH, 0.97), (400, 1.0)])
def test_looking_around_finds_better_widths(a_bit: int, gain: float) -> None:
    law = np.array(by_levels(a_bit).cost, dtype=np.int64)
    weights = gaussian(128, 24).transpose(0, 2, 1).reshape(24, 128).astype(np.int32)
    totals = []
    for rounds in (0, 40):
        digits = np.zeros((24, 128, 4), dtype=np.int8)
        starts = start_prices(4, joined=False)
        effort = width_kernels.Effort(2, 1 << 20, rounds, 16)
        width_kernels.recode(weights, 2, 1, (starts[:1], starts), law, effort, digits, (0, 24))
        sums = [np.maximum(digits, 0).sum(1), np.maximum(-digits.astype(int), 0).sum(1)]
        both = np.stack(sums, axis=-1).reshape(24, 8).astype(np.int64)
        totals.append(sum(int(digit_kernels.cost_of(row, 1, law)) for row in both))
        places = np.int64(1) << (2 * np.arange(4))
        assert np.array_equal((digits.astype(np.int64) * places).sum(axis=2), weights)
    assert totals[1] <= gain * totals[0]
