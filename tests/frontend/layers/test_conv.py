"""Convolutions of every geometry mean what ONNX Runtime computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.frontend.onnx_models import (
    check,
    f32,
    fragments,
    int_format,
    matrix_layer,
    model_file,
    normal,
    notes,
    operators,
    rng,
)
from xbarc.errors import ModelError
from xbarc.frontend import read_network
from xbarc.ir.geometry import Scatter, Window
from xbarc.ir.network import FloatWeight
from xbarc.ir.quantizers import FloatInput, FloatResult

QUIET = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@st.composite
def geometries(draw: st.DrawFn) -> dict[str, object]:
    rank = draw(st.integers(1, 3))
    axes = st.lists(st.integers(1, 3), min_size=rank, max_size=rank)
    pads = st.lists(st.integers(0, 2), min_size=2 * rank, max_size=2 * rank)
    return {
        "rank": rank,
        "groups": draw(st.integers(1, 3)),
        "channels": draw(st.integers(1, 3)),
        "outputs": draw(st.integers(1, 3)),
        "batch": draw(st.integers(0, 2)),
        "kernel": draw(axes),
        "strides": draw(axes),
        "dilations": draw(axes),
        "pads": draw(pads),
        "auto_pad": draw(st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])),
        "bias": draw(st.booleans()),
    }


def attributes(case: dict[str, object], *, padded: bool) -> str:
    names = ("kernel_shape", "strides", "dilations")
    values = (case["kernel"], case["strides"], case["dilations"])
    parts = [f"{name} = {value}" for name, value in zip(names, values, strict=True)]
    parts.append(f"group = {case['groups']}")
    parts.append(f"pads = {case['pads']}" if padded else f'auto_pad = "{case["auto_pad"]}"')
    return ", ".join(parts)


def conv_file(folder: Path, case: dict[str, object], operator: str, text: str) -> Path:
    groups, channels, outputs = (int(str(case[key])) for key in ("groups", "channels", "outputs"))
    lead = [groups * outputs, channels]
    if operator == "ConvTranspose":
        lead = [groups * channels, outputs]
    kernel = case["kernel"]
    assert isinstance(kernel, list)
    weights: dict[str, Any] = {"w": normal(*lead, *kernel)}
    if case["bias"]:
        weights["b"] = normal(groups * outputs, seed=1)
    dims = ",".join(["N", str(groups * channels), *["S"] * len(kernel)])
    inputs = ", ".join(["x", *weights])
    return model_file(
        folder,
        f"g (float[{dims}] x) => (float[] y) {{ y = {operator}<{text}>({inputs}) }}",
        **weights,
    )


@QUIET
@given(case=geometries())
def test_conv_geometries(tmp_path: Path, case: dict[str, object]) -> None:
    padded = case["auto_pad"] == "NOTSET"
    if case["auto_pad"] in ("SAME_UPPER", "SAME_LOWER"):
        case["dilations"] = [1] * int(str(case["rank"]))
    path = conv_file(tmp_path, case, "Conv", attributes(case, padded=padded))
    channels = int(str(case["groups"])) * int(str(case["channels"]))
    shape = (int(str(case["batch"])), channels, *[8] * int(str(case["rank"])))
    network = check(path, x=normal(*shape, seed=2))
    layer = matrix_layer(network)
    assert isinstance(layer.geometry, Window)
    assert layer.groups == case["groups"]


@QUIET
@given(case=geometries())
def test_conv_transpose_geometries(tmp_path: Path, case: dict[str, object]) -> None:
    case["pads"] = [0] * (2 * int(str(case["rank"])))
    path = conv_file(tmp_path, case, "ConvTranspose", attributes(case, padded=True))
    channels = int(str(case["groups"])) * int(str(case["channels"]))
    shape = (1, channels, *[4] * int(str(case["rank"])))
    layer = matrix_layer(check(path, x=normal(*shape, seed=2)))
    assert isinstance(layer.geometry, Scatter)
    assert layer.constant.size == int(str(case["groups"])) * int(str(case["outputs"]))


@pytest.mark.parametrize(
    "text",
    [
        "strides = [2, 2], pads = [1, 1, 1, 1]",
        "strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]",
        "strides = [3, 2], output_shape = [12, 9]",
        'strides = [2, 2], auto_pad = "SAME_UPPER"',
        'strides = [2, 2], auto_pad = "SAME_LOWER"',
        "strides = [1, 2], pads = [0, 1, 2, 0], dilations = [2, 1]",
    ],
)
def test_conv_transpose_extents(tmp_path: Path, text: str) -> None:
    path = model_file(
        tmp_path,
        f"g (float[N,4,S,S] x) => (float[] y) {{ y = ConvTranspose<{text}, group = 2>(x, w, b) }}",
        w=normal(4, 3, 3, 3),
        b=normal(6),
    )
    check(path, x=normal(2, 4, 4, 4, seed=1))


@pytest.mark.parametrize(("kernel", "stride", "pad"), [(7, 2, 3), (3, 2, 1), (8, 8, 0)])
def test_stems(tmp_path: Path, kernel: int, stride: int, pad: int) -> None:
    text = f"strides = [{stride}, {stride}], pads = [{pad}, {pad}, {pad}, {pad}]"
    path = model_file(
        tmp_path,
        f"g (float[N,3,32,32] x) => (float[] y) {{ y = Conv<{text}>(x, w) }}",
        w=normal(4, 3, kernel, kernel),
    )
    layer = matrix_layer(check(path, x=normal(1, 3, 32, 32)))
    assert layer.input_shape == (1, 3, 32, 32)
    assert layer.rows == 3 * kernel * kernel


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_real_types(tmp_path: Path, dtype: str) -> None:
    name = {"float16": "float16", "float64": "double"}[dtype]
    path = model_file(
        tmp_path,
        f"g ({name}[N,2,5,5] x) => ({name}[] y) {{ y = Conv(x, w) }}",
        w=normal(3, 2, 3, 3).astype(dtype),
    )
    layer = matrix_layer(read_network(path))  # ONNX Runtime has no such Conv on CPUs; we have
    assert isinstance(layer.result, FloatResult)
    assert layer.result.dtype == dtype
    assert layer.weight.tensor.load().dtype == np.float32


def test_a_plain_conv_has_unit_scale_and_its_bias(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,2,4,4] x) => (float[] y) { y = Conv(x, w, b) }",
        w=normal(3, 2, 1, 1),
        b=f32([1, 2, 3]),
    )
    layer = matrix_layer(read_network(path))
    assert isinstance(layer.weight, FloatWeight)
    assert isinstance(layer.result, FloatResult)
    assert layer.quantizer == FloatInput()
    np.testing.assert_array_equal(layer.result.scale, [1, 1, 1])
    np.testing.assert_array_equal(layer.result.bias, [1, 2, 3])
    np.testing.assert_array_equal(layer.constant, [0, 0, 0])


def test_weights_shared_by_two_nodes(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        "g (float[N,2,4,4] x) => (float[] y) { a = Conv(x, w) b = Conv(a, w) y = Add(a, b) }",
        w=normal(2, 2, 1, 1),
    )
    network = check(path, x=normal(1, 2, 4, 4, seed=3))
    assert len(network.matrix_layers) == 2
    assert len({layer.name for layer in network.layers}) == len(network.layers)


@pytest.mark.parametrize(
    ("graph", "reason"),
    [
        ("(float[1,2,4,4] x, float[3,2,1,1] v) => (float[] y) { y = Conv(x, v) }", "not constant"),
        ("(float[1,2,4,4] x, float[3] v) => (float[] y) { y = Conv(x, w, v) }", "bias"),
    ],
)
def test_what_stays_digital_says_why(tmp_path: Path, graph: str, reason: str) -> None:
    network = read_network(model_file(tmp_path, f"g {graph}", w=normal(3, 2, 1, 1)))
    assert not network.matrix_layers
    assert reason in notes(network)
    assert operators(network) == {"Conv": 1}
    assert fragments(network)[0].macs == 3 * 2 * 16


@pytest.mark.parametrize(
    "text", ["group = 2", "group = 0", "kernel_shape = [2, 2]", "strides = [0, 1]", "pads = [1]"]
)
def test_impossible_attributes(tmp_path: Path, text: str) -> None:
    path = model_file(
        tmp_path,
        f"g (float[1,2,4,4] x) => (float[] y) {{ y = Conv<{text}>(x, w) }}",
        w=normal(3, 2, 3, 3),
    )
    with pytest.raises(ModelError):
        read_network(path)


def test_wrong_channels_are_refused(tmp_path: Path) -> None:
    path = model_file(
        tmp_path, "g (float[1,5,4,4] x) => (float[] y) { y = Conv(x, w) }", w=normal(3, 2, 1, 1)
    )
    with pytest.raises(ModelError, match="2 channels"):
        read_network(path)


@pytest.mark.parametrize(("zero", "dtype"), [(0, "int8"), (3, "uint8"), (128, "uint8")])
def test_conv_integer(tmp_path: Path, zero: int, dtype: str) -> None:
    low = -128 if dtype == "int8" else 0
    w = rng(1).integers(low, low + 256, (4, 1, 3, 3)).astype(dtype)
    path = model_file(
        tmp_path,
        "g (uint8[N,2,6,6] x) => (int32[] y)"
        " { y = ConvInteger<group = 2, pads = [1,1,1,1]>(x, w, xz, wz) }",
        w=w,
        xz=np.uint8(7),
        wz=np.asarray(zero, dtype),
    )
    x = rng(2).integers(0, 256, (2, 2, 6, 6)).astype(np.uint8)
    form = int_format(check(path, exact=True, x=x))
    low, high = low - zero, low + 255 - zero
    assert form.min <= low
    assert form.max >= high
    assert form.bits == (9 if zero == 3 else 8)
