"""Digital numbers that make good what converters do, and the scores that budgets are held to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbarc
from tests.builders import float_result, int_layer, mapped, small_target
from tests.models.places import MODELS, calibration, shipped_images
from xbarc.api import CompiledProgram
from xbarc.calibration.refit import refit_step
from xbarc.calibration.scores import Scores, likelihoods
from xbarc.executor import FastLayer, StepRunner, layer_frame
from xbarc.instruments.samples import sample_vectors
from xbarc.ir.geometry import Window
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import DynamicInput, Quantizer, StaticInput
from xbarc.numerics.types import Float64Array, IntArray

STATIC = StaticInput(bits=8, scale=0.5, zero_point=20)


def narrow_layer(quantizer: Quantizer, bits: int, step: int, mean: int = 4) -> CrossbarStep:
    """A dense layer whose converters are too coarse."""
    rng = np.random.default_rng(3)
    weights = np.clip(np.rint(rng.normal(mean, 30, (1, 60, 6))), -127, 127).astype(np.int64)
    layer = int_layer(weights, quantizer=quantizer, result=float_result(6, 0.25))
    plain = mapped(layer, small_target(), encoding="differential")
    adc = plain.adc
    coarse = np.full_like(adc.bits, bits)
    return replace(plain, adc=replace(adc, bits=coarse, step=np.full_like(adc.step, step)))


def some_vectors(count: int, seed: int) -> IntArray:
    values = np.random.default_rng(seed).gamma(0.7, 40, (count, 1, 60))
    return np.minimum(values, 255).astype(np.uint8)


def values_of(step: CrossbarStep, vectors: IntArray) -> Float64Array:
    """What the network goes on with, float64."""
    frame = layer_frame(step)
    x = (vectors[:, 0].astype(np.float32) - STATIC.zero_point) * np.float32(STATIC.scale)
    found = {step.input: x}
    StepRunner().run(step, found)
    assert frame.outputs == 6
    return np.asarray(found[step.output], dtype=np.float64)


@pytest.mark.parametrize(("bits", "step"), [(2, 12), (3, 5), (4, 3)])
def test_fitted_numbers_lower_the_error_of_values_that_were_not_fitted(
    bits: int, step: int
) -> None:
    coarse = narrow_layer(STATIC, bits, step)
    exact = replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc)
    vectors, fresh = some_vectors(1500, 0), some_vectors(500, 1)
    fitted = refit_step(coarse, vectors, FastLayer(exact).accumulate(vectors))
    wanted = values_of(exact, fresh)
    before, after = (((values_of(s, fresh) - wanted) ** 2).sum() for s in (coarse, fitted))
    assert after < 0.85 * before
    mean = np.abs((values_of(fitted, vectors) - values_of(exact, vectors)).mean(axis=0))
    assert (mean < 0.01 * wanted.std()).all()


def test_exact_converters_are_left_as_they_are() -> None:
    exact = replace(narrow_layer(STATIC, 16, 1))
    vectors = some_vectors(300, 0)
    fitted = refit_step(exact, vectors, FastLayer(exact).accumulate(vectors))
    assert np.array_equal(fitted.periphery.constant, exact.periphery.constant)
    assert not fitted.periphery.input_sum.any()
    assert np.array_equal(values_of(fitted, vectors), values_of(exact, vectors))


def test_a_slice_that_is_not_converted_comes_back_as_a_share_of_the_input_sum() -> None:
    silent = narrow_layer(STATIC, 0, 1, mean=30)
    exact = replace(silent, adc=narrow_layer(STATIC, 16, 1, mean=30).adc)
    vectors = some_vectors(1000, 0)
    fitted = refit_step(silent, vectors, FastLayer(exact).accumulate(vectors))
    assert fitted.periphery.input_sum.any()


def test_dynamic_scales_take_no_gain() -> None:
    coarse = narrow_layer(DynamicInput(bits=8), 3, 5)
    vectors = some_vectors(200, 0)
    exact = replace(coarse, adc=narrow_layer(STATIC, 16, 1).adc)
    fitted = refit_step(coarse, vectors, FastLayer(exact).accumulate(vectors))
    assert fitted.result is coarse.result
    assert not fitted.periphery.input_sum.any()
    assert not np.array_equal(fitted.periphery.constant, coarse.periphery.constant)


@given(st.integers(1, 3), st.integers(1, 40), st.integers(1, 5))
def test_vectors_are_those_of_the_layer_and_lie_side_by_side(
    images: int, most: int, batches: int
) -> None:
    geometry = Window(kernel=(2, 2), strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1))
    weights = np.ones((1, 4, 2), dtype=np.int64)
    step = mapped(int_layer(weights, geometry=geometry), small_target())
    rng = np.random.default_rng(0)
    pictures = rng.integers(1, 100, (batches, images, 1, 5, 4), dtype=np.uint8)
    plain = sample_vectors(step, [{step.input: part} for part in pictures], most)
    twice = sample_vectors(step, [{step.input: 2 * part} for part in pictures], most)
    assert np.array_equal(twice, 2 * plain)
    total = images * 4 * 3
    assert len(plain) == batches * min(total, -(-most // batches))
    windows = {
        part[n, 0, y : y + 2, x : x + 2].tobytes()
        for part in pictures
        for n in range(images)
        for y in range(4)
        for x in range(3)
    }
    assert {vector.tobytes() for vector in plain} <= windows


def test_no_data_gives_no_vectors() -> None:
    step = narrow_layer(STATIC, 4, 3)
    empty = np.zeros((0, 60), dtype=np.float32)
    assert sample_vectors(step, [{step.input: empty}], 8).shape == (0, 1, 60)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["hermes256", "neurram256"])
def test_ranges_of_later_layers_do_not_see_converters_that_are_not_set_yet(target: str) -> None:
    """Eight bits serve many-level cells whose lossless sums need up to 18 (arXiv 2109.01262)."""
    data = shipped_images(400)
    images = {"image": data["image"]}
    program = xbarc.compile(
        MODELS / "fashion-mlp.onnx",
        target,
        calibration={"image": calibration()["image"][:96]},
        adc="calibrated:8",
    )
    steps = program.program.crossbar_steps
    assert max(int(step.adc.bits.max()) for step in steps) == 8
    found = (program.session().run(None, images)[0].argmax(axis=1) == data["labels"]).mean()
    assert found > 0.87  # float: 0.895


def _scores(seed: int, samples: int = 400) -> tuple[Float64Array, IntArray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (samples, 5))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(5, p=row) for row in shares])
    return logits, labels


def test_the_expected_loss_is_that_of_many_labels_from_few() -> None:
    """Labels drawn as the scores say: few of them scatter, the expectation hardly does."""
    by_label, expected = [], []
    for seed in range(40):
        logits, labels = _scores(seed)
        coarse = logits + np.random.default_rng(seed + 100).normal(0, 1.0, logits.shape)
        scores = Scores(labels, [7 * logits])  # a temperature that has to be found
        by_label.append((scores.top1([logits]) or 0) - (scores.top1([coarse]) or 0))
        expected.append(scores.expected_loss([coarse]) or 0.0)
    assert np.mean(expected) == pytest.approx(np.mean(by_label), rel=0.15)
    assert np.std(expected) < 0.5 * np.std(by_label)


@pytest.mark.slow
def test_the_error_of_an_expected_loss_is_how_it_scatters() -> None:
    found, errors = [], []
    for seed in range(40):
        logits, labels = _scores(seed)
        coarse = logits + np.random.default_rng(seed + 100).normal(0, 1.0, logits.shape)
        scores = Scores(labels, [logits])
        found.append(scores.expected_loss([coarse]) or 0.0)
        errors.append(scores.expected_error([coarse]) or 0.0)
    assert np.mean(errors) == pytest.approx(np.std(found), rel=0.35)


def test_the_fewer_samples_the_less_sure() -> None:
    logits, labels = _scores(3)
    coarse = logits + np.random.default_rng(0).normal(0, 1.0, logits.shape)
    few, many = (
        Scores(labels[:count], [logits[:count]]).expected_error([coarse[:count]])
        for count in (48, len(labels))
    )
    assert few is not None
    assert many is not None
    assert few > many > 0
    assert Scores(labels[:15], [logits[:15]]).expected_error([coarse[:15]]) is None


def test_shares_are_taken_as_what_they_are() -> None:
    logits, labels = _scores(1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.allclose(likelihoods(shares, labels), likelihoods(logits, labels), atol=0.05)


def test_nothing_changed_costs_nothing_and_no_labels_say_nothing() -> None:
    logits, labels = _scores(2)
    scores = Scores(labels, [logits[:100], logits[100:]])
    parts = [logits[:100], logits[100:]]
    assert scores.expected_loss(parts) == 0.0
    assert scores.decibels(parts) is None
    assert scores.spread(parts) == 0.0
    silent = Scores(None, parts)
    assert silent.expected_loss(parts) is silent.top1(parts) is silent.spread(parts) is None


@pytest.mark.slow
def test_a_budget_of_points_is_held_by_expectation() -> None:
    program: CompiledProgram = xbarc.compile(
        MODELS / "fashion-mlp.onnx", calibration=shipped_images(96), adc_budget="2"
    )
    front = program.report().front
    chosen = next(row for row in front if row.chosen)
    assert chosen.expected_loss is not None
    assert chosen.expected_loss <= 0.02
