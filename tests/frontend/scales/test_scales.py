"""Which channels may be scaled, and that scaling them changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from tests.frontend.network_meaning import evaluate
from tests.frontend.onnx_models import model_file, normal, write
from xbarc.api import compile as compile_program
from xbarc.frontend import read_network
from xbarc.ir.network import Network
from xbarc.numerics.types import AnyArray
from xbarc.passes.equalise import apply_scales, balance_weights

RNG = np.random.default_rng(0)


def _array(*shape: int) -> AnyArray:
    return RNG.normal(size=shape).astype(np.float32)


def _read(folder: Path, body: str, shape: str = "2,3,6,6", **constants: AnyArray) -> Network:
    """A network between two convolutions: `a` has 4 channels, `b` is read by the second."""
    graph = f"""net (float[{shape}] x) => (float[N,M] y) {{
        a = Conv <pads = [1,1,1,1]> (x, w1, b1)
        {body}
    }}"""
    arrays: dict[str, Any] = {"w1": _array(4, 3, 3, 3), "b1": _array(4), **constants}
    return read_network(model_file(folder, graph, **arrays), scales=True)


def _free(network: Network, layer: str = "") -> tuple[AnyArray, AnyArray]:
    assert network.scales is not None
    names = [name for name in network.scales.layers if layer in name]
    link = network.scales.layers[names[-1]]
    return link.inputs, link.outputs


def assert_unchanged(
    network: Network, seed: int = 0, shape: tuple[int, ...] = (2, 3, 6, 6)
) -> None:
    """Random scales on all that is free leave every output as it was, and really scale."""
    assert network.scales is not None
    rng = np.random.default_rng(seed)
    scales = np.exp(rng.normal(scale=2.0, size=network.scales.count + 1))
    scales[0] = 1.0
    x = rng.normal(size=shape).astype(np.float32)
    feeds = {network.inputs[0].name: x}
    before, after = evaluate(network, feeds), evaluate(apply_scales(network, scales), feeds)
    for value in network.outputs:
        want = before[value.name].astype(np.float64)
        error = np.abs(after[value.name] - want).max()
        assert error <= 1e-4 * max(1.0, float(np.abs(want).max()))


END = "c = Flatten (b) y = MatMul (c, w2)"
PASSES = {
    "relu": "b = Relu (a)",
    "leaky": "b = LeakyRelu <alpha = 0.1> (a)",
    "prelu": "b = PRelu (a, slope)",
    "identity": "b = Identity (a)",
    "dropout": "b = Dropout (a)",
    "maxpool": "b = MaxPool <kernel_shape = [2,2]> (a)",
    "avgpool": "b = AveragePool <kernel_shape = [2,2], strides = [2,2]> (a)",
    "global": "b = GlobalAveragePool (a)",
    "globalmax": "b = GlobalMaxPool (a)",
    "mean": "b = ReduceMean <axes = [2, 3], keepdims = 0> (a)",
    "pad": "b = Pad (a, pads)",
    "transpose": "b = Transpose <perm = [0, 2, 3, 1]> (a)",
    "reshape": "b = Reshape (a, target)",
    "clip": "b = Clip (a, zero)",
    "times": "b = Mul (a, factor)",
    "twins": "p, q = Split <axis = 1> (a) b = Concat <axis = 1> (q, p)",
    "residual": "p = Relu (a) q = LeakyRelu (p) b = Add (p, q)",
    "slice": "b = Slice (a, starts, ends, axes)",
    "shuffle": "p = Reshape (a, groups) q = Transpose <perm = [0,2,1,3,4]> (p) "
    "b = Reshape (q, back)",
    "depth": "b = DepthToSpace <blocksize = 2> (a)",
    "resize": 'b = Resize <mode = "nearest"> (a, , grow)',
}
STOPS = {
    "sigmoid": "b = Sigmoid (a)",
    "gate": "g = Sigmoid (a) p = Relu (a) b = Mul (p, g)",
    "tanh": "b = Tanh (a)",
    "softmax": "b = Softmax <axis = 1> (a)",
    "hardswish": "b = HardSwish (a)",
    "elu": "b = Elu (a)",
    "relu6": "b = Clip (a, zero, six)",
    "add": "p = Relu (a) b = Add (p, factor)",
    "border": "b = Pad (a, pads, six)",
    "rows": "b = Softmax <axis = 3> (a)",
    "cast": "p = Cast <to = 7> (a) b = Cast <to = 1> (p)",
    "topk": "p = Relu (a) b, q = TopK <axis = 2> (p, three)",
}
CONSTANTS: dict[str, AnyArray] = {
    "slope": np.array([[[0.1]], [[-0.2]], [[0.3]], [[0.4]]], np.float32),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
    "target": np.array([2, 4, 36]),
    "zero": np.array(0, np.float32),
    "six": np.array(6, np.float32),
    "factor": np.array([[[0.5]], [[-2]], [[3]], [[1]]], np.float32),
    "starts": np.array([1]),
    "ends": np.array([4]),
    "axes": np.array([1]),
    "groups": np.array([2, 2, 2, 6, 6]),
    "back": np.array([2, 4, 6, 6]),
    "grow": np.array([1, 1, 2, 2], np.float32),
    "three": np.array([3]),
}
FEATURES = {"maxpool": 100, "avgpool": 36, "global": 4, "globalmax": 4, "mean": 4, "pad": 256}
FEATURES |= {"slice": 108, "resize": 576, "border": 256, "topk": 72}


def _between(folder: Path, name: str, body: str) -> Network:
    used: dict[str, Any] = {key: value for key, value in CONSTANTS.items() if key in body}
    return _read(folder, f"{body} {END}", w2=_array(FEATURES.get(name, 144), 5), **used)


@pytest.mark.parametrize("name", sorted(PASSES))
def test_scales_pass(name: str, tmp_path: Path) -> None:
    network = _between(tmp_path, name, PASSES[name])
    inputs, outputs = _free(network, "Mat")[0], _free(network, "Conv")[1]
    assert inputs.all()
    assert set(inputs.tolist()) <= set(outputs.tolist())
    assert name == "slice" or set(inputs.tolist()) == set(outputs.tolist())
    assert len(set(outputs[outputs > 0].tolist())) >= 3 - (name == "depth") * 2
    assert_unchanged(network)


@pytest.mark.parametrize("name", sorted(STOPS))
def test_scales_stop(name: str, tmp_path: Path) -> None:
    network = _between(tmp_path, name, STOPS[name])
    assert network.scales is not None
    assert network.scales.count == 0
    assert_unchanged(network)


def test_flatten_repeats_each_channel(tmp_path: Path) -> None:
    network = _between(tmp_path, "relu", PASSES["relu"])
    inputs, outputs = _free(network, "Mat")[0], _free(network, "Conv")[1]
    assert np.array_equal(inputs, np.repeat(outputs, 36))


def test_concatenation_keeps_branches_apart(tmp_path: Path) -> None:
    body = """p = Relu (a) q = Conv <kernel_shape = [1,1]> (p, w3)
        b = Concat <axis = 1> (p, q) c = GlobalAveragePool (b) d = Flatten (c) y = Gemm (d, w2)"""
    network = _read(tmp_path, body, w3=_array(3, 4, 1, 1), w2=_array(7, 2))
    assert network.scales is not None
    assert network.scales.count == 7
    assert_unchanged(network)


def test_a_sum_ties_its_branches(tmp_path: Path) -> None:
    body = """p = Relu (a) q = Conv <kernel_shape = [1,1]> (p, w3)
        r = Add (p, q) b = Relu (r) c = GlobalAveragePool (b) d = Flatten (c) y = Gemm (d, w2)"""
    network = _read(tmp_path, body, w3=_array(4, 4, 1, 1), w2=_array(4, 2))
    assert network.scales is not None
    assert network.scales.count == 4
    assert_unchanged(network)


def test_depthwise_and_transposed_convolutions(tmp_path: Path) -> None:
    body = """p = Relu (a) q = Conv <group = 4, kernel_shape = [3,3]> (p, w3, b1)
        r = Relu (q) s = ConvTranspose <kernel_shape = [2,2], group = 2> (r, w4)
        b = Relu (s) c = GlobalAveragePool (b) d = Flatten (c) y = Gemm <alpha = 0.5> (d, w2)"""
    network = _read(tmp_path, body, w3=_array(4, 1, 3, 3), w4=_array(4, 3, 2, 2), w2=_array(6, 2))
    assert network.scales is not None
    assert network.scales.count == 4 + 4 + 6
    assert_unchanged(network)
    balanced = balance_weights(network)
    assert np.all(balanced > 0)
    assert balanced[0] == 1


def test_outputs_of_the_network_are_not_scaled(tmp_path: Path) -> None:
    graph = """net (float[2,3,6,6] x) => (float[2,4,6,6] b, float[2,2] y) {
        a = Conv <pads = [1,1,1,1]> (x, w1) b = Relu (a)
        c = Flatten (b) y = MatMul (c, w2) }"""
    path = model_file(tmp_path, graph, w1=_array(4, 3, 3, 3), w2=_array(144, 2))
    network = read_network(path, scales=True)
    assert network.scales is not None
    assert network.scales.count == 0


def test_the_body_of_a_condition_stops_scales(tmp_path: Path) -> None:
    then = helper.make_graph(
        [helper.make_node("Sigmoid", ["p"], ["t"])], "then", [],
        [onnx.ValueInfoProto(name="t")],
    )  # fmt: skip
    other = helper.make_graph(
        [helper.make_node("Identity", ["p"], ["e"])], "else", [], [onnx.ValueInfoProto(name="e")]
    )
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["p"]),
        helper.make_node("If", ["k"], ["b"], then_branch=then, else_branch=other),
        helper.make_node("Conv", ["p", "w2"], ["d"], name="second"),
        helper.make_node("Add", ["b", "d"], ["y"]),
    ]
    arrays = {"w1": _array(4, 3, 1, 1), "w2": _array(4, 4, 1, 1)}
    real, flag = onnx.TensorProto.FLOAT, onnx.TensorProto.BOOL
    graph = helper.make_graph(
        nodes,
        "net",
        [
            helper.make_tensor_value_info("x", real, [2, 3, 6, 6]),
            helper.make_tensor_value_info("k", flag, []),
        ],
        [helper.make_tensor_value_info("y", real, [2, 4, 6, 6])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    network = read_network(write(tmp_path, model), scales=True)
    assert network.scales is not None
    assert network.scales.count == 0


@pytest.mark.parametrize("batch", ["N", "1", "2"])
def test_samples_are_not_taken_for_channels(batch: str, tmp_path: Path) -> None:
    """A reshape that deals the samples over the channels ties all of these."""
    body = """b = Relu (a) c = Reshape (b, turn) y = MatMul (c, w2)"""
    network = _read(tmp_path, body, f"{batch},3,6,6", turn=np.array([4, -1, 36]), w2=_array(36, 2))
    inputs, outputs = _free(network, "Mat")[0], _free(network, "Conv")[1]
    assert len(set(inputs.tolist())) == 1
    assert set(outputs.tolist()) == set(inputs.tolist())


@given(st.integers(0, 2**32 - 1))
def test_random_chains(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [name for name in sorted(PASSES) if name not in FEATURES and name not in _RESHAPED]
    lines, value = [], "a"
    arrays: dict[str, Any] = {}
    for number in range(int(rng.integers(1, 5))):
        body = PASSES[str(rng.choice(names))]
        for key in ("p", "q", "g", "h"):
            body = body.replace(f"{key} =", f"{key}{number} =").replace(
                f"{key},", f"{key}{number},"
            )
            body = body.replace(f"({key})", f"({key}{number})").replace(
                f" {key})", f" {key}{number})"
            )
        lines.append(body.replace("(a", f"({value}").replace("b =", f"k{number} ="))
        arrays |= {key: array for key, array in CONSTANTS.items() if key in body}
        value = f"k{number}"
        if rng.random() < 0.5:
            lines.append(f"m{number} = Conv <pads = [1,1,1,1]> ({value}, v{number})")
            arrays[f"v{number}"] = rng.normal(size=(4, 4, 3, 3)).astype(np.float32)
            value = f"m{number}"
    text = f"{' '.join(lines)} b = Relu ({value}) {END}"
    network = _read(tmp_path_factory.mktemp("chain"), text, w2=_array(144, 5), **arrays)
    assert_unchanged(network, seed)


_RESHAPED = ("transpose", "reshape", "depth")


@pytest.mark.parametrize("share", ["layer", "channel"])
@pytest.mark.parametrize("zero", ["data", "weights"])
def test_layers_that_nothing_reaches_are_scaled_without_a_warning(
    tmp_path: Path, share: Any, zero: str
) -> None:
    """Their predicted error is 0, which has no logarithm."""
    graph = "g (float[N,6] x) => (float[] y) { h = MatMul(x, w)  r = Relu(h)  y = MatMul(r, v) }"
    weights = normal(6, 5) if zero == "data" else np.zeros((6, 5), np.float32)
    data = np.zeros((8, 6), np.float32) if zero == "data" else normal(8, 6)
    path = model_file(tmp_path, graph, w=weights, v=normal(5, 3))
    compile_program(path, equalise=share, calibration={"x": data})
