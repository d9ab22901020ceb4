"""The exact network: what ONNX Runtime gives, with nothing rounded and nothing cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.builders import float_layer
from tests.frontend.onnx_models import f32, model_file, rng
from tests.strategies import Case, cases
from xbarc.errors import InputError
from xbarc.executor import PlainLayer, StepRunner
from xbarc.executor.exact import ExactLayer, layer_vectors, real_codes
from xbarc.frontend import read_network, runnable_model
from xbarc.ir.geometry import Dense
from xbarc.ir.network import DigitalFragment, MatrixLayer
from xbarc.ir.quantizers import IntegerInput, StaticInput
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle


def _exact(path: Path, feeds: dict[str, AnyArray]) -> dict[str, Any]:
    """The network executed layer by layer, and at least one layer of it as a matrix."""
    network = read_network(path)
    assert network.matrix_layers
    values: dict[str, Any] = dict(feeds)
    for layer in network.layers:
        if isinstance(layer, MatrixLayer):
            values[layer.output] = ExactLayer(layer).run(values[layer.input], values)
            continue
        step = DigitalFragment(
            layer.name, layer.model, layer.inputs, layer.outputs, layer.operators, layer.macs, ()
        )
        StepRunner().run(step, values)
    return {value.name: values[value.name] for value in network.outputs}


def _compare(path: Path, *, exact: bool, **feeds: AnyArray) -> None:
    """With ONNX Runtime; sums of real numbers are added in another order, hence the tolerance."""
    wanted = Oracle(runnable_model(path)).run(feeds)
    found = _exact(path, feeds)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        if exact:
            assert np.array_equal(found[name], array)
        else:
            scale = float(np.abs(array).max(initial=0))
            np.testing.assert_allclose(found[name], array, rtol=1e-5, atol=1e-6 * scale)


FLOAT_NETS = {
    "dense": "g (float[N,6] x) => (float[] y) { h = Gemm(x, a, b)  r = Relu(h)  y = MatMul(r, c) }",
    "conv": """g (float[N,4,7,6] x) => (float[] y) {
        h = Conv<pads=[1,0,1,2], strides=[2,1], dilations=[1,2]>(x, k)
        r = Tanh(h)
        y = Conv<group=2>(r, d, e) }""",
    "transposed": """g (float[N,4,7,6] x) => (float[] y) {
        y = ConvTranspose<strides=[2,2], pads=[1,1,0,1], group=2>(x, t) }""",
}


@pytest.mark.parametrize("name", sorted(FLOAT_NETS))
def test_float_networks(tmp_path: Path, name: str) -> None:
    r = rng(3)
    shape = (5, 6) if name == "dense" else (3, 4, 7, 6)
    weights: dict[str, Any] = {
        "dense": {"a": r.normal(size=(6, 8)), "b": r.normal(size=8), "c": r.normal(size=(8, 3))},
        "conv": {
            "k": r.normal(size=(6, 4, 3, 2)),
            "d": r.normal(size=(4, 3, 2, 1)),
            "e": r.normal(size=4),
        },
        "transposed": {"t": r.normal(size=(4, 3, 3, 2))},
    }[name]
    arrays: dict[str, Any] = {key: f32(array) for key, array in weights.items()}
    path = model_file(tmp_path, FLOAT_NETS[name], **arrays)
    _compare(path, exact=False, x=f32(r.normal(size=shape)))


def test_quantised_convolution_is_equal(tmp_path: Path) -> None:
    """Its scale, zero points and integer bias are all far from 1 and 0."""
    r = rng(4)
    path = model_file(
        tmp_path,
        "g (uint8[N,3,6,6] x) => (uint8[] y)"
        " { y = QLinearConv<pads=[1,1,1,1]>(x, xs, xz, w, ws, wz, ys, yz, b) }",
        xs=np.float32(0.037),
        xz=np.uint8(5),
        w=r.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8),
        ws=f32([0.011, 0.007, 0.003, 0.019]),
        wz=np.zeros(4, np.int8),
        ys=np.float32(0.71),
        yz=np.uint8(3),
        b=r.integers(-5000, 5000, 4).astype(np.int32),
    )
    x = r.integers(0, 256, (2, 3, 6, 6)).astype(np.uint8)
    assert len(np.unique(_exact(path, {"x": x})["y"])) > 20
    _compare(path, exact=True, x=x)


def test_quantised_product_is_equal(tmp_path: Path) -> None:
    r = rng(5)
    path = model_file(
        tmp_path,
        "g (uint8[N,9] x) => (uint8[] y) { y = QLinearMatMul(x, xs, xz, w, ws, wz, ys, yz) }",
        xs=np.float32(0.5),
        xz=np.uint8(120),
        w=r.integers(0, 256, (9, 4)).astype(np.uint8),
        ws=np.float32(0.013),
        wz=np.uint8(128),
        ys=np.float32(0.71),
        yz=np.uint8(100),
    )
    _compare(path, exact=True, x=r.integers(0, 256, (7, 9)).astype(np.uint8))


def test_integer_product_with_a_zero_point_of_run_time(tmp_path: Path) -> None:
    r = rng(6)
    path = model_file(
        tmp_path,
        """g (float[N,9] x) => (int32[] y) {
            q, s, z = DynamicQuantizeLinear(x)
            y = MatMulInteger(q, w, z) }""",
        w=r.integers(-128, 128, (9, 4)).astype(np.int8),
    )
    _compare(path, exact=True, x=f32(r.normal(size=(7, 9))))


def test_qdq_network(tmp_path: Path) -> None:
    r = rng(7)
    path = model_file(
        tmp_path,
        """g (float[N,9] x) => (float[] y) {
            q = QuantizeLinear(x, xs, xz)
            d = DequantizeLinear(q, xs, xz)
            v = DequantizeLinear(w, ws, wz)
            y = MatMul(d, v) }""",
        xs=np.float32(0.02),
        xz=np.uint8(128),
        w=r.integers(-128, 128, (9, 4)).astype(np.int8),
        ws=np.float32(0.013),
        wz=np.int8(0),
    )
    _compare(path, exact=False, x=f32(r.normal(size=(7, 9))))


@settings(max_examples=40)
@given(cases())
def test_integer_layers_equal_the_plain_product(case: Case) -> None:
    """Every geometry: dense, windows with groups, dilations and pads, transposed."""
    wanted = PlainLayer(case.layer).run(case.tensor, {})
    assert np.array_equal(ExactLayer(case.layer).run(case.tensor, {}), wanted)


@settings(max_examples=30)
@given(cases())
def test_vectors_times_weights_are_the_layer(case: Case) -> None:
    """The vectors that moments are taken of are those that the layer multiplies."""
    layer = case.layer
    codes = real_codes(case.tensor, layer.quantizer, layer.geometry, {})
    found = list(layer_vectors(codes, layer.geometry, layer.groups, case.tensor.shape))
    rows = sum(len(vectors) for vectors, _ in found)
    if rows == 0 or not isinstance(layer.geometry, Dense):
        assert all(v.shape[1:] == (layer.groups, layer.rows) for v, _ in found)
        assert all(len(v) == len(sample) for v, sample in found)
        return
    weights = layer.weight.tensor.load()[0]
    products = np.concatenate([vectors[:, 0] for vectors, _ in found]) @ weights
    whole = ExactLayer(layer).run(case.tensor, {})
    assert np.array_equal(np.sort(products, axis=None), np.sort(whole, axis=None))


def test_samples_of_window_vectors(tmp_path: Path) -> None:
    r = rng(8)
    path = model_file(
        tmp_path,
        "g (float[N,2,5,5] x) => (float[] y) { y = Conv(x, k) }",
        k=f32(r.normal(size=(3, 2, 3, 3))),
    )
    (layer,) = read_network(path).matrix_layers
    x = f32(r.normal(size=(4, 2, 5, 5)))
    codes = real_codes(x, layer.quantizer, layer.geometry, {})
    ((vectors, sample),) = layer_vectors(codes, layer.geometry, 1, x.shape)
    assert sample.tolist() == np.repeat(np.arange(4), 9).tolist()
    assert np.array_equal(vectors[9, 0], x[1, :, :3, :3].reshape(-1))


def test_real_numbers_of_codes() -> None:
    integers = np.array([[0, 5, 255]], dtype=np.uint8)
    quantizer = IntegerInput(low=0, bits=8, scale=0.5, zero_point=5)
    assert real_codes(integers, quantizer, Dense(), {}).values.tolist() == [[-2.5, 0.0, 125.0]]
    named = IntegerInput(low=0, bits=8, zero_point="z")
    found = real_codes(integers, named, Dense(), {"z": np.uint8(3)})
    assert found.values.tolist() == [[-3.0, 2.0, 252.0]]
    static = real_codes(np.array([[0.9, -9.0]]), StaticInput(2, 0.5, 1), Dense(), {})
    assert static.values.tolist() == [[1.0, -0.5]]  # rounded, clipped


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="expected 3 along axis -1"):
        ExactLayer(float_layer(np.ones((1, 3, 2)))).run(np.ones((4, 5)), {})
