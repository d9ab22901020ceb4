"""What no recoding can be below, against every recoding there is."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.converter_savings_bound import (
    cuts,
    digit_choices,
    histogram,
    layer_bound,
    least_of_all,
    problem_bound,
)
from tests.builders import int_layer, mapped, small_target
from xbarc.cost.converters.sizing_rules import converter_widths
from xbarc.mapping.converters.width_costs import BOTH
from xbarc.numerics.types import Float64Array, IntArray
from xbarc.options import FREE_ADC_SAVINGS


def bound(weights: IntArray, slices: int, cell_bits: int) -> Float64Array:
    magnitude = int(np.abs(weights).max())
    tables = [
        [
            (2 * (high - low), least_of_all(magnitude, low, high, slices, cell_bits))
            for low, high in cut
        ]
        for cut in cuts(slices)
    ]
    return np.asarray(problem_bound(histogram(weights[:, None], magnitude), tables, 1)[:, 0])


def laws(digits: IntArray) -> list[float]:
    sums = np.concatenate([np.maximum(digits, 0).sum(0), np.maximum(-digits, 0).sum(0)])
    bits = np.frexp(sums.astype(float))[1]
    levels = float((2.0**bits * (bits > 0)).sum())
    return [float(bits.sum()), levels, levels + BOTH * float(bits.sum())]


@pytest.mark.parametrize(("slices", "cell_bits"), [(2, 2), (3, 1)])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_no_way_to_write_weights_is_below_the_bound(slices: int, cell_bits: int, seed: int) -> None:
    most = (1 << slices * cell_bits) - 1
    weights = np.random.default_rng(seed).integers(-most, most + 1, 5)
    ways = [sorted(digit_choices(int(w), 0, slices, slices, cell_bits)) for w in weights]
    best = np.min([laws(np.array(choice)) for choice in product(*ways)], axis=0)
    least = bound(weights, slices, cell_bits)
    assert (least <= best).all()
    assert (least >= 0.3 * best).all()


def test_choices_are_all_ways_there_are() -> None:
    for weight in range(-63, 64):
        ways = {d for d in product(range(-3, 4), repeat=3) if d[0] + 4 * d[1] + 16 * d[2] == weight}
        assert digit_choices(weight, 0, 3, 3, 2) == ways
        assert digit_choices(weight, 1, 3, 3, 2) == {way[1:] for way in ways}


def test_the_bound_is_met_where_there_is_one_way() -> None:
    """Zeros, and ones in the only slice: nothing to choose."""
    assert bound(np.array([0, 0, 1]), 1, 2).tolist() == [1, 2, 2 + BOTH]
    assert bound(np.array([1] * 9 + [-1] * 3), 1, 2).tolist() == [6, 20, 20 + 6 * BOTH]


def test_a_layer_with_all_savings_is_not_below_its_bound() -> None:
    rng = np.random.default_rng(4)
    weights = np.clip(np.rint(rng.normal(3, 35, (1, 150, 6))), -127, 127).astype(np.int64)
    step = mapped(
        int_layer(weights), small_target(adc__stops_early="true"), adc_savings=FREE_ADC_SAVINGS
    )
    found = {item.rule: item for item in converter_widths(step)}["from cells"]
    here, anywhere = layer_bound(step, 0), layer_bound(step, 2)
    assert (anywhere <= here).all()
    assert step.input_slices * here[0] <= found.bits <= 1.8 * step.input_slices * here[0]
    assert step.input_slices * here[1] <= found.levels <= 1.5 * step.input_slices * here[1]
