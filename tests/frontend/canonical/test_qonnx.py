"""QONNX nodes compute what qonnx's own executor computes, and lend layers their integers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.frontend.network_meaning import evaluate
from tests.frontend.onnx_models import check, f32, matrix_layer, model_file, normal, notes
from xbarc.errors import ModelError, UnsupportedError
from xbarc.frontend import read_network, runnable_model
from xbarc.ir.network import IntWeight
from xbarc.ir.quantizers import BinaryInput, FloatResult, IntegerInput
from xbarc.numerics import IntFormat
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

OLD = '<ir_version: 6, opset_import: ["": 9, "qonnx.custom_op.general": 1]>'
NEW = '<ir_version: 8, opset_import: ["": 17, "onnx.brevitas": 1]>'
ROUNDINGS: dict[str, Callable[[AnyArray], AnyArray]] = {
    "ROUND": np.round,
    "HALF_EVEN": np.round,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.fix,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}


def quant(
    x: AnyArray, scale: np.float32, zero: float, low: float, high: float, mode: str
) -> AnyArray:
    """`int_quant` of qonnx 1.0.0, in its order of float32 operations."""
    y = x / scale + np.float32(zero)
    y = np.where(y > high, np.float32(high), y)
    y = np.where(y < low, np.float32(low), y)
    result: AnyArray = (ROUNDINGS[mode](y) - np.float32(zero)) * scale
    return result


def limits(bits: int, signed: int, narrow: int) -> tuple[int, int]:
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0, 2**bits - 1 - narrow


def run(path: Path, x: AnyArray) -> AnyArray:
    model = runnable_model(path)
    assert isinstance(model, bytes)
    found: AnyArray = OnnxSession(model, where="lowered").run({"x": x})[0]
    return found


def samples() -> AnyArray:
    ties = np.arange(-40, 41, dtype=np.float32) * np.float32(0.125)
    return np.concatenate([ties, normal(200) * 3, f32([1e9, -1e9, 0.0, -0.0])])


@pytest.mark.parametrize(
    ("header", "domain"), [(OLD, "qonnx.custom_op.general"), (NEW, "onnx.brevitas")]
)
@pytest.mark.parametrize("mode", list(ROUNDINGS))
def test_quant_is_bit_exact(tmp_path: Path, header: str, domain: str, mode: str) -> None:
    x = samples()
    for bits, signed, narrow, zero in itertools.product((2, 8), (0, 1), (0, 1), (0, 3)):
        text = f'signed = {signed}, narrow = {narrow}, rounding_mode = "{mode}"'
        path = model_file(
            tmp_path,
            f"g (float[N] x) => (float[N] y) {{ y = {domain}.Quant<{text}>(x, s, z, b) }}",
            header,
            s=np.float32(0.25),
            z=np.float32(zero),
            b=np.float32(bits),
        )
        want = quant(x, np.float32(0.25), zero, *limits(bits, signed, narrow), mode)
        np.testing.assert_array_equal(run(path, x), want)


def test_bipolar_and_one_bit(tmp_path: Path) -> None:
    x = samples()
    want = np.where(x >= 0, np.float32(1), np.float32(-1)) * np.float32(0.5)
    for call in ("BipolarQuant(x, s)", "Quant<signed = 1, narrow = 0>(x, s, z, b)"):
        path = model_file(
            tmp_path,
            f"g (float[N] x) => (float[N] y) {{ y = onnx.brevitas.{call} }}",
            NEW,
            s=np.float32(0.5),
            z=np.float32(0),
            b=np.float32(1),
        )
        np.testing.assert_array_equal(run(path, x), want)


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL"])
def test_trunc(tmp_path: Path, mode: str) -> None:
    x = samples()
    path = model_file(
        tmp_path,
        f'g (float[N] x) => (float[N] y) {{ y = onnx.brevitas.Trunc<rounding_mode = "{mode}">'
        "(x, s, z, i, o) }",
        NEW,
        s=np.float32(0.25),
        z=np.float32(0),
        i=np.float32(8),
        o=np.float32(6),
    )
    want = ROUNDINGS[mode](np.round(x / np.float32(0.25)) / np.float32(4)) * np.float32(0.25)
    np.testing.assert_array_equal(run(path, x), want)
    path = model_file(
        tmp_path,
        f'g (float[N] x) => (float[N] y) {{ y = onnx.brevitas.Trunc<rounding_mode = "{mode}", '
        "signed = 1, narrow = 0>(x, s, z, i, t, o) }",
        NEW,
        s=np.float32(0.25),
        z=np.float32(0),
        i=np.float32(8),
        o=np.float32(4),
        t=np.float32(1),
    )
    y = np.clip(np.round(x / np.float32(0.25)) / np.float32(4), -8, 7)
    np.testing.assert_array_equal(run(path, x), ROUNDINGS[mode](y) * np.float32(1))


NET = """g (float[N,6] x) => (float[] y) {
    a = onnx.brevitas.Quant<signed = 0, narrow = 0, rounding_mode = "ROUND">(x, s, z, b)
    q = onnx.brevitas.Quant<signed = 1, narrow = 1, rounding_mode = "ROUND">(w, ws, z, wb)
    y = MatMul(a, q)
}"""


@pytest.mark.parametrize("channels", [False, True])
def test_integers_on_both_sides(tmp_path: Path, channels: bool) -> None:
    scale = f32([[0.1, 0.2, 0.3]]) if channels else np.float32(0.1)
    path = model_file(
        tmp_path,
        NET,
        NEW,
        w=normal(6, 3),
        ws=scale,
        s=f32([0.05]),
        z=np.float32(0),
        b=np.float32(5),
        wb=np.float32(4),
    )
    layer = matrix_layer(check(path, x=normal(7, 6)))
    assert layer.quantizer == IntegerInput(0, 5, float(np.float32(0.05)), 0)
    assert isinstance(layer.weight, IntWeight)
    assert layer.weight.format == IntFormat(4, signed=True)
    assert isinstance(layer.result, FloatResult)
    np.testing.assert_array_equal(layer.result.scale, np.broadcast_to(scale.ravel(), 3))


def test_scales_along_the_sum_stay_digital(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        NET,
        NEW,
        w=normal(6, 3),
        ws=np.abs(normal(6, 1)) + np.float32(0.1),
        s=np.float32(0.05),
        z=np.float32(0),
        b=np.float32(20),
        wb=np.float32(4),
    )
    network = check(path, x=normal(7, 6))
    assert not network.matrix_layers
    assert "scale of its weights changes along the sum" in notes(network)


def test_bipolar_network(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            a = onnx.brevitas.BipolarQuant(x, s)
            q = onnx.brevitas.BipolarQuant(w, s)
            y = MatMul(a, q)
        }""",
        NEW,
        w=normal(6, 3),
        s=np.float32(0.5),
    )
    layer = matrix_layer(check(path, x=normal(7, 6)))
    assert layer.quantizer == BinaryInput(-1.0, 1.0)
    assert isinstance(layer.result, FloatResult)
    assert np.all(layer.result.scale == 0.25)
    assert set(np.unique(layer.weight.tensor.load())) == {-1, 1}


def test_trunc_lends_its_integers(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """g (float[N,6] x) => (float[] y) {
            a = onnx.brevitas.Quant<signed = 0, narrow = 0, rounding_mode = "ROUND">(x, s, z, b)
            t = onnx.brevitas.Trunc<rounding_mode = "FLOOR">(a, s, z, b, o)
            y = MatMul(t, w)
        }""",
        NEW,
        w=normal(6, 3),
        s=np.float32(0.5),
        z=np.float32(0),
        b=np.float32(8),
        o=np.float32(4),
    )
    layer = matrix_layer(check(path, x=np.abs(normal(7, 6)) * 50))
    assert layer.quantizer == IntegerInput(0, 4, 0.5, 0)


@pytest.mark.parametrize("operator", ["Quant", "BipolarQuant"])
def test_weights_that_are_no_numbers_stay_digital(tmp_path: Path, operator: str) -> None:
    """NaN is no integer: a layer would hold some number in its place."""
    bits = ", z, b" if operator == "Quant" else ""
    text = "<signed = 1, narrow = 1>" if operator == "Quant" else ""
    weights = normal(4, 3)
    weights[0, 1] = np.nan
    domain = "qonnx.custom_op.general"
    graph = f"""g (float[2,4] x) => (float[] y) {{
        q = {domain}.{operator}{text}(w, s{bits}) y = MatMul(x, q) }}"""
    rest = {"z": f32(0), "b": f32(4)} if bits else {}
    path = model_file(tmp_path, graph, OLD, w=weights, s=f32(0.5), **rest)
    x = normal(2, 4)
    found = evaluate(read_network(path), {"x": x})["y"]
    np.testing.assert_array_equal(np.isnan(found), np.isnan(run(path, x)))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for text, bits in (('rounding_mode = "SIDEWAYS"', 4), ("signed = 1", 0)):
        path = model_file(
            tmp_path,
            f"g (float[N] x) => (float[N] y) {{ y = onnx.brevitas.Quant<{text}>(x, s, s, b) }}",
            NEW,
            s=np.float32(1),
            b=np.float32(bits),
        )
        with pytest.raises(ModelError):
            read_network(path)
    path = model_file(
        tmp_path,
        "g (float[N] x) => (float[N] y) { y = onnx.brevitas.FloatQuant(x, s) }",
        NEW,
        s=np.float32(1),
    )
    with pytest.raises(UnsupportedError, match=r"FloatQuant.*onnx.brevitas"):
        read_network(path)
