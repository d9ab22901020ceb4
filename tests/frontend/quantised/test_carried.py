"""Declared integers reach the layer behind every operator that keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.frontend.onnx_models import (
    check,
    f32,
    matrix_layer,
    model_file,
    normal,
    parse,
    rng,
    write,
)
from xbarc.frontend import read_network
from xbarc.ir.network import FloatWeight, IntWeight
from xbarc.ir.quantizers import FloatInput, FloatResult, IntegerInput
from xbarc.numerics.types import AnyArray

_HERE = np.array([0, 0, 1, 1, 0, 0, 1, 1])
KEEPS: dict[str, tuple[str, dict[str, Any]]] = {
    "reshape": ("m = Reshape(d, a)", {"a": np.array([-1, 2, 8, 8])}),
    "transpose": ("m = Transpose<perm = [0, 1, 3, 2]>(d)", {}),
    "squeeze": ("u = Unsqueeze(d, a) m = Squeeze(u, a)", {"a": np.array([1])}),
    "identity": ("m = Identity(d)", {}),
    "dropout": ("m = Dropout(d)", {}),
    "max-pool": ("m = MaxPool<kernel_shape = [2, 2], pads = [1, 1, 0, 0]>(d)", {}),
    "global-max-pool": ("m = GlobalMaxPool(d)", {}),
    "reduce-max": ("m = ReduceMax<axes = [2]>(d)", {}),
    "reduce-min": ("m = ReduceMin<axes = [2]>(d)", {}),
    "slice": (
        "m = Slice(d, a, b, c)",
        {"a": np.array([1]), "b": np.array([7]), "c": np.array([2])},
    ),
    "gather": ("m = Gather<axis = 1>(d, a)", {"a": np.array([1, 0])}),
    "gather-nd": ("m = GatherND(d, a)", {"a": np.array([[0]])}),
    "split": ("m, n = Split<axis = 3>(d, a) k = Relu(n)", {"a": np.array([5, 3])}),
    "second-of-split": ("n, m = Split<axis = 3>(d, a) k = Relu(n)", {"a": np.array([5, 3])}),
    "concat": ("m = Concat<axis = 2>(d, d)", {}),
    "concat-of-a-constant": ("m = Concat<axis = 0>(d, a)", {"a": np.full((1, 2, 8, 8), 0.5)}),
    "pad": ("m = Pad(d, a)", {"a": _HERE}),
    "pad-with-a-number": ("m = Pad(d, a, b)", {"a": _HERE, "b": np.float32(0.5)}),
    "pad-by-reflection": ('m = Pad<mode = "reflect">(d, a)', {"a": _HERE}),
    "relu": ("m = Relu(d)", {}),
    "relu6": ("m = Clip(d, a, b)", {"a": np.float32(0), "b": np.float32(6)}),
    "clip-below": ("m = Clip(d, a)", {"a": np.float32(-0.25)}),
    "max": ("m = Max(d, a)", {"a": np.float32(-0.5)}),
    "min": ("m = Min(a, d)", {"a": np.float32(0.75)}),
    "max-of-two": ("t = Transpose<perm = [0, 1, 3, 2]>(d) m = Max(d, t)", {}),
    "where": ("g = Greater(x, a) r = Relu(d) m = Where(g, d, r)", {"a": np.float32(-1)}),
    "where-of-one-type": (
        "g = Greater(x, a) t = Transpose<perm = [0, 1, 3, 2]>(d) m = Where(g, d, t)",
        {"a": np.float32(-1)},
    ),
    "compress": ("m = Compress<axis = 2>(d, a)", {"a": np.array([False, True, True])}),
    "top-k": ("m, n = TopK<axis = 3>(d, a)", {"a": np.array([3])}),
    "tile": ("m = Tile(d, a)", {"a": np.array([1, 1, 2, 1])}),
    "expand": ("m = Expand(d, a)", {"a": np.array([1, 2, 8, 8])}),
    "depth-to-space": ("k = Concat<axis = 1>(d, d, d, d) m = DepthToSpace<blocksize = 2>(k)", {}),
    "space-to-depth": ("h = SpaceToDepth<blocksize = 2>(d) m = DepthToSpace<blocksize = 2>(h)", {}),
    "resize": (
        'm = Resize<mode = "nearest">(d, e, a)',
        {"e": f32([]), "a": f32([1, 1, 2, 2])},
    ),
    "times-a-number": ("m = Mul(d, a)", {"a": np.float32(0.25)}),
    "over-a-number": ("m = Div(d, a)", {"a": np.float32(3)}),
    "plus-steps": ("m = Add(d, a)", {"a": np.float32(-0.25)}),
    "many": (
        (
            "p = Pad(d, a) r = Relu(p) c = Concat<axis = 3>(r, r)"
            " h = MaxPool<kernel_shape = [3, 3]>(c) m = Transpose<perm = [0, 1, 3, 2]>(h)"
        ),
        {"a": _HERE},
    ),
}


@pytest.mark.parametrize("dtype", ["uint8", "int16"])
@pytest.mark.parametrize("name", sorted(KEEPS))
def test_integers_are_carried(tmp_path: Path, name: str, dtype: str) -> None:
    _carried(tmp_path, name, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [13, 15, 17, 21])
@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int4", "uint4"])
@pytest.mark.parametrize("name", sorted(KEEPS))
def test_integers_are_carried_in_every_opset(
    tmp_path: Path, name: str, dtype: str, opset: int
) -> None:
    if (opset < 21 and "4" in dtype) or (opset > 17 and name.startswith("reduce")):
        pytest.skip("ONNX has no such form")
    _carried(tmp_path, name, dtype, opset)


def _carried(folder: Path, name: str, dtype: str, opset: int = 17) -> None:
    body, constants = KEEPS[name]
    reals = {key: _real(value) for key, value in constants.items()}
    standard = dtype.endswith("4") or (opset >= 21 and opset % 2 == 1)
    domain = "" if standard or dtype.endswith("nt8") else "com.microsoft."
    kind = getattr(onnx.TensorProto, dtype.upper())
    version = 10 if opset >= 21 else 8
    header = f'<ir_version: {version}, opset_import: ["": {opset}, "com.microsoft": 1]>'
    zero = 2 if dtype.startswith("u") else -1
    model = parse(
        f"""g (float[N,2,8,8] x) => (float[] y) {{
            q = {domain}QuantizeLinear(x, s, z)
            d = {domain}DequantizeLinear(q, s, z)
            {body}
            y = Conv(m, w)
        }}""",
        header,
        s=np.float32(0.25),
        w=normal(3, 2, 1, 1),
        **reals,
    )
    model.graph.initializer.append(onnx.helper.make_tensor("z", kind, [], [zero]))
    path = write(folder, model)
    layer = matrix_layer(check(path, x=4 * normal(1, 2, 8, 8)))
    assert isinstance(layer.quantizer, IntegerInput)
    factor = {"times-a-number": 0.25, "over-a-number": 1 / 3}.get(name, 1.0)
    assert layer.quantizer.scale == np.float32(0.25 * factor)
    assert layer.quantizer.bits == int(dtype.lstrip("uint"))


def _real(value: AnyArray) -> AnyArray:
    return value.astype(np.float32) if value.dtype == np.float64 else value


LOSES: dict[str, tuple[str, dict[str, Any]]] = {
    "another-scale": ("e = DequantizeLinear(q, t, z) m = Concat<axis = 2>(d, e)", {}),
    "a-number-between": ("m = Clip(d, a)", {"a": np.float32(-0.3)}),
    "pad-between": ("m = Pad(d, a, b)", {"a": _HERE, "b": np.float32(0.3)}),
    "a-negative-factor": (
        "e = Mul(d, a) m = Max(e, b)",
        {"a": np.float32(-2), "b": np.float32(-1)},
    ),
    "a-cast-that-cuts": ("e = Cast<to = 6>(d) m = Cast<to = 1>(e)", {}),
    "a-cast-that-rounds": ("e = Cast<to = 10>(d) m = Cast<to = 1>(e)", {}),
    "a-sum": ("m = Add(d, d)", {}),
    "an-average": ("m = AveragePool<kernel_shape = [2, 2]>(d)", {}),
    "linear-resize": (
        'm = Resize<mode = "linear">(d, e, a)',
        {"e": f32([]), "a": f32([1, 1, 2, 2])},
    ),
}


@pytest.mark.parametrize("name", sorted(LOSES))
def test_nothing_is_taken_for_integers_that_is_none(tmp_path: Path, name: str) -> None:
    body, constants = LOSES[name]
    path = model_file(
        tmp_path,
        f"""g (float[N,2,8,8] x) => (float[] y) {{
            q = QuantizeLinear(x, s, z)
            d = DequantizeLinear(q, s, z)
            {body}
            y = Conv(m, w)
        }}""",
        s=np.float32(0.25),
        t=np.float32(0.125),
        z=np.uint8(100),
        w=normal(3, 2, 1, 1),
        **constants,
    )
    layer = matrix_layer(check(path, x=4 * normal(1, 2, 8, 8)))
    assert isinstance(layer.quantizer, FloatInput)
    assert "(declared at DequantizeLinear 'd'" in layer.quantizer.lost


def _weights(folder: Path, body: str, **constants: Any) -> Any:
    path = model_file(
        folder,
        f"g (float[N,6] x) => (float[] y) {{ {body} y = MatMul(x, v) }}",
        **constants,
    )
    return matrix_layer(check(path, x=normal(3, 6)))


W = rng(5).integers(-127, 128, (6, 4)).astype(np.int8)
SPELLED = {
    "cast-scale": ("c = Cast<to = 1>(w) v = Mul(c, s)", np.zeros(4)),
    "cast-like-scale": ("c = CastLike(w, s) v = Mul(c, s)", np.zeros(4)),
    "scale-cast": ("c = Cast<to = 1>(w) v = Mul(s, c)", np.zeros(4)),
    "real-zero-point": ("c = Cast<to = 1>(w) e = Sub(c, r) v = Mul(e, s)", np.full(4, 3)),
    "integer-zero-point": (
        "c = Cast<to = 6>(w) e = Sub(c, i) f = Cast<to = 1>(e) v = Mul(f, s)",
        np.full(4, 3),
    ),
    "added-afterwards": ("c = Cast<to = 1>(w) e = Mul(c, s) v = Add(e, p)", np.full(4, -5)),
    "zero-points-of-channels": (
        "c = Cast<to = 1>(w) e = Sub(c, k) v = Mul(e, s)",
        np.array([1, -2, 3, 0]),
    ),
    "turned": (
        "t = Transpose(w) c = Cast<to = 1>(t) e = Transpose(c) v = Mul(e, s)",
        np.zeros(4),
    ),
    "reshaped": (
        "c = Cast<to = 1>(w) e = Mul(c, s) f = Reshape(e, l) v = Reshape(f, b)",
        np.zeros(4),
    ),
    "gathered-in-parts": (
        (
            "d = DequantizeLinear<axis = 1>(w, s) e = Gather<axis = 1>(d, h)"
            " f = Gather<axis = 1>(d, j) v = Concat<axis = 1>(e, f)"
        ),
        np.zeros(4),
    ),
    "sliced": (
        "d = DequantizeLinear<axis = 1>(n, m) f = Slice(d, o, u, a) v = Identity(f)",
        np.zeros(4),
    ),
}


@pytest.mark.parametrize("name", sorted(SPELLED))
def test_weights_that_are_spelled_out_stay_integers(tmp_path: Path, name: str) -> None:
    body, zero = SPELLED[name]
    scales = f32([0.5, 0.25, 2.0, 0.125])
    layer = _weights(
        tmp_path,
        body,
        w=W,
        s=scales,
        r=np.float32(3),
        i=np.int32(3),
        p=5 * scales,
        k=f32([1, -2, 3, 0]),
        l=np.array([2, 12]),
        b=np.array([6, 4]),
        h=np.array([0, 1]),
        j=np.array([2, 3]),
        n=np.concatenate([W, W], axis=1),
        m=np.concatenate([scales, 2 * scales]),
        o=np.array([0]),
        u=np.array([4]),
        a=np.array([1]),
    )
    assert isinstance(layer.weight, IntWeight)
    np.testing.assert_array_equal(layer.weight.tensor.load()[0], W - zero.astype(np.int64))
    assert isinstance(layer.result, FloatResult)
    np.testing.assert_array_equal(layer.result.scale, scales)


def test_scales_that_leave_float32_make_weights_real(tmp_path: Path) -> None:
    """-128 times 1e38 is infinite: the product stays digital, and gives what ONNX Runtime gives."""
    graph = "g (float[2,7] x) => (float[] y) { c = Cast<to = 1>(w) s = Mul(c, f) y = MatMul(x, s) }"
    weights = np.full((7, 4), -128, np.int8)
    path = model_file(tmp_path, graph, w=weights, f=np.float32(1e38))
    assert not read_network(path).matrix_layers


def test_scales_that_are_no_steps_of_the_weights_make_them_real(tmp_path: Path) -> None:
    body = "c = Cast<to = 1>(w) e = Mul(c, s) v = Add(e, p)"
    layer = _weights(tmp_path, body, w=W, s=f32([0.5, 0.25, 2, 0.125]), p=np.float32(0.3))
    assert isinstance(layer.weight, FloatWeight)


def test_pictures_of_bytes_keep_their_integers(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (uint8[N,2,8,8] x) => (float[] y) {
            c = Cast<to = 1>(x)
            d = Div(c, s)
            y = Conv(d, w)
        }""",
        s=np.float32(255),
        w=normal(3, 2, 1, 1),
    )
    picture = rng(1).integers(0, 256, (2, 2, 8, 8)).astype(np.uint8)
    layer = matrix_layer(check(path, x=picture))
    assert layer.quantizer == IntegerInput(0, 8, float(np.float32(1 / 255)), 0)


def test_weights_quantised_to_4_bits_in_the_graph_stay_integers(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            q = QuantizeLinear<axis = 1, output_dtype = 22>(w, s)
            v = DequantizeLinear<axis = 1>(q, s)
            y = MatMul(x, v)
        }""",
        '<ir_version: 10, opset_import: ["": 21]>',
        w=normal(6, 4),
        s=f32([0.5, 0.25, 0.2, 0.125]),
    )
    layer = matrix_layer(check(path, x=normal(3, 6)))
    assert isinstance(layer.weight, IntWeight)
    assert layer.weight.format.bits == 4
