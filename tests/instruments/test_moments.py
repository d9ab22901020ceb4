"""Second moments equal explicit sums over explicit vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view

from tests.builders import float_layer, int_layer, moments_of
from xbarc.instruments import moments as moments_module
from xbarc.ir.geometry import Window
from xbarc.ir.quantizers import IntegerInput, StaticInput
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import AnyArray


def _sums(x: AnyArray, y: AnyArray, terms: AnyArray | None = None) -> dict[str, Any]:
    """Of vectors with axes vector, input and vector, output, in double precision.

    Args:
        terms: of each target the sum of its terms' sizes, where they may cancel each other:
            rounding is a share of the terms.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    plain = _plain_sums(x, y)
    sizes = _plain_sums(np.abs(x), np.abs(y) if terms is None else terms)
    return plain | {"sizes": sizes}


def _plain_sums(x: AnyArray, y: AnyArray) -> dict[str, Any]:
    return {
        "count": len(x),
        "input_sum": x.sum(axis=0),
        "inputs": x.T @ x,
        "target_sum": y.sum(axis=0),
        "target_energy": (y**2).sum(axis=0),
        "targets": x.T @ y,
    }


def _check(found: SecondMoments, wanted: dict[str, Any], group: int = 0) -> None:
    """Sums in single precision: about seven digits of the largest sum of sizes of terms."""
    assert found.count == wanted["count"]
    pairs = {
        "input_sum": found.input_sum[group],
        "inputs": found.inputs[0][group],
        "target_sum": found.target_sum[0, group],
        "target_energy": found.target_energy[0, group],
        "targets": found.targets[group],
    }
    for name, array in pairs.items():
        largest = float(wanted["sizes"][name].max(initial=0))
        np.testing.assert_allclose(array, wanted[name], rtol=2e-6, atol=2e-6 * largest + 1e-12)


@settings(max_examples=20)
@given(st.integers(4, 40), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**16))
@example(4, 9, 1, 22885)  # terms of the one target that is judged by cancel
def test_dense(samples: int, inputs: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = float_layer(rng.normal(size=(1, inputs, outputs)))
    exact = rng.normal(size=(samples, inputs)).astype(np.float32)
    compiled = exact + rng.normal(size=exact.shape).astype(np.float32)
    fit, judge = moments_of(layer, exact, compiled)
    weight = layer.weight.tensor.load()[0]
    y = exact.astype(np.float64) @ weight
    terms = np.abs(exact.astype(np.float64)) @ np.abs(weight)
    cut = int(np.ceil(samples * 0.75))
    _check(fit, _sums(compiled[:cut], y[:cut], terms[:cut]))
    if cut < samples:
        _check(judge, _sums(compiled[cut:], y[cut:], terms[cut:]))
    both = fit + judge
    _check(both, _sums(compiled, y, terms))


def test_the_compiled_side_is_rounded_as_the_chip_does() -> None:
    rng = np.random.default_rng(0)
    layer = float_layer(rng.normal(size=(1, 5, 3)))
    x = rng.random((40, 5)).astype(np.float32)
    fit, _ = moments_of(layer, x, quantizer=StaticInput(2, 0.4, 1))
    codes = np.clip(np.rint(x / np.float32(0.4)) + 1, 0, 3) - 1
    rounded = codes[:30] * np.float32(0.4)
    _check(fit, _sums(rounded, x[:30] @ layer.weight.tensor.load()[0]))


def test_grouped_convolution() -> None:
    rng = np.random.default_rng(1)
    geometry = Window((2, 3), (1, 2), (1, 1), (0, 0, 0, 0))
    layer = float_layer(rng.normal(size=(2, 2 * 6, 3)), geometry=geometry)
    x = rng.normal(size=(4, 4, 5, 7)).astype(np.float32)
    fit, judge = moments_of(layer, x)
    windows = sliding_window_view(x, (2, 3), axis=(2, 3))[:, :, :, ::2]
    by_image = windows.transpose(0, 2, 3, 1, 4, 5).reshape(4, -1, 2, 12)
    for group in range(2):
        vectors = by_image[:, :, group]
        products = vectors @ layer.weight.tensor.load()[group]
        _check(fit, _sums(vectors[:3].reshape(-1, 12), products[:3].reshape(-1, 3)), group)
        _check(judge, _sums(vectors[3], products[3]), group)


def test_integer_layers_count_in_real_units() -> None:
    rng = np.random.default_rng(2)
    quantizer = IntegerInput(low=0, bits=8, scale=0.25, zero_point=7)
    layer = int_layer(rng.integers(-9, 9, (1, 4, 3)), quantizer=quantizer)
    x = rng.integers(0, 256, (8, 4)).astype(np.uint8)
    fit, _ = moments_of(layer, x)
    real = 0.25 * (x.astype(np.float64) - 7)
    _check(fit, _sums(real[:6], real[:6] @ layer.weight.tensor.load()[0]))


def test_wide_layers_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block knows its own inputs and its own share of the products."""
    monkeypatch.setattr(moments_module, "WIDEST", 4)
    rng = np.random.default_rng(3)
    layer = float_layer(rng.normal(size=(1, 10, 3)))
    x = rng.normal(size=(40, 10)).astype(np.float32)
    fit, _ = moments_of(layer, x)
    assert fit.bounds.tolist() == [0, 3, 6, 10]
    weights = layer.weight.tensor.load()[0]
    for number, (first, last) in enumerate(((0, 3), (3, 6), (6, 10))):
        part = x[:30, first:last].astype(np.float64)
        y = part @ weights[first:last]
        np.testing.assert_allclose(fit.inputs[number][0], part.T @ part, atol=1e-4)
        np.testing.assert_allclose(fit.targets[0, first:last], part.T @ y, atol=1e-4)
        np.testing.assert_allclose(fit.target_sum[number, 0], y.sum(axis=0), atol=1e-4)
        np.testing.assert_allclose(fit.target_energy[number, 0], (y**2).sum(axis=0), atol=1e-4)


def test_a_variance_far_below_the_mean_survives() -> None:
    """Inputs at 1000 that vary by 0.1: squares in single precision alone would drown it."""
    rng = np.random.default_rng(4)
    layer = float_layer(rng.normal(size=(1, 3, 2)))
    x = (1000 + 0.1 * rng.normal(size=(4000, 3))).astype(np.float32)
    fit, _ = moments_of(layer, x, batches=10)
    mean = fit.input_sum[0] / fit.count
    covariance = fit.inputs[0][0] / fit.count - np.outer(mean, mean)
    kept = np.concatenate([part[: int(np.ceil(len(part) * 0.75))] for part in np.split(x, 10)])
    np.testing.assert_allclose(covariance, np.cov(kept.T.astype(np.float64), bias=True), atol=1e-4)
    assert np.linalg.eigvalsh(covariance).min() > 0.005


def _counts(samples: int, batches: int) -> tuple[int, int]:
    layer = float_layer(np.ones((1, 2, 1)))
    x = np.random.default_rng(5).random((samples, 2)).astype(np.float32)
    fit, judge = moments_of(layer, x, batches=batches)
    return fit.count, judge.count


def test_a_quarter_is_held_back() -> None:
    """Of each batch; of batches of fewer than four samples every fourth; a model may fix one."""
    assert _counts(64, 1) == (48, 16)
    assert _counts(64, 4) == (48, 16)
    assert _counts(12, 12) == (9, 3)
    assert _counts(24, 12) == (18, 6)


def test_few_images_are_split_by_position() -> None:
    layer = float_layer(np.ones((1, 1, 1)), geometry=Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 0)))
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    fit, judge = moments_of(layer, x)
    assert (fit.count, judge.count) == (12, 4)
    assert judge.input_sum[0, 0] == 3 + 7 + 11 + 15


def test_held_back_samples_are_the_last_of_each_batch() -> None:
    layer = float_layer(np.ones((1, 1, 1)))
    x = np.arange(16, dtype=np.float32)[:, None]
    fit, judge = moments_of(layer, x, batches=2)
    assert judge.input_sum[0, 0] == 6 + 7 + 14 + 15
    assert fit.input_sum[0, 0] + judge.input_sum[0, 0] == x.sum()


def test_many_vectors_are_thinned_alike_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments_module, "_LEAST_VECTORS", 100)
    monkeypatch.setattr(moments_module, "_VECTORS_EACH", 1)
    rng = np.random.default_rng(6)
    layer = float_layer(rng.normal(size=(1, 3, 2)))
    x = rng.normal(size=(1000, 3)).astype(np.float32)
    first, second = moments_of(layer, x, batches=4), moments_of(layer, x, batches=4)
    assert 60 < first[0].count + first[1].count < 140
    for one, other in zip(first, second, strict=True):
        assert one.count == other.count
        assert np.array_equal(one.inputs[0], other.inputs[0])
        assert np.array_equal(one.targets, other.targets)


def test_no_samples_leave_nothing() -> None:
    layer = float_layer(np.ones((1, 2, 1)))
    fit, judge = moments_of(layer, np.zeros((0, 2), dtype=np.float32))
    assert not fit.inputs[0].any()
    assert not judge.targets.any()
