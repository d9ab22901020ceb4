"""Samples judge what was fitted without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calibration.test_refit import STATIC, narrow_layer, some_vectors
from xbarc.calibration.converters import LayerObservation, observe_layer
from xbarc.calibration.expected_loss import turned_loss
from xbarc.calibration.folds import FOLDS, Folds, deal_folds, run_in_folds
from xbarc.calibration.refit import Fitting, refit_step
from xbarc.executor import FastLayer, StepRunner
from xbarc.executor.batches import calibration_batches
from xbarc.executor.walk import Values
from xbarc.ir.network import Value
from xbarc.ir.program import CrossbarStep
from xbarc.numerics.types import Float64Array, IntArray


@given(st.integers(1, 60))
def test_parts_are_alike_in_size_and_always_the_same(batches: int) -> None:
    parts = deal_folds(batches)
    sizes = np.bincount(parts.of, minlength=parts.count)
    assert parts.count == min(batches, FOLDS)
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(parts.of, deal_folds(batches).of)


def test_neighbours_are_not_all_in_one_part() -> None:
    """Data sorted by class would be judged by what other classes taught."""
    of = deal_folds(64).of
    assert len(np.unique(of[:8])) > 3


def _values(step: CrossbarStep, batches: int = 8, each: int = 40) -> list[Values]:
    codes = [some_vectors(each, seed)[:, 0] for seed in range(batches)]
    scale = np.float32(STATIC.scale)
    return [{step.input: (part.astype(np.float32) - STATIC.zero_point) * scale} for part in codes]


def _ran(
    seen: LayerObservation, coarse: CrossbarStep, parts: Folds, values: list[Values]
) -> list[IntArray]:
    own = [dict(batch) for batch in values]
    run_in_folds(seen.make_fitting(coarse, own), seen.origin, parts, own)
    return [batch[coarse.output] for batch in own]


@pytest.fixture(scope="module")
def coarse() -> CrossbarStep:
    return narrow_layer(STATIC, 2, 12)


def test_no_sample_meets_numbers_that_its_own_part_taught(coarse: CrossbarStep) -> None:
    values, parts = _values(coarse), deal_folds(8)
    seen = observe_layer(replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc), values)
    before = _ran(seen, coarse, parts, values)
    mine = parts.of[seen.origin] == 3
    told = replace(seen, product=np.where(mine[:, None, None], 10**5, seen.product))
    after = _ran(told, coarse, parts, values)
    for part, one, two in zip(parts.of, before, after, strict=True):
        assert np.array_equal(one, two) == (part == 3)


def test_each_part_runs_the_layer_that_the_others_fit(coarse: CrossbarStep) -> None:
    values, parts = _values(coarse), deal_folds(8)
    seen = observe_layer(replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc), values)
    found = _ran(seen, coarse, parts, values)
    for number in range(8):
        others = parts.of[seen.origin] != parts.of[number]
        step = refit_step(coarse, seen.vectors[others], seen.product[others])
        own = dict(values[number])
        StepRunner().run(step, own)
        assert np.array_equal(own[step.output], found[number])


def test_one_part_judges_itself(coarse: CrossbarStep) -> None:
    values = _values(coarse, batches=1)
    seen = observe_layer(replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc), values)
    found = _ran(seen, coarse, deal_folds(1), values)[0]
    own = dict(values[0])
    StepRunner().run(refit_step(coarse, seen.vectors, seen.product), own)
    assert np.array_equal(own[coarse.output], found)


@pytest.mark.parametrize("bits", [0, 2, 16])
def test_shared_tables_give_the_same_bits(bits: int) -> None:
    coarse = narrow_layer(STATIC, bits, 12 if bits < 16 else 1)
    vectors = some_vectors(300, 5)
    exact = narrow_layer(STATIC, 16, 1)
    engine = FastLayer(coarse)
    fit = Fitting(coarse, vectors, FastLayer(exact).accumulate(vectors), engine)
    step = fit.fit_step(np.arange(300) < 150)
    shared = FastLayer(step, tables=engine).accumulate(vectors)
    assert np.array_equal(shared, FastLayer(step).accumulate(vectors))


def test_nothing_to_fit_to_changes_nothing(coarse: CrossbarStep) -> None:
    vectors = some_vectors(50, 0)
    fit = Fitting(coarse, vectors, FastLayer(coarse).accumulate(vectors))
    assert fit.fit_step(np.zeros(50, dtype=np.bool_)) is coarse


@pytest.mark.parametrize(("samples", "batches"), [(1000, 16), (48, 8), (9, 9), (3, 3)])
def test_few_samples_are_cut_finer_where_parts_are_wanted(samples: int, batches: int) -> None:
    inputs = (Value("x", "float32", ("N", 4)),)
    data = {"x": np.zeros((samples, 4), dtype=np.float32)}
    found = calibration_batches(inputs, data, FOLDS)
    assert len(found) == batches
    assert sum(len(batch["x"]) for batch in found) == samples
    fixed = (Value("x", "float32", (samples, 4)),)
    assert len(calibration_batches(fixed, data, FOLDS)) == 1


def _case(seed: int, samples: int) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Scores, coarse scores and likelihoods; sure answers have larger scores and errors."""
    rng = np.random.default_rng(seed)
    size = rng.gamma(2.0, 1.0, (samples, 1))
    exact = size * rng.normal(0, 2, (samples, 6))
    found = exact + (0.1 + 0.1 * size) * rng.normal(0, 1, exact.shape)
    shares = np.exp(exact - exact.max(axis=1, keepdims=True))
    return exact, found, shares / shares.sum(axis=1, keepdims=True)


def _plain(exact: Float64Array, found: Float64Array, likely: Float64Array) -> float:
    rows = np.arange(len(exact))
    return float((likely[rows, exact.argmax(axis=1)] - likely[rows, found.argmax(axis=1)]).mean())


def test_errors_of_others_say_the_same_with_less_chance() -> None:
    cases = [_case(seed, 250) for seed in range(60)]
    plain, spread = ([judge(*case) for case in cases] for judge in (_plain, turned_loss))
    assert np.mean(spread) == pytest.approx(np.mean(plain), rel=0.1)
    assert np.std(spread) < 0.75 * np.std(plain)


@given(st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_a_common_factor_or_constant_turns_no_answer(factor: float, constant: float) -> None:
    exact, found, likely = _case(1, 100)
    wanted = turned_loss(exact, found, likely)
    assert turned_loss(exact, factor * found + constant, likely) == pytest.approx(wanted, rel=0.05)
    assert turned_loss(exact, exact, likely) == 0.0
