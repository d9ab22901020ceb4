"""Converter savings change cells and converters, never a result."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.strategies import Case, cases
from xbarc.errors import MappingError
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.ir.effective import (
    cell_ranges,
    conversion_matrix,
    effective_weights,
    is_lossless,
)
from xbarc.ir.trace import LayerTrace
from xbarc.ir.verify import STEP_RULES
from xbarc.mapping.converter_savings.assignment import assign, group_cost
from xbarc.mapping.converter_savings.dealing import deal_rows
from xbarc.mapping.converter_savings.grouping import sorted_places
from xbarc.mapping.recoding import Spelling, digit_sums, recode
from xbarc.numerics.types import IntArray
from xbarc.options import FREE_ADC_SAVINGS, ColumnRule, column_rule, parse_adc_savings

RNG = np.random.default_rng(5)


def gaussian(rows: int, outputs: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(0, 35, (1, rows, outputs))), -127, 127).astype(np.int64)


@given(
    cases(),
    st.sets(st.sampled_from(FREE_ADC_SAVINGS)),
    st.sampled_from(["array", "layer", "1", "3"]),
)
def test_savings_keep_the_matrix_and_both_engines(
    case: Case, adc_savings: set[str], order: str
) -> None:
    chosen = tuple(saving for saving in FREE_ADC_SAVINGS if saving in adc_savings)
    rule = column_rule(order)
    quick = ColumnRule(rule.common, rule.reach, 0.02)
    layer, target = case.layer, case.target
    options = case.options
    try:
        plain = mapped(layer, target, **options)
        step = mapped(layer, target, adc_savings=chosen, column_order=quick, **options)
    except MappingError:  # wider than any converter, or weights that an encoding cannot hold
        return
    assert np.array_equal(effective_weights(step), effective_weights(plain))
    assert is_lossless(step)
    assert step.adc.bits.size
    assert not [text for rule in STEP_RULES for text in rule(step)]
    top = (1 << step.input_bits) - 1
    vectors = RNG.integers(0, top + 1, (5, step.groups, step.inputs)).astype(np.uint16)
    wanted = np.einsum("vgi,gio->vgo", vectors.astype(np.int64), effective_weights(step))
    assert np.array_equal(ReferenceLayer(step).accumulate(vectors), wanted)
    assert np.array_equal(FastLayer(step).accumulate(vectors), wanted)


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_digits_join_back(cell_bits: int, slices: int, dac: int, joined: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    most = (1 << cell_bits * slices) - 1
    weights = rng.integers(-most, most + 1, (2, 9, 3))
    digits = recode(
        weights,
        np.array([0, 4, 9]),
        Spelling(slices, cell_bits, (1 << dac) - 1, joined),
    )
    assert np.abs(digits.astype(int)).max() < 1 << cell_bits
    places = np.int64(1) << (cell_bits * np.arange(slices))
    assert np.array_equal((digits.astype(np.int64) * places).sum(axis=3), weights)


def test_recoding_comes_near_the_best_of_all_ways() -> None:
    """Every way to write every weight, tried out: never better, seldom worse."""
    best = greedy = plain = 0
    for seed in range(12):
        weights = np.random.default_rng(seed).integers(-10, 11, (1, 6, 1))
        ways = [
            [(a, b) for a in range(-3, 4) for b in range(-3, 4) if a + 4 * b == w]
            for w in weights.reshape(-1).tolist()
        ]
        least = min(_levels(np.array(choice)) for choice in product(*ways))
        found = _levels(recode(weights, np.array([0, 6]), Spelling(2, 2)).reshape(6, 2))
        assert found >= least
        column = weights.reshape(-1, 1)
        digits = np.sign(column) * np.concatenate([abs(column) % 4, abs(column) // 4], axis=1)
        best, greedy, plain = best + least, greedy + found, plain + _levels(digits)
    assert greedy <= 1.1 * best
    assert greedy < 0.95 * plain


def _levels(digits: IntArray) -> int:
    sums = np.concatenate([np.maximum(digits, 0).sum(0), np.maximum(-digits, 0).sum(0)])
    bits = np.frexp(sums.astype(float))[1]
    return int((2.0**bits * (bits > 0)).sum())


@pytest.mark.parametrize("saving", ["recode", "centre", "group"])
def test_each_saving_lowers_the_levels(saving: str) -> None:
    target = small_target(adc__stops_early="false" if saving == "group" else "true")
    weights = gaussian(300, 32) + 9
    plain = mapped(int_layer(np.clip(weights, -127, 127)), target)
    step = mapped(int_layer(np.clip(weights, -127, 127)), target, adc_savings=(saving,))
    assert (
        np.exp2(step.adc.bits.astype(float)).mean()
        < np.exp2(np.broadcast_to(plain.adc.bits, (1, 3, 256, 1)).astype(float)).mean()
    )


def test_dealing_never_costs_more_than_the_natural_order() -> None:
    weights = gaussian(300, 8)
    weights[:, ::2] //= 16
    bounds = np.array([0, 128, 256, 300])
    order = deal_rows(weights, bounds, 128, 2)
    assert np.array_equal(np.sort(order), np.arange(300))
    costs = []
    for rows in (np.arange(300), order):
        digits = recode(weights[:, rows], bounds, Spelling(4, 2))
        bits = [np.frexp(sums.astype(float))[1] for sums in digit_sums(digits, bounds)]
        costs.append(sum((2.0**b * (b > 0) + 8 * b).sum() for b in bits))
    assert costs[1] < costs[0]


def test_recoding_twice_gives_the_same_bytes() -> None:
    first, second = (
        mapped(int_layer(gaussian(200, 40)), small_target(), adc_savings=FREE_ADC_SAVINGS)
        for _ in range(2)
    )
    assert np.array_equal(first.cells.data, second.cells.data)
    assert np.array_equal(first.adc.bits, second.adc.bits)


def test_sorting_is_optimal_for_one_array() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sums = rng.integers(0, 200, (1, 1, 6))
        slots = np.arange(6) // 2
        best = min(group_cost(np.array([p]), slots)[0] for p in permutations(sums[0, 0]))
        place = sorted_places(sums, np.zeros((1, 1), dtype=int), 2)[0, 0]
        laid = np.empty(6, dtype=np.int64)
        laid[place] = sums[0, 0]
        assert group_cost(laid[None], slots)[0] == best


@pytest.mark.parametrize("seed", range(6))
def test_the_solver_agrees_with_sorting_where_sorting_is_optimal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.integers(0, 300, (1, 1, 24))
    offsets = np.zeros((1, 1), dtype=np.int64)
    found = assign(sums, offsets, 4, common=True, reach=None, effort=5.0)
    laid = np.empty(24, dtype=np.int64)
    laid[sorted_places(sums, offsets, 4)[0, 0]] = sums[0, 0]
    assert found.objective == found.bound == group_cost(laid[None], np.arange(24) // 4)[0]


def test_the_solver_beats_sorting_under_side_conditions() -> None:
    """Two row blocks that disagree: no order by sums is best."""
    rng = np.random.default_rng(3)
    sums = rng.choice([3, 60, 250], (1, 3, 16))
    found = assign(sums, np.zeros((1, 3), dtype=np.int64), 4, True, None, 5.0)
    assert found.objective < found.sorted_cost
    assert found.bound <= found.objective


def test_reach_keeps_columns_near_their_place() -> None:
    step = mapped(
        int_layer(gaussian(64, 16)),
        small_target(),
        adc_savings=("group",),
        column_order=column_rule("9"),
    )
    order = step.tiling.column_order
    assert order is not None
    moved = np.abs(order - np.arange(128))
    assert 0 < moved.max() <= 9 + 7  # places within a converter are as good as each other
    (run,) = step.adc.solved
    assert run.stage == "column order"
    assert 0 < run.bound <= run.objective
    assert run.seconds > 0


@given(cases(), st.booleans())
def test_adversarial_inputs_reach_the_bound_and_one_bit_fewer_saturates(
    case: Case, saves: bool
) -> None:
    """All rows that push a sum up, at the largest code: inside the range, and only just."""
    adc = case.target.adc.model_copy(update={"columns_per_adc": 1})
    target = case.target.model_copy(update={"adc": adc})
    try:
        step = mapped(
            case.layer, target, adc_savings=FREE_ADC_SAVINGS if saves else (), **case.options
        )
    except MappingError:  # wider than any converter: refused, as another test holds
        return
    _, high = cell_ranges(step)
    group, segment, k = np.unravel_index(int(np.argmax(high)), high.shape)
    if high[group, segment, k] == 0:
        return
    vectors = np.zeros((2, step.groups, step.inputs), dtype=np.int64)
    first, last = step.tiling.segment_bounds[segment : segment + 2]
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns).toarray()
    pushes = step.cells.unpack((int(group), slice(first, last))).astype(np.int64) @ a[k]
    up = step.tiling.row_input[first:last][pushes > 0]
    vectors[0, group, up] = (1 << step.input_bits) - 1
    vectors[1] = (1 << step.input_bits) - 1
    trace = LayerTrace()
    ReferenceLayer(step).accumulate(vectors, trace)
    assert trace.saturated == 0
    full = np.broadcast_to(step.adc.bits, (*high.shape, step.adc.bits.shape[3])).copy()
    full[group, segment, k] -= 1
    ReferenceLayer(replace(step, adc=replace(step.adc, bits=full))).accumulate(vectors, trace)
    assert trace.saturated > 0


def test_savings_and_orders_by_name() -> None:
    assert parse_adc_savings("none") == ()
    assert parse_adc_savings("all") == FREE_ADC_SAVINGS
    assert parse_adc_savings("group, recode") == ("recode", "group")
    with pytest.raises(MappingError, match="'magic' is not available"):
        parse_adc_savings("magic")
    with pytest.raises(MappingError, match="'up' is not available"):
        column_rule("up")


def test_effort_changes_time_and_never_a_result() -> None:
    layer = int_layer(gaussian(300, 24))
    wanted = effective_weights(mapped(layer, small_target()))
    steps = {
        effort: mapped(layer, small_target(), adc_savings=("recode", "centre"), effort=effort)
        for effort in ("low", "normal", "high")
    }
    for step in steps.values():
        assert is_lossless(step)
        assert np.array_equal(effective_weights(step), wanted)
    # A small layer is searched as a whole already.
    assert np.array_equal(steps["high"].cells.data, steps["normal"].cells.data)
    assert not np.array_equal(steps["low"].cells.data, steps["normal"].cells.data)
    levels = {
        effort: float(np.exp2(step.adc.bits.astype(np.float64)).sum())
        for effort, step in steps.items()
    }
    plain = float(np.exp2(mapped(layer, small_target()).adc.bits.astype(np.float64)).sum())
    assert levels["normal"] < plain
    assert levels["low"] < plain
