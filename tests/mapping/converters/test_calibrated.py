"""Ranges and steps from histograms, and bits under a limit."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.executor.saturating import fits_lookup
from xbarc.instruments.column_sums import SumCounter
from xbarc.ir.kinds import conversion_kinds
from xbarc.ir.program import CrossbarStep
from xbarc.ir.statistics import SumStatistics
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.converters import needed_bits, pick, setting_table, settings_of, with_settings
from xbarc.mapping.converters.calibrated import judge_setting
from xbarc.numerics.types import Int64Array, IntArray
from xbarc.target import Target


def observed(step: CrossbarStep, vectors: IntArray) -> SumCounter:
    observer = SumCounter(step)
    observer.take(1 << 40)
    observer.engine.accumulate(vectors)
    return observer


def vectors_for(step: CrossbarStep, count: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    values = rng.gamma(0.7, 30, (count, step.groups, step.inputs))
    return np.minimum(values, (1 << step.input_bits) - 1).astype(np.uint8)


def layer_step(target: Target, encoding: str = "differential", rows: int = 150) -> CrossbarStep:
    weights = np.clip(np.rint(np.random.default_rng(1).normal(0, 30, (1, rows, 12))), -127, 127)
    return mapped(
        int_layer(weights.astype(np.int64)), target, encoding=encoding, adc="calibrated:8"
    )


def all_codes(step: CrossbarStep, vectors: IntArray) -> Int64Array:
    trace = LayerTrace(keep_codes=True)
    ReferenceLayer(step).accumulate(vectors, trace)
    return trace.codes[0]


@pytest.mark.parametrize(
    ("encoding", "dac", "cell"),
    [("differential", 1, 2), ("differential-analog", 1, 6), ("offset", 2, 4)],
)
def test_counted_sums_are_those_of_the_reference(encoding: str, dac: int, cell: int) -> None:
    target = small_target(input__dac_bits=dac, cell__bits=cell)
    step = layer_step(target, encoding)
    vectors = vectors_for(step, 40)
    statistics = observed(step, vectors).statistics
    wide = (
        mapped(int_layer(np.zeros((1, 1, 1), dtype=np.int64)), target).adc.bits * 0 + 16
    )  # 16 bits from the least sum on read every sum
    free = step.adc.lo * 0 + statistics.low
    exact = with_settings(step, type(step.adc)(wide, free[:1, :1, :1], step.adc.step, "test"))
    codes = all_codes(exact, vectors)  # vector, group, segment, slice, conversion
    kinds, _ = conversion_kinds(step)
    block = step.tiling.segment_block
    counts = np.zeros_like(statistics.counts)
    for segment, s, k in product(range(codes.shape[2]), range(codes.shape[3]), range(len(kinds))):
        index = codes[:, :, segment, s, k].reshape(-1) // statistics.width
        np.add.at(counts[block[segment] % len(counts), kinds[k], s], index, 1)
    assert np.array_equal(counts, statistics.counts)
    assert statistics.vectors == 40


@pytest.mark.slow
@given(st.integers(0, 10_000), st.integers(0, 5))
def test_the_search_comes_near_the_best_setting(seed: int, bits: int) -> None:
    rng = np.random.default_rng(seed)
    counts = (rng.random(30) ** 6 * 100).astype(np.int64).reshape(1, 1, 1, -1)
    counts[..., 7] += 5
    statistics = SumStatistics(counts, int(rng.integers(-20, 20)), 1, 1)
    least = min(
        judge_setting(statistics, lo, step, bits)
        for lo in range(statistics.low - 5, statistics.low + 31)
        for step in range(1, 31)
    )
    step = layer_step(small_target(), rows=4)
    single = SumStatistics(
        np.tile(counts, (1, int(conversion_kinds(step)[0].max()) + 1, step.input_slices, 1)),
        statistics.low,
        1,
        1,
    )
    table = setting_table(step, small_target(), single, 6)
    found = judge_setting(
        statistics, int(table.lo[0, 0, 0, bits]), int(table.step[0, 0, 0, bits]), bits
    )
    assert least - 1e-9 <= found <= 1.15 * least + 0.05


@pytest.mark.parametrize("reference", ["static", "per-cycle"])
@pytest.mark.parametrize("encoding", ["differential", "differential-analog"])
@pytest.mark.parametrize("bits", [0, 2, 4])
def test_both_engines_agree_on_calibrated_settings(
    reference: str, encoding: str, bits: int
) -> None:
    target = small_target(adc__reference=f'"{reference}"')
    step = layer_step(target, encoding)
    vectors = vectors_for(step, 70)
    table = setting_table(step, target, observed(step, vectors).statistics, 8)
    chosen = np.minimum(needed_bits(table), bits)
    if bits == 4:
        chosen[..., 0] = 0  # no conversion at all beside others
    step = with_settings(step, settings_of(step, table, chosen, "calibrated"))
    assert fits_lookup(step)
    assert step.adc.lo.shape[3] == (8 if reference == "per-cycle" else 1)
    traces = LayerTrace(), LayerTrace()
    fast = FastLayer(step).accumulate(vectors, traces[0])
    assert np.array_equal(fast, ReferenceLayer(step).accumulate(vectors, traces[1]))
    assert traces[0].saturated == traces[1].saturated


def test_more_bits_never_harm_and_enough_are_exact() -> None:
    target = small_target()
    step = layer_step(target)
    vectors = vectors_for(step, 200)
    observer = observed(step, vectors)
    table = setting_table(step, target, observer.statistics, 9)
    assert (np.diff(table.error, axis=3) <= 1e-9).all()
    exact = with_settings(step, settings_of(step, table, needed_bits(table), "calibrated"))
    assert np.array_equal(FastLayer(exact).accumulate(vectors), observer.product(vectors))
    narrow = needed_bits(table) - 1
    few = with_settings(step, settings_of(step, table, np.maximum(narrow, 0), "calibrated"))
    assert not np.array_equal(FastLayer(few).accumulate(vectors), observer.product(vectors))
    assert "beyond their range" in few.adc.notes[-1]


def test_predicted_error_is_what_happens() -> None:
    """Rounding errors add up as if they were independent: within a factor of two."""
    target = small_target()
    step = layer_step(target)
    vectors = vectors_for(step, 400)
    observer = observed(step, vectors)
    table = setting_table(step, target, observer.statistics, 9)
    chosen = np.minimum(needed_bits(table), 5)
    narrow = with_settings(step, settings_of(step, table, chosen, "calibrated"))
    off = FastLayer(narrow).accumulate(vectors) - observer.product(vectors)
    predicted = np.take_along_axis(table.error, chosen[..., None], axis=3).sum()
    assert 0.5 < off.astype(float).var(axis=0).mean() / predicted < 2


def test_a_choice_that_costs_nothing_is_taken() -> None:
    costs, errors = np.array([[0.0, 1.0], [0.0, 2.0]]), np.array([[0.1, 0.0], [0.1, 0.0]])
    picked = pick(costs, errors, 1.0)
    assert picked.choice.tolist() == [0, 0]
    assert picked.cost == picked.bound == 0


def test_the_knapsack_agrees_with_trying_everything() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        costs = np.sort(rng.random((4, 5)) * 10, axis=1)
        errors = np.sort(rng.random((4, 5)), axis=1)[:, ::-1].copy()
        limit = float(errors.min(axis=1).sum() + rng.random())
        rows = np.arange(4)
        every = [np.array(c) for c in product(range(5), repeat=4)]
        kept = [c for c in every if errors[rows, c].sum() <= limit]
        best = min(float(costs[rows, c].sum()) for c in kept)
        found = pick(costs, errors, limit)
        assert found.error <= limit * (1 + 1e-6)
        assert best - 1e-9 <= found.cost <= best * 1.001 + 1e-6
        assert found.cost <= found.greedy_cost + 1e-9
        assert found.bound <= found.cost + 1e-9


def test_a_limit_that_nothing_keeps_takes_the_least_error() -> None:
    found = pick(np.array([[1.0, 5.0]]), np.array([[3.0, 2.0]]), 1.0)
    assert found.choice.tolist() == [1]
