"""A layer's weights on few cells: every kind of result, every geometry, and what is recorded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import float_layer, float_result, int_layer, moments_of, small_target
from xbarc.errors import MappingError
from xbarc.executor import PlainLayer
from xbarc.executor.exact import ExactLayer
from xbarc.ir.choices import FitRecord
from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.ir.geometry import Geometry, Scatter, Window
from xbarc.ir.network import IntWeight, MatrixLayer
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import FloatResult, IntegerInput, RequantizedResult, StaticInput
from xbarc.ir.statistics import SecondMoments
from xbarc.mapping import ArrayPool, encoding_names, map_layer
from xbarc.mapping.fitting import Fitted, fit_layer
from xbarc.mapping.fitting.fit import relative_error
from xbarc.mapping.fitting.grids import Alone
from xbarc.mapping.fitting.search import Found
from xbarc.numerics.types import AnyArray, Float64Array
from xbarc.options import MapOptions
from xbarc.passes import quantize_weights

Moments = tuple[SecondMoments, SecondMoments]
STATIC = StaticInput(8, 1 / 32, 128)
FEW = [name for name in encoding_names() if name != "twos-complement"]


def _fit(
    layer: MatrixLayer, moments: Moments | None = None, *, bits: int = 2, **options: Any
) -> tuple[Fitted, CrossbarStep]:
    """Fitted and mapped; float inputs become static ones."""
    target = small_target(cell__bits=bits)
    chosen = MapOptions(**{"weight_slices": 1, **options})
    ranged = (
        layer if isinstance(layer.quantizer, IntegerInput) else replace(layer, quantizer=STATIC)
    )
    fitted = fit_layer(ranged, target, chosen, quantize_weights(ranged, 8), moments)
    pool = ArrayPool(target.array, chosen.pack)
    step = map_layer(fitted.layer, target, chosen, pool, fitted.arrangement, fitted.record)
    assert np.array_equal(effective_weights(step), fitted.layer.weight.tensor.load())
    assert is_lossless(step)
    return fitted, step


def _inputs(shape: tuple[int, ...], seed: int = 0) -> AnyArray:
    """Positive on the whole, and varying together, as activations do."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(shape[0],) + (1,) * (len(shape) - 1))
    return (0.5 * common + rng.normal(size=shape) * 0.7 + 0.4).astype(np.float32)


def _weights(*shape: int, seed: int = 0) -> Float64Array:
    return np.random.default_rng(seed).normal(size=shape)


def _value(fitted: MatrixLayer, tensor: AnyArray) -> AnyArray:
    """What the fitted integers give, on a lossless chip."""
    return PlainLayer(fitted).run(tensor, {})


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("name", FEW)
def test_one_cell_of_one_sign_holds_every_weight(name: str, bits: int) -> None:
    """Without data; never a cell more than asked for; the loss falls with the bits."""
    fitted, step = _fit(float_layer(_weights(1, 20, 9)), bits=bits, encoding=name)
    assert step.weight_slices == 1
    assert fitted.record.method == "rounding"
    assert fitted.record.plain_error is None
    assert isinstance(fitted.layer.result, FloatResult)
    real = effective_weights(step) * fitted.layer.result.scale
    weights = _weights(1, 20, 9)
    error = float(np.sqrt(((real - weights) ** 2).mean() / (weights**2).mean()))
    assert fitted.record.weight_error == pytest.approx(error, rel=1e-4)
    assert error < {1: 0.95, 2: 0.5, 4: 0.12}[bits]


@pytest.mark.parametrize("name", FEW)
def test_feedback_lowers_the_error_on_samples_it_has_not_seen(name: str) -> None:
    layer = float_layer(_weights(1, 24, 9))
    moments = moments_of(layer, _inputs((600, 24)), quantizer=STATIC)
    fitted, step = _fit(layer, moments, encoding=name)
    record = fitted.record
    assert step.weight_slices == 1
    assert record.method == "feedback"
    assert record.plain_error is not None
    assert record.output_error is not None
    assert record.output_error < 0.9 * record.plain_error
    fresh = _inputs((300, 24), seed=9)
    exact = ExactLayer(layer).run(fresh, {})
    plain, _ = _fit(layer, encoding=name)
    errors = [float(((_value(item.layer, fresh) - exact) ** 2).mean()) for item in (fitted, plain)]
    assert errors[0] < errors[1]


def test_twos_complement_needs_a_cell_for_the_sign() -> None:
    with pytest.raises(MappingError, match=r"layer: weights .* with 1 cells of 2 bits") as caught:
        _fit(float_layer(_weights(1, 4, 3)), encoding="twos-complement")
    assert "--weight-slices 2" in caught.value.hint
    _, step = _fit(float_layer(_weights(1, 4, 3)), encoding="twos-complement", weight_slices=2)
    assert step.weight_slices == 2


@settings(max_examples=12)
@given(
    st.integers(0, 2**16),
    st.sampled_from(["differential", "acm", "bias-column", "unipolar", "segmented:2", "centre"]),
    st.integers(1, 6),
    st.integers(1, 30),
    st.sampled_from([None, 1]),
)
def test_auto_is_never_worse_than_rounding(
    seed: int, name: str, inputs: int, samples: int, slices: int | None
) -> None:
    """On the samples held back, whatever the data is, one sample included."""
    layer = float_layer(_weights(1, inputs, 3, seed=seed))
    x = _inputs((samples + 4, inputs), seed)
    moments = moments_of(layer, x, quantizer=STATIC)
    fitted, _ = _fit(layer, moments, encoding=name, weight_slices=slices)
    record = fitted.record
    assert record.output_error is not None
    assert record.plain_error is not None
    assert record.output_error <= record.plain_error


def test_feedback_off_or_on_is_obeyed() -> None:
    """Data that says the opposite of what it is judged by: auto takes rounding, on does not."""
    layer = float_layer(_weights(1, 6, 3))
    fit, _ = moments_of(layer, _inputs((40, 6)), quantizer=STATIC)
    flip = np.random.default_rng(3).normal(size=(40, 6)).astype(np.float32)
    flip[:, ::2] -= 2 * flip[:, 1::2]
    judge = sum_of(moments_of(layer, flip, quantizer=STATIC))
    methods = {
        choice: _fit(layer, (fit, judge), bits=4, feedback=choice)[0].record.method
        for choice in ("auto", "on")
    }
    assert methods["on"] == "feedback"
    record = _fit(layer, (fit, judge), bits=4, feedback="on")[0].record
    assert record.output_error is not None
    assert record.plain_error is not None
    better = record.output_error < record.plain_error
    assert methods["auto"] == ("feedback" if better else "rounding")


def sum_of(pair: Moments) -> SecondMoments:
    return pair[0] + pair[1]


def test_full_slices_are_fed_back_at_their_own_resolution() -> None:
    """As many cells as needed: the integers stay within --weight-bits."""
    layer = float_layer(_weights(1, 12, 5))
    moments = moments_of(layer, _inputs((200, 12)), quantizer=STATIC)
    fitted, step = _fit(layer, moments, weight_slices=None)
    integers = fitted.layer.weight.tensor.load()
    assert np.abs(integers).max() <= 127
    assert step.weight_slices == 4
    assert fitted.record.weight_error is not None
    assert fitted.record.weight_error < 0.02


def test_without_data_and_without_slices_nothing_is_fitted() -> None:
    layer = float_layer(_weights(1, 12, 5))
    fitted, _ = _fit(layer, weight_slices=None)
    ranged = replace(layer, quantizer=STATIC)
    plain = quantize_weights(ranged, 8).weight.tensor.load()
    assert np.array_equal(fitted.layer.weight.tensor.load(), plain)
    assert fitted.record == FitRecord("rounding")


def test_the_error_recorded_is_the_error_of_the_values() -> None:
    """Judged by explicit vectors instead of moments."""
    layer = float_layer(_weights(1, 10, 4))
    x = _inputs((400, 10))
    moments = moments_of(layer, x, quantizer=STATIC)
    fitted, _ = _fit(layer, moments, bits=1, feedback="on")
    exact = ExactLayer(layer).run(x, {})
    result = fitted.layer.result
    assert isinstance(result, FloatResult)
    steps = result.scale.astype(np.float64)[None]
    offsets = result.bias.astype(np.float64)[None]
    integers = fitted.layer.weight.tensor.load().astype(np.float64)
    found = relative_error(sum_of(moments), Found(integers, steps, offsets, Alone(-1, 1)))
    wanted = ((_value(fitted.layer, x) - exact) ** 2).mean(axis=0).sum() / exact.var(axis=0).sum()
    assert found == pytest.approx(float(wanted), rel=1e-3)


GEOMETRIES: dict[str, tuple[Geometry, tuple[int, ...], tuple[int, ...]]] = {
    "conv": (Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)), (1, 27, 6), (16, 3, 6, 6)),
    "grouped": (Window((3,), (1,), (1,), (1, 1)), (3, 6, 4), (16, 6, 9)),
    "depthwise": (Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)), (5, 9, 1), (16, 5, 6, 6)),
    "transposed": (Scatter((2, 2), (2, 2), (1, 1), (0, 0, 0, 0), (0, 0)), (1, 5, 12), (4, 5, 4, 4)),
}


@pytest.mark.parametrize("name", ["differential", "acm", "unipolar", "segmented:4", "bias-column"])
@pytest.mark.parametrize("kind", sorted(GEOMETRIES))
def test_geometries(kind: str, name: str) -> None:
    """Values of the fitted layer follow those of the exact one, channel by channel."""
    geometry, shape, tensor = GEOMETRIES[kind]
    layer = float_layer(_weights(*shape), geometry=geometry)
    x = _inputs(tensor)
    moments = None if kind == "transposed" else moments_of(layer, x, quantizer=STATIC)
    fitted, step = _fit(layer, moments, bits=4, encoding=name, feedback="on")
    assert step.weight_slices == 1
    exact, found = ExactLayer(layer).run(x, {}), _value(fitted.layer, x)
    error = float(((found - exact) ** 2).mean() / exact.var())
    assert error < 0.05
    assert fitted.record.method == ("rounding" if kind == "transposed" else "feedback")


def test_kernel_positions_of_a_channel_share_one_scale() -> None:
    geometry, shape, _ = GEOMETRIES["transposed"]
    for name in ("differential", "acm", "unipolar"):
        weights = _weights(*shape) * np.geomspace(0.1, 1, 12)
        fitted, _ = _fit(float_layer(weights, geometry=geometry), bits=6, encoding=name)
        assert isinstance(fitted.layer.result, FloatResult)
        assert fitted.layer.result.scale.shape == (3,)
        real = fitted.layer.weight.tensor.load() * np.repeat(fitted.layer.result.scale, 4)
        assert np.sqrt(((real - weights) ** 2).mean() / (weights**2).mean()) < 0.12


def test_wide_layers_are_fitted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xbarc.instruments.moments.WIDEST", 16)
    layer = float_layer(_weights(1, 40, 6))
    x = np.random.default_rng(1).normal(size=(500, 40)).astype(np.float32)
    x[:, 1::2] += x[:, ::2]
    fitted, _ = _fit(layer, moments_of(layer, x, quantizer=STATIC))
    assert fitted.record.method == "feedback"
    assert fitted.record.output_error is not None
    assert fitted.record.plain_error is not None
    assert fitted.record.output_error < fitted.record.plain_error


def _quantised(seed: int = 0) -> tuple[MatrixLayer, AnyArray]:
    """As QLinearMatMul gives it: a scale, a zero point, an integer bias."""
    rng = np.random.default_rng(seed)
    layer = int_layer(
        rng.integers(-127, 128, (1, 16, 5)),
        quantizer=IntegerInput(low=0, bits=8, scale=0.05, zero_point=90),
        result=RequantizedResult(np.full(5, 0.0008, dtype=np.float32), 120),
        constant=rng.integers(-20000, 20000, 5),
    )
    x = np.clip(rng.normal(size=(400, 16)) * 40 + 110, 0, 255).astype(np.uint8)
    return layer, x


def test_quantised_operators_stay_exact_as_they_are() -> None:
    layer, x = _quantised()
    for moments in (None, moments_of(layer, x)):
        fitted, step = _fit(layer, moments, weight_slices=None)
        assert np.array_equal(effective_weights(step), layer.weight.tensor.load())
        assert np.array_equal(_value(fitted.layer, x), ExactLayer(layer).run(x, {}))
        assert fitted.record == FitRecord("rounding")


@pytest.mark.parametrize("name", ["differential", "acm", "unipolar", "offset"])
def test_cells_that_hold_the_integers_leave_them_exact(name: str) -> None:
    """--weight-slices says how many; only fewer than the integers need lose anything."""
    layer, x = _quantised()
    fitted, step = _fit(layer, moments_of(layer, x), weight_slices=6, encoding=name)
    assert step.weight_slices == 6
    assert np.array_equal(effective_weights(step), layer.weight.tensor.load())
    assert fitted.record == FitRecord("rounding")


@pytest.mark.parametrize("name", ["differential", "acm", "unipolar", "bias-column"])
@pytest.mark.parametrize("data", [False, True])
def test_quantised_operators_on_few_cells_state_the_loss(name: str, data: bool) -> None:
    """The integer bias goes into the coarser steps of the accumulator."""
    layer, x = _quantised()
    fitted, step = _fit(layer, moments_of(layer, x) if data else None, bits=4, encoding=name)
    assert step.weight_slices == 1
    assert fitted.record.weight_error is not None
    assert 0 < fitted.record.weight_error < 0.15
    exact = ExactLayer(layer).run(x, {}).astype(np.float64)
    found = _value(fitted.layer, x).astype(np.float64)
    assert len(np.unique(exact)) > 50
    assert np.sqrt(((found - exact) ** 2).mean()) < 0.1 * exact.std() + 0.5
    assert abs(float((found - exact).mean())) < 0.05 * exact.std() + 0.5


def test_real_results_of_integers_keep_their_constant() -> None:
    """An integer bias beside a real result, as QGemm has it."""
    layer, x = _quantised()
    real = replace(layer, result=float_result(5, scale=0.01))
    for moments in (None, moments_of(real, x)):
        fitted, _ = _fit(real, moments, bits=4)
        exact, found = ExactLayer(real).run(x, {}), _value(fitted.layer, x)
        assert np.abs(exact.mean(axis=0) - found.mean(axis=0)).max() < 0.1 * exact.std()


def test_integer_results_cannot_be_fitted() -> None:
    layer = int_layer(np.random.default_rng(0).integers(-127, 128, (1, 8, 3)), name="mm7")
    with pytest.raises(MappingError, match="mm7: MatMulInteger gives integers") as caught:
        _fit(layer)
    assert "--weight-slices" in caught.value.hint
    fitted, _ = _fit(layer, weight_slices=4)
    assert isinstance(fitted.layer.weight, IntWeight)


@pytest.mark.parametrize("name", ["differential", "acm", "unipolar"])
def test_zeros_and_single_weights(name: str) -> None:
    x = _inputs((40, 3))
    for weights in (np.zeros((1, 3, 2)), np.full((1, 3, 2), 0.7), np.eye(3, 2)[None]):
        layer = float_layer(weights)
        for moments in (None, moments_of(layer, x, quantizer=STATIC)):
            fitted, _ = _fit(layer, moments, encoding=name)
            exact, found = ExactLayer(layer).run(x, {}), _value(fitted.layer, x)
            assert np.abs(found - exact).max() < 0.1
    one = float_layer(np.array([[[-0.3]]]))
    fitted, _ = _fit(one, moments_of(one, x[:, :1], quantizer=STATIC), encoding=name)
    assert np.abs(_value(fitted.layer, x[:, :1]) - x[:, :1] * np.float32(-0.3)).max() < 0.05


def test_order_and_sign_are_recorded() -> None:
    layer = float_layer(_weights(1, 20, 12))
    fitted, step = _fit(layer, encoding="acm")
    record = step.fit
    assert fitted.arrangement is not None
    assert record is not None
    costs = (record.order_bound, record.order_cost, record.greedy_cost, record.natural_cost)
    bound, cost, greedy, natural = (0.0 if item is None else item for item in costs)
    assert 0 < bound <= cost <= greedy < natural
    assert step.periphery.r_output.size == 2 * 12
    star = _fit(layer, encoding="bias-column")[1].fit
    assert star is not None
    assert star.order_cost is None


def test_a_bias_is_kept_and_joined_by_the_offset() -> None:
    layer = float_layer(_weights(1, 10, 4))
    bias = np.array([1.0, -2.0, 0.0, 30.0], dtype=np.float32)
    biased = replace(layer, result=replace(float_result(4), bias=bias))
    x = _inputs((300, 10))
    fitted, _ = _fit(biased, moments_of(biased, x, quantizer=STATIC), bits=1)
    exact, found = ExactLayer(biased).run(x, {}), _value(fitted.layer, x)
    np.testing.assert_allclose(found.mean(axis=0), exact.mean(axis=0), atol=0.05)


@pytest.mark.parametrize("name", ["differential", "acm", "segmented:4", "bias-column", "unipolar"])
def test_the_same_data_gives_the_same_bytes(name: str) -> None:
    found = []
    for _ in range(2):
        layer = float_layer(_weights(1, 24, 9))
        moments = moments_of(layer, _inputs((300, 24)), quantizer=STATIC, batches=3)
        fitted, step = _fit(layer, moments, bits=1, encoding=name)
        result = fitted.layer.result
        assert isinstance(result, FloatResult)
        found.append((step.cells.data.tobytes(), result.scale.tobytes(), result.bias.tobytes()))
    assert found[0] == found[1]


def test_more_bits_than_any_weight_has() -> None:
    """Sixteen cells of two bits: the weights are taken as they are, nothing overflows."""
    fitted, step = _fit(float_layer(_weights(1, 8, 3)), weight_slices=16)
    assert step.weight_slices == 16
    assert fitted.record.weight_error is None
    assert np.abs(effective_weights(step)).max() == 127


def test_unipolar_holds_what_is_constant_and_takes_the_better_parity() -> None:
    """Of two levels: 0 and 1, or -1 and 1, whichever an output is made of."""
    rng = np.random.default_rng(0)
    picks = rng.integers(0, 2, (1, 20, 1))
    weights = np.concatenate([picks, 2 * picks - 1, 0 * picks, 0 * picks - 0.3], axis=2)
    fitted, step = _fit(float_layer(weights), bits=1, encoding="unipolar")
    assert step.weight_slices == 1
    assert isinstance(fitted.layer.result, FloatResult)
    real = effective_weights(step) * fitted.layer.result.scale
    np.testing.assert_allclose(real, weights, atol=0.05)
