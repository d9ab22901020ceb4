"""Quantised operators and QDQ patterns keep the model's own integers and scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.frontend.network_meaning import evaluate
from tests.frontend.onnx_models import (
    HEADER,
    check,
    f32,
    matrix_layer,
    model_file,
    normal,
    notes,
    operators,
    parse,
    rng,
    write,
)
from xbarc.frontend import read_network
from xbarc.ir.network import IntWeight
from xbarc.ir.quantizers import FloatInput, FloatResult, IntegerInput, RequantizedResult
from xbarc.numerics import IntFormat
from xbarc.numerics.types import AnyArray

OPSET21 = '<ir_version: 10, opset_import: ["": 21]>'


def integers(dtype: str, *shape: int, seed: int = 0) -> AnyArray:
    info = np.iinfo(dtype)
    return rng(seed).integers(info.min, info.max + 1, shape).astype(dtype)


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("x_type", "w_type", "w_zero"), [("uint8", "uint8", 128), ("int8", "int8", 0)]
)
def test_qlinear_conv_is_bit_exact(
    tmp_path: Path, per_channel: bool, x_type: str, w_type: str, w_zero: int
) -> None:
    scale = f32([0.011, 0.007, 0.003, 0.019]) if per_channel else np.float32(0.013)
    zeros = np.full(4 if per_channel else (), w_zero, w_type)
    path = model_file(
        tmp_path,
        f"g ({x_type}[N,3,7,7] x) => ({x_type}[] y)"
        " { y = QLinearConv<pads = [1,1,1,1]>(x, xs, xz, w, ws, wz, ys, yz, b) }",
        xs=np.float32(0.037),
        xz=np.asarray(5, x_type),
        w=integers(w_type, 4, 3, 3, 3),
        ws=scale,
        wz=zeros,
        ys=np.float32(0.71),
        yz=np.asarray(3, x_type),
        b=rng(1).integers(-5000, 5000, 4).astype(np.int32),
    )
    layer = matrix_layer(check(path, exact=True, x=integers(x_type, 2, 3, 7, 7, seed=2)))
    assert isinstance(layer.result, RequantizedResult)
    assert layer.result.multiplier.dtype == np.float32
    assert layer.quantizer == IntegerInput(
        low=np.iinfo(x_type).min, bits=8, scale=float(np.float32(0.037)), zero_point=5
    )
    assert isinstance(layer.weight, IntWeight)
    assert layer.weight.format == IntFormat(8, signed=True)


@pytest.mark.parametrize("per_column", [False, True])
@pytest.mark.parametrize("on_right", [True, False])
def test_qlinear_matmul_is_bit_exact(tmp_path: Path, per_column: bool, on_right: bool) -> None:
    if per_column and not on_right:
        pytest.skip("ONNX Runtime takes a scale a row on no operand")
    scale = f32([0.011, 0.007, 0.003]) if per_column else np.float32(0.013)
    zero = np.full(3 if per_column else (), 120, np.uint8)
    w = integers("uint8", 6, 3)
    inputs = "x, xs, xz, w, ws, wz" if on_right else "w, ws, wz, x, xs, xz"
    path = model_file(
        tmp_path,
        f"g (uint8[] x) => (uint8[] y) {{ y = QLinearMatMul({inputs}, ys, yz) }}",
        xs=np.float32(0.037),
        xz=np.uint8(9),
        w=w if on_right else np.ascontiguousarray(w.T),
        ws=scale,
        wz=zero,
        ys=np.float32(0.21),
        yz=np.uint8(100),
    )
    x = integers("uint8", 50, 6, seed=3)
    check(path, exact=True, x=x if on_right else np.ascontiguousarray(x.T))


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("per_column", [False, True])
def test_qgemm(tmp_path: Path, turned: int, real: bool, per_column: bool) -> None:
    w = integers("uint8", 6, 3)
    scale = f32([0.011, 0.007, 0.003]) if per_column else np.float32(0.013)
    out: dict[str, Any] = {} if real else {"ys": np.float32(0.21), "yz": np.uint8(100)}
    rest = "" if real else ", ys, yz"
    kind = "float" if real else "uint8"
    path = model_file(
        tmp_path,
        f"g (uint8[N,6] x) => ({kind}[] y) {{ y = com.microsoft.QGemm<alpha = 0.5, "
        f"transB = {turned}>(x, xs, xz, w, ws, wz, c{rest}) }}",
        xs=np.float32(0.037),
        xz=np.uint8(9),
        w=np.ascontiguousarray(w.T if turned else w),
        ws=scale,
        wz=np.full(scale.shape, 120, np.uint8),
        c=rng(4).integers(-999, 999, 3).astype(np.int32),
        **out,
    )
    layer = matrix_layer(check(path, exact=not real, x=integers("uint8", 40, 6, seed=3)))
    assert isinstance(layer.result, FloatResult if real else RequantizedResult)
    np.testing.assert_array_equal(layer.constant, rng(4).integers(-999, 999, 3))


QDQ_CONV = """g (float[N,3,7,7] x) => (float[] y) {
    q = QuantizeLinear(x, xs, xz)
    xd = DequantizeLinear(q, xs, xz)
    wd = DequantizeLinear<axis = 0>(w, ws, wz)
    bd = DequantizeLinear<axis = 0>(b, bs)
    c = Conv(xd, wd, bd)
    r = Relu(c)
    o = QuantizeLinear(r, ys, yz)
    y = DequantizeLinear(o, ys, yz)
}"""


def qdq_parameters(x_type: str = "uint8") -> dict[str, Any]:
    ws = f32([0.011, 0.007, 0.003, 0.019])
    return {
        "xs": np.float32(0.037),
        "xz": np.asarray(5, x_type),
        "w": integers("int8", 4, 3, 3, 3),
        "ws": ws,
        "wz": np.zeros(4, np.int8),
        "b": rng(1).integers(-99, 99, 4).astype(np.int32),
        "bs": ws * np.float32(0.037),
        "ys": np.float32(0.1),
        "yz": np.uint8(3),
    }


def test_qdq_conv(tmp_path: Path) -> None:
    parameters = qdq_parameters()
    path = model_file(tmp_path, QDQ_CONV, **parameters)
    network = check(path, x=normal(2, 3, 7, 7))
    layer = matrix_layer(network)
    assert layer.input == "q"
    assert layer.quantizer == IntegerInput(0, 8, float(np.float32(0.037)), 5)
    assert isinstance(layer.weight, IntWeight)
    assert isinstance(layer.result, FloatResult)
    np.testing.assert_array_equal(layer.result.scale, parameters["ws"])
    np.testing.assert_allclose(layer.result.bias, parameters["b"] * parameters["bs"], rtol=1e-6)
    found = operators(network)
    assert found == {"QuantizeLinear": 2, "Relu": 1, "DequantizeLinear": 1}


@pytest.mark.parametrize(
    ("dtype", "bits"), [("int4", 4), ("uint4", 4), ("int16", 16), ("uint16", 16), ("int8", 8)]
)
def test_weight_only_integers(tmp_path: Path, dtype: str, bits: int) -> None:
    wide = (-100, 100) if dtype[0] == "i" else (0, 200)
    low, high = {"int4": (-8, 8), "uint4": (0, 16)}.get(dtype, wide)

    model = parse(
        "g (float[N,6] x) => (float[] y)"
        " { wd = DequantizeLinear<axis = 1>(w, ws) y = MatMul(x, wd) }",
        OPSET21,
        ws=f32([0.5, 0.25, 2.0]),
    )
    values = rng(3).integers(low, high, (6, 3))
    kind = getattr(onnx.TensorProto, dtype.upper())
    model.graph.initializer.append(onnx.helper.make_tensor("w", kind, [6, 3], values.ravel()))
    layer = matrix_layer(check(write(tmp_path, model), x=normal(2, 6)))
    assert isinstance(layer.weight, IntWeight)
    assert layer.weight.format == IntFormat(bits, signed=dtype[0] == "i")
    assert layer.quantizer == FloatInput()
    np.testing.assert_array_equal(layer.weight.tensor.load()[0], values)


def test_int4_activations_cross_the_border_as_int8(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            q = QuantizeLinear<output_dtype = 22>(x, s)
            d = DequantizeLinear(q, s)
            y = MatMul(d, w)
        }""",
        OPSET21,
        w=normal(6, 3),
        s=np.float32(0.25),
    )
    layer = matrix_layer(check(path, x=normal(5, 6)))
    assert layer.quantizer == IntegerInput(-8, 4, 0.25, 0)


@pytest.mark.parametrize("block", [1, 2])
def test_a_scale_along_the_sum_that_cannot_be_cut_stays_digital(tmp_path: Path, block: int) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,6] x) => (float[] y)"
        f" {{ wd = DequantizeLinear<axis = 0, block_size = {block}>(w, ws) y = MatMul(x, wd) }}",
        OPSET21,
        w=integers("int8", 6, 3),
        ws=np.abs(normal(6 // block, 3)),
    )
    network = check(path, x=normal(2, 6))
    assert not network.matrix_layers
    assert "scale of its weights changes along the sum" in notes(network)


def test_integers_survive_a_transpose(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            wd = DequantizeLinear<axis = 0>(w, ws)
            t = Transpose<perm = [1, 0]>(wd)
            y = MatMul(x, t)
        }""",
        w=integers("int8", 3, 6),
        ws=f32([0.1, 0.2, 0.3]),
    )
    layer = matrix_layer(check(path, x=normal(2, 6)))
    assert isinstance(layer.weight, IntWeight)
    assert isinstance(layer.result, FloatResult)
    np.testing.assert_array_equal(layer.result.scale, f32([0.1, 0.2, 0.3]))


def test_integers_survive_pooling_and_flattening(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,2,4,4] x) => (float[] y) {
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(d)
            f = Flatten(p)
            y = MatMul(f, w)
        }""",
        s=np.float32(0.02),
        z=np.uint8(128),
        w=normal(8, 3),
    )
    network = check(path, x=normal(2, 2, 4, 4))
    assert matrix_layer(network).quantizer == IntegerInput(0, 8, float(np.float32(0.02)), 128)
    assert operators(network) == {"QuantizeLinear": 1, "MaxPool": 1, "Flatten": 1}


def test_dynamic_scales_keep_real_inputs(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x, float s) => (float[] y) {
            q = QuantizeLinear(x, s)
            d = DequantizeLinear(q, s)
            y = MatMul(d, w)
        }""",
        w=normal(6, 3),
    )
    layer = matrix_layer(check(path, x=normal(2, 6), s=np.asarray(0.1, np.float32)))
    assert layer.quantizer == FloatInput(
        lost="their scale or zero point is not constant (declared at DequantizeLinear 'd')"
    )


def test_run_time_scales_of_qlinear_conv_stay_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (uint8[1,1,4,4] x, float s) => (uint8[] y)"
        " { y = QLinearConv(x, s, z, w, ws, z, ys, z) }",
        z=np.uint8(0),
        w=integers("uint8", 1, 1, 1, 1),
        ws=np.float32(1),
        ys=np.float32(1),
    )
    network = read_network(path)
    assert not network.matrix_layers
    assert "input scale" in notes(network)


def test_microsoft_neighbours_stay_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (uint8[1,2,4,4] x) => (uint8[] y) {
            a = QLinearConv(x, s, z, w, s, z, s, z)
            b = com.microsoft.QLinearAdd(a, s, z, x, s, z, s, z)
            y = com.microsoft.QLinearGlobalAveragePool(b, s, z, s, z)
        }""",
        HEADER,
        z=np.uint8(0),
        s=np.float32(0.5),
        w=integers("uint8", 2, 2, 1, 1),
    )
    network = check(path, exact=True, x=integers("uint8", 1, 2, 4, 4, seed=1))
    assert operators(network) == {
        "com.microsoft.QLinearAdd": 1,
        "com.microsoft.QLinearGlobalAveragePool": 1,
    }


def test_digital_products_do_not_saturate(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (uint8[2,8] x, int8[8,3] v) => (int32[] y) { y = MatMulInteger(x, v) }"
    )
    x, v = np.full((2, 8), 255, np.uint8), np.full((8, 3), 127, np.int8)
    found = evaluate(read_network(path), {"x": x, "v": v})["y"]
    np.testing.assert_array_equal(found, np.full((2, 3), 8 * 255 * 127))


def test_integers_moved_behind_their_reader_in_the_file(tmp_path: Path) -> None:
    """The file's order is not that of data: what the layer reads still comes before it."""
    text = """g (float[2,8] x) => (float[] y) {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, s, z)
        v = DequantizeLinear<axis = 1>(w, t, o)
        y = MatMul(r, v)
        r = Reshape(d, k)
    }"""
    path = model_file(
        tmp_path,
        text,
        s=np.float32(0.03),
        z=np.int8(0),
        w=np.arange(-6, 6, dtype=np.int8).reshape(4, 3),
        t=f32([0.5, 0.25, 2]),
        o=np.zeros(3, np.int8),
        k=np.asarray([-1, 4]),
    )
    assert isinstance(matrix_layer(check(path, x=normal(2, 8))).quantizer, IntegerInput)


@pytest.mark.parametrize("scale", [0.0, -0.03, 1e-45])
def test_no_converter_counts_in_steps_that_are_not_positive(scale: float, tmp_path: Path) -> None:
    text = """g (float[2,4] x) => (float[] y) {
        q = QuantizeLinear(x, s, z)
        d = DequantizeLinear(q, t, z)
        y = MatMul(d, w)
    }"""
    tensors: dict[str, Any] = {"s": np.float32(0.03), "t": np.float32(scale), "z": np.int8(0)}
    network = check(model_file(tmp_path, text, w=normal(4, 3), **tensors), x=normal(2, 4))
    assert not any(isinstance(layer.quantizer, IntegerInput) for layer in network.matrix_layers)


@pytest.mark.parametrize("scale", [0.0, -0.03, 1e-45, -1e38, np.inf, np.nan])
def test_scales_of_weights(scale: float, tmp_path: Path) -> None:
    """Zero and negative ones are sound; where real weights overflow they stay digital."""
    text = """g (float[2,4] x) => (float[] y) {
        v = DequantizeLinear(w, s, z)
        y = MatMul(x, v)
    }"""
    weights = np.arange(-6, 6, dtype=np.int8).reshape(4, 3)
    tensors: dict[str, Any] = {"w": weights, "s": np.float32(scale), "z": np.int8(0)}
    network = check(model_file(tmp_path, text, **tensors), x=normal(2, 4))
    assert bool(network.matrix_layers) == (scale in (0.0, -0.03))


def test_biases_that_wrap_32_bit_sums_stay_digital(tmp_path: Path) -> None:
    text = "g (uint8[1,1,2,2] x) => (uint8[] y) { y = QLinearConv(x, s, z, w, s, z, s, z, b) }"
    tensors: dict[str, Any] = {
        "s": np.float32(1),
        "z": np.uint8(0),
        "w": np.full((1, 1, 1, 1), 200, np.uint8),
        "b": np.asarray([2**31 - 1], np.int32),
    }
    path = model_file(tmp_path, text, **tensors)
    network = check(path, exact=True, x=np.full((1, 1, 2, 2), 200, np.uint8))
    assert "32-bit sums with it may overflow" in notes(network)


@pytest.mark.parametrize("last", [0, 1])
def test_qlinear_conv_of_com_microsoft(tmp_path: Path, last: int) -> None:
    path = model_file(
        tmp_path,
        "g (uint8[1,4,4,4] x) => (uint8[] y)"
        f" {{ y = com.microsoft.QLinearConv<channels_last = {last}>(x, s, z, w, ws, wz, ys, z) }}",
        s=np.float32(0.037),
        z=np.uint8(5),
        w=integers("uint8", 4, 4, 2, 2),
        ws=np.float32(0.013),
        wz=np.uint8(120),
        ys=np.float32(0.5),
    )
    network = check(path, exact=True, x=integers("uint8", 1, 4, 4, 4, seed=1))
    assert len(network.matrix_layers) == 1 - last
    assert bool(last) == ("channels come last" in notes(network))


def test_weights_behind_a_mask_declare_no_integers(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,6] x) => (float[] y) { c = Cast<to = 1>(m) v = Mul(c, w) y = MatMul(x, v) }",
        m=integers("uint8", 6, 3) % 2,
        w=normal(6, 3),
    )
    layer = matrix_layer(check(path, x=normal(2, 6)))
    assert layer.weight.lost == ""  # type: ignore[union-attr]  # a FloatWeight
