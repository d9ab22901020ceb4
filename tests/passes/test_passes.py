"""Quantisation of weights and inputs, and passes over the network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import float_result, int_layer
from xbarc.errors import InputError, ModelError, VerifyError
from xbarc.executor.batches import split_batches
from xbarc.instruments.ranges import range_statistics
from xbarc.ir.geometry import Scatter
from xbarc.ir.network import FloatWeight, LazyTensor, MatrixLayer, ModelSource, Network, Value
from xbarc.ir.quantizers import DynamicInput, FloatInput, FloatResult, StaticInput
from xbarc.ir.verify import verify_network
from xbarc.numerics.types import AnyArray
from xbarc.passes import choose_range, quantize_input, quantize_weights, remove_dead_layers
from xbarc.passes.activations import static_input
from xbarc.pipeline import Progress, Stage, run_stages


def _float_layer(weights: AnyArray, geometry: Scatter | None = None) -> MatrixLayer:
    values = weights.astype(np.float32)
    layer = int_layer(values, geometry=geometry, quantizer=None)
    channels = layer.constant.size
    return replace(
        layer,
        weight=FloatWeight(LazyTensor(values.shape, lambda: values)),
        quantizer=FloatInput(),
        result=float_result(channels),
    )


@pytest.mark.parametrize("shape", [(1, 600, 300), (40, 9, 1), (3, 300, 70), (2, 0, 3)])
@pytest.mark.parametrize("turned", [False, True])
def test_tiles_round_as_the_whole_layer_does(shape: tuple[int, int, int], turned: bool) -> None:
    """More than one tile in every direction, inputs or outputs side by side in memory."""
    weights = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if turned:
        weights = np.ascontiguousarray(weights.transpose(0, 2, 1)).transpose(0, 2, 1)
    layer = quantize_weights(_float_layer(weights), 8)
    assert isinstance(layer.result, FloatResult)
    scale = layer.result.scale.reshape(shape[0], 1, shape[2])
    found = layer.weight.tensor.load()
    assert found.dtype == np.int8
    assert np.array_equal(found, np.clip(np.rint(weights / scale), -127, 127))


@given(st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_weights_are_within_half_a_step(bits: int, seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(2, 5, 3)).astype(np.float32)
    layer = quantize_weights(_float_layer(weights), bits)
    assert isinstance(layer.result, FloatResult)
    values = layer.weight.tensor.load()
    top = (1 << (bits - 1)) - 1
    assert np.abs(values).max() == top
    scale = layer.result.scale.reshape(2, 1, 3).astype(np.float64)
    limit = 0.5 + top * 2.0**-22  # weights are divided by their step in float32
    assert np.all(np.abs(values * scale - weights) <= limit * scale)


def test_zero_outputs_have_scale_one() -> None:
    layer = quantize_weights(_float_layer(np.zeros((1, 4, 2))), 8)
    assert isinstance(layer.result, FloatResult)
    assert layer.result.scale.tolist() == [1, 1]
    assert not layer.weight.tensor.load().any()


def test_kernel_positions_of_one_channel_share_a_scale() -> None:
    """Overlapping windows add accumulators, so a channel has one step."""
    weights = np.ones((1, 1, 4))
    weights[0, 0] = [1, 2, 8, 4]
    geometry = Scatter((2,), (1,), (1,), (0, 0), (0,))
    layer = quantize_weights(_float_layer(weights, geometry), 8)
    assert isinstance(layer.result, FloatResult)
    assert layer.weight.tensor.load()[0, 0].tolist() == [64, 127, 127, 64]
    assert layer.result.scale.shape == (2,)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(bad: float) -> None:
    weights = np.zeros((1, 3, 2))
    weights[0, 1, 1] = bad
    with pytest.raises(ModelError, match="layer: 1 of 6 weights are NaN or infinite"):
        quantize_weights(_float_layer(weights), 8)


def test_without_data_ranges_are_dynamic() -> None:
    layer = quantize_input(_float_layer(np.zeros((1, 3, 2))), 6, None, "mse")
    assert layer.quantizer == DynamicInput(6)


def test_integer_inputs_stay_as_the_model_gives_them() -> None:
    layer = int_layer(np.zeros((1, 3, 2)))
    assert quantize_input(layer, 4, None, "mse") is layer


@given(st.floats(-100, 100, width=32), st.floats(-100, 100, width=32), st.integers(1, 16))
def test_zero_has_an_exact_code(low: float, high: float, bits: int) -> None:
    chosen = static_input(min(low, high), max(low, high), bits)
    assert 0 <= chosen.zero_point < 1 << bits
    assert chosen.scale > 0


def test_range_methods() -> None:
    values = np.append(np.random.default_rng(0).normal(size=20000), [1000.0]).astype(np.float32)
    statistics = range_statistics([values])
    assert choose_range(statistics, 8, "minmax") == (statistics.low, 1000.0)
    assert choose_range(statistics, 8, "percentile")[1] < 10
    assert 1 < choose_range(statistics, 4, "mse")[1] <= 1000
    calm = range_statistics([np.random.default_rng(0).uniform(-1, 1, 20000).astype(np.float32)])
    assert choose_range(calm, 8, "mse")[1] > 0.95


def test_mse_beats_minmax_on_a_long_tail() -> None:
    values = (np.random.default_rng(1).normal(size=50000) ** 3).astype(np.float32)
    statistics = range_statistics([values])
    errors = {}
    for method in ("mse", "minmax"):
        chosen = static_input(*choose_range(statistics, 4, method), 4)
        codes = np.clip(np.rint(values / chosen.scale) + chosen.zero_point, 0, 15)
        errors[method] = float((((codes - chosen.zero_point) * chosen.scale - values) ** 2).mean())
    assert errors["mse"] < 0.8 * errors["minmax"]


def test_an_input_of_zeros_is_fine() -> None:
    statistics = range_statistics([np.zeros((4, 3), dtype=np.float32)])
    layer = quantize_input(_float_layer(np.zeros((1, 3, 2))), 8, statistics, "mse")
    assert layer.quantizer == StaticInput(8, 1.0, 0)


def _network(*layers: MatrixLayer, output: str = "y") -> Network:
    values = (Value("x", "uint8", (1, 3)),), (Value(output, "int64", None),)
    return Network("net", ModelSource("net.onnx", "0" * 64), *values, layers)


def test_dead_layers_go_and_twice_is_once() -> None:
    live = int_layer(np.ones((1, 3, 3)), name="live")
    dead = replace(int_layer(np.ones((1, 3, 3)), name="dead"), input="y", output="z")
    once = remove_dead_layers(_network(live, dead))
    assert [layer.name for layer in once.layers] == ["live"]
    assert remove_dead_layers(once) is once


def test_a_pass_that_breaks_a_rule_is_named() -> None:
    def spoil(network: Network, _: Progress) -> Network:
        return replace(network, outputs=(Value("nowhere", "int64", None),))

    stage = Stage("break", "a network", "a broken one", "nothing", spoil, check=verify_network)
    with pytest.raises(VerifyError, match="after break: net: network_values_flow"):
        run_stages(_network(int_layer(np.ones((1, 3, 3)))), [stage])


def test_observers_see_every_stage_and_progress_names_it() -> None:
    def work(network: Network, progress: Progress) -> Network:
        progress("fc", 1, 3)
        return network

    seen: list[tuple[str, bool]] = []
    told: list[tuple[str, int, int]] = []
    stages = [
        Stage("work", "a network", "the same", "nothing", work),
        Stage("rest", "a network", "nothing", "nothing", work, wanted=lambda _: False),
    ]
    run_stages(
        _network(int_layer(np.ones((1, 3, 3)))),
        stages,
        lambda *one: told.append(one),
        lambda stage, _, seconds: seen.append((stage.name, seconds is not None)),
    )
    assert seen == [("work", True), ("rest", False)]
    assert told == [("work", 0, 1), ("work: fc", 1, 3)]


def test_batches_follow_the_models_fixed_batch() -> None:
    inputs = (Value("a", "float32", (2, 3)),)
    data = {"a": np.arange(18, dtype=np.float32).reshape(6, 3)}
    parts = split_batches(inputs, data)
    assert [len(part["a"]) for part in parts] == [2, 2, 2]
    with pytest.raises(InputError, match="5 samples are not a multiple of the model's fixed batch"):
        split_batches(inputs, {"a": data["a"][:5]})


def test_inputs_must_have_the_same_number_of_samples() -> None:
    inputs = (Value("a", "float32", ("n", 3)), Value("b", "float32", ("n",)))
    with pytest.raises(InputError, match="4, 6 samples, expected the same number"):
        split_batches(inputs, {"a": np.zeros((6, 3)), "b": np.zeros(4)})
