"""Whatever ONNX Runtime computes lies within the bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from xbarc.errors import ModelError
from xbarc.intervals import Bounds, bounds_of_type, fragment_bounds
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession

_CHANNELS = 3
_SHAPE = (2, _CHANNELS, 4, 4)


def fragment(
    nodes: list[Any], constants: dict[str, AnyArray] | None = None, inputs: tuple[str, ...] = ("x",)
) -> bytes:
    """A model of these nodes; its output is `y`, of whatever type."""
    border = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in inputs]
    held = [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()]
    graph = helper.make_graph(nodes, "part", border, [onnx.ValueInfoProto(name="y")], held)
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(onnx.shape_inference.infer_shapes(model).SerializeToString())


def given_bounds(
    low: AnyArray | float = -np.inf, high: AnyArray | float = np.inf, nan: bool = False
) -> Bounds:
    """Bounds of a tensor of images: of all, or by channel."""
    ends = [np.asarray(end, dtype=np.float64) for end in (low, high)]
    ends = [end.reshape(1, -1, 1, 1) if end.ndim else end for end in ends]
    return Bounds(ends[0], ends[1], "float32", (None, *_SHAPE[1:]), nan)


def scale(number: float) -> AnyArray:
    """A scale as models hold it."""
    return np.array(number, dtype=np.float32)


NODES: dict[str, tuple[list[Any], dict[str, AnyArray]]] = {
    "relu": ([helper.make_node("Relu", ["x"], ["y"])], {}),
    "clip": (
        [helper.make_node("Clip", ["x", "l", "h"], ["y"])],
        {"l": scale(0.0), "h": scale(6.0)},
    ),
    "sigmoid": ([helper.make_node("Sigmoid", ["x"], ["y"])], {}),
    "tanh": ([helper.make_node("Tanh", ["x"], ["y"])], {}),
    "hard sigmoid": ([helper.make_node("HardSigmoid", ["x"], ["y"], alpha=0.3)], {}),
    "hard swish": ([helper.make_node("HardSwish", ["x"], ["y"])], {}),
    "leaky": ([helper.make_node("LeakyRelu", ["x"], ["y"], alpha=0.1)], {}),
    "softmax": ([helper.make_node("Softmax", ["x"], ["y"], axis=1)], {}),
    "negative": ([helper.make_node("Neg", ["x"], ["y"])], {}),
    "square": ([helper.make_node("Mul", ["x", "x"], ["y"])], {}),
    "half": ([helper.make_node("Div", ["x", "c"], ["y"])], {"c": scale(-2.0)}),
    "shifted": ([helper.make_node("Sub", ["c", "x"], ["y"])], {"c": scale(0.7)}),
    "bias": (
        [helper.make_node("Add", ["x", "c"], ["y"])],
        {"c": np.array([1, -2, 3], np.float32).reshape(1, 3, 1, 1)},
    ),
    "smaller": ([helper.make_node("Min", ["x", "c"], ["y"])], {"c": scale(0.4)}),
    "greater": ([helper.make_node("Max", ["x", "c"], ["y"])], {"c": scale(0.4)}),
    "pool": ([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], pads=[1] * 4)], {}),
    "mean": (
        [
            helper.make_node(
                "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1
            )
        ],
        {},
    ),
    "all": ([helper.make_node("GlobalAveragePool", ["x"], ["y"])], {}),
    "flat": ([helper.make_node("Flatten", ["x"], ["y"])], {}),
    "reshaped": (
        [helper.make_node("Reshape", ["x", "s"], ["y"])],
        {"s": np.array([-1, 48], np.int64)},
    ),
    "turned": ([helper.make_node("Transpose", ["x"], ["y"], perm=[0, 2, 3, 1])], {}),
    "joined": (
        [
            helper.make_node("Relu", ["x"], ["r"]),
            helper.make_node("Concat", ["x", "r"], ["y"], axis=1),
        ],
        {},
    ),
    "bordered": (
        [helper.make_node("Pad", ["x", "p", "c"], ["y"])],
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "c": scale(9.0)},
    ),
    "norm": (
        [helper.make_node("BatchNormalization", ["x", "a", "b", "m", "v"], ["y"])],
        {
            "a": np.array([1, -2, 0.5], np.float32),
            "b": np.array([0, 3, -1], np.float32),
            "m": np.array([0.3, 0, 1], np.float32),
            "v": np.array([1, 0.01, 4], np.float32),
        },
    ),
    "codes": (
        [helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])],
        {"s": scale(0.037), "z": np.array(-5, np.int8)},
    ),
    "codes of channels": (
        [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], axis=1),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], axis=1),
        ],
        {"s": np.array([0.1, 0.02, 0.5], np.float32), "z": np.array([0, 100, 255], np.uint8)},
    ),
    "split": (
        [
            helper.make_node("Split", ["x"], ["a", "b"], axis=2),
            helper.make_node("Concat", ["b", "a"], ["y"], axis=2),
        ],
        {},
    ),
    "unknown": ([helper.make_node("Erf", ["x"], ["y"])], {}),
}


@pytest.mark.parametrize("name", sorted(NODES))
@given(
    ends=st.lists(st.floats(-40, 40, width=32), min_size=6, max_size=6),
    whole=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_runs_stay_inside(name: str, ends: list[float], whole: bool, seed: int) -> None:
    nodes, constants = NODES[name]
    pairs = np.sort(np.array(ends).reshape(_CHANNELS, 2), axis=1)
    if whole:
        pairs = np.broadcast_to([pairs.min(), pairs.max()], pairs.shape)
    low, high = pairs.T
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.0, 1.0, 0.5, rng.random()], _SHAPE)
    x = low.reshape(1, -1, 1, 1) * (1 - spread) + high.reshape(1, -1, 1, 1) * spread
    model = fragment(nodes, constants)
    ends_of = (low.min(), high.max()) if whole else (low, high)
    found = fragment_bounds(model, {"x": given_bounds(*ends_of)})["y"]
    y = OnnxSession(model, where=name, threads=1).run({"x": x.astype(np.float32)})[0]
    if found.shape is not None:
        assert len(found.shape) == y.ndim
        assert all(want in (None, have) for want, have in zip(found.shape, y.shape, strict=True))
    assert (y >= found.low).all()
    assert (y <= found.high).all()


def test_what_is_known_is_not_everything() -> None:
    """The rules claim something: else the test above could not fail."""
    x = given_bounds(-10.0, 10.0)
    tight = {"sigmoid": (0, 1), "tanh": (-1, 1), "clip": (0, 6), "softmax": (0, 1)}
    tight |= {"relu": (0, 10), "mean": (-10, 10), "negative": (-10, 10), "pool": (-10, 10)}
    for name, (low, high) in tight.items():
        found = fragment_bounds(fragment(*NODES[name]), {"x": x})["y"]
        assert abs(float(found.low) - low) < 0.01
        assert abs(float(found.high) - high) < 0.01


def test_numbers_that_are_none_may_become_any_code() -> None:
    model = fragment(*NODES["codes"])
    free = fragment_bounds(model, {"x": bounds_of_type("float32")})["y"]
    assert (float(free.low), float(free.high)) == (-128, 127)
    narrow = fragment_bounds(model, {"x": given_bounds(0.0, 1.0)})["y"]
    assert (float(narrow.low), float(narrow.high)) == (-5, 22)
    unsure = fragment_bounds(model, {"x": given_bounds(0.0, 1.0, nan=True)})["y"]
    assert (float(unsure.low), float(unsure.high)) == (-128, 127)


def test_infinite_ends_give_no_number() -> None:
    model = fragment([helper.make_node("Sub", ["x", "x"], ["y"])])
    assert fragment_bounds(model, {"x": given_bounds(0.0)})["y"].nan
    assert not fragment_bounds(model, {"x": given_bounds(0.0, 1.0)})["y"].nan


def test_a_function_of_the_model_hides_an_operator() -> None:
    model = onnx.load_from_string(fragment(*NODES["relu"]))
    body = [helper.make_node("Neg", ["a"], ["b"])]
    opset = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("", "Relu", ["a"], ["b"], body, opset))
    found = fragment_bounds(model.SerializeToString(), {"x": given_bounds(-1.0, 1.0)})["y"]
    assert float(found.low) == -np.inf


def test_half_precision_is_left_alone() -> None:
    x = Bounds(np.array(0.0), np.array(1.0), "float16", (2, 2))
    found = fragment_bounds(fragment(*NODES["square"]), {"x": x})["y"]
    assert float(found.high) == np.inf


def test_no_model() -> None:
    with pytest.raises(ModelError, match="part: cannot be read"):
        fragment_bounds(b"\x08\x99nonsense", {}, "part")


RANK_CASES = {
    "constant of shape [1]": ([helper.make_node("Div", ["x", "c"], ["y"])], np.array([255.0])),
    "columns": ([helper.make_node("Mul", ["x", "c"], ["y"])], np.array([1.0, 0.0, 0.0, 0.0])),
    "planes": ([helper.make_node("Mul", ["x", "c"], ["y"])], np.eye(4)),
    "channels": ([helper.make_node("Mul", ["x", "c"], ["y"])], np.arange(3.0).reshape(3, 1, 1)),
    "one more axis": ([helper.make_node("Mul", ["x", "c"], ["y"])], np.ones((1, 1, 1, 1, 1))),
}


@pytest.mark.parametrize("name", sorted(RANK_CASES))
def test_ends_have_the_rank_of_their_value(name: str) -> None:
    """Constants of a lower rank lie along the last axes, wherever channels are."""
    nodes, constant = RANK_CASES[name]
    model = fragment(nodes, {"c": constant.astype(np.float32)})
    found = fragment_bounds(model, {"x": given_bounds(0.0, 1.0)})["y"]
    assert found.shape is not None
    assert len(found.shape) == max(4, constant.ndim)
    assert found.low.ndim in (0, len(found.shape))
    factor = 1 / constant if nodes[0].op_type == "Div" else constant
    high = np.broadcast_to(found.high, np.broadcast_shapes(found.high.shape, factor.shape))
    assert high == pytest.approx(np.broadcast_to(factor, high.shape), rel=1e-5)


@given(
    shape=st.none() | st.lists(st.none() | st.integers(1, 3), max_size=4).map(tuple),
    ends=st.lists(st.integers(1, 3), max_size=5).map(tuple),
    seed=st.integers(0, 1000),
)
def test_no_other_form_can_be_made(
    shape: tuple[int | None, ...] | None, ends: tuple[int, ...], seed: int
) -> None:
    low = np.random.default_rng(seed).normal(size=ends)
    found = Bounds(low, low + 1, "float32", shape)
    assert found.low.shape == found.high.shape
    if found.low.ndim:
        assert shape is not None
        assert all(n in (1, size) for n, size in zip(found.low.shape, shape, strict=True))
    assert found.low.min() == low.min()
    assert found.high.max() == low.max() + 1


def test_large_tensors_take_little_memory() -> None:
    """Ends that would fill memory are joined along their longest axes."""
    row = Bounds(np.zeros((1, 1 << 19)), np.ones((1, 1 << 19)), "float32", (1, 1 << 19))
    column = Bounds(np.zeros((1 << 19, 1)), np.ones((1 << 19, 1)), "float32", (1 << 19, 1))
    found = fragment_bounds(
        fragment([helper.make_node("Add", ["x", "z"], ["y"])], inputs=("x", "z")),
        {"x": row, "z": column},
    )["y"]
    assert found.shape == (1 << 19, 1 << 19)
    assert found.low.size <= 1 << 20


NEVER_BELOW_ZERO = (
    *("Relu", "Sigmoid", "Softmax", "HardSigmoid", "Abs", "Exp", "Sqrt", "Softplus"),
    *("ReduceL1", "ReduceL2", "ReduceSumSquare", "Shape", "Size", "NonZero"),
)
KEEP_THE_SIGN = (
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Flatten"),
    *("Transpose", "Dropout", "Identity", "Squeeze", "Unsqueeze", "Slice", "Gather", "Expand"),
    *("Tile", "DepthToSpace", "SpaceToDepth", "ReduceMean", "ReduceSum", "ReduceMax", "LRN"),
    *("Split", "Concat", "Add", "Mul", "Sum", "Max", "Min", "Mean", "Clip", "Pow", "Where"),
)
_MORE_INPUTS: dict[str, list[AnyArray]] = {
    "Reshape": [np.array([0, -1], np.int64)],
    "Unsqueeze": [np.array([0], np.int64)],
    "Slice": [np.array([0], np.int64), np.array([1], np.int64)],
    "Gather": [np.array([0], np.int64)],
    "Expand": [np.array([2, 3, 4, 4], np.int64)],
    "Tile": [np.array([1, 1, 1, 2], np.int64)],
    "Pow": [np.array(1.5, np.float32)],
    **{
        kind: [np.array([0.5], np.float32)]
        for kind in ("Add", "Mul", "Sum", "Max", "Min", "Mean", "Clip")
    },
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "MaxPool": {"kernel_shape": [2, 2]},
    "AveragePool": {"kernel_shape": [2, 2]},
    "DepthToSpace": {"blocksize": 1},
    "SpaceToDepth": {"blocksize": 2},
    "LRN": {"size": 3},
    "Concat": {"axis": 1},
}


@pytest.mark.parametrize("kind", sorted({*NEVER_BELOW_ZERO, *KEEP_THE_SIGN}))
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_what_is_never_below_zero(kind: str, dtype: str) -> None:
    """Of any input, or of one that is never below zero itself."""
    arrays = _MORE_INPUTS.get(kind, [])
    held = {f"c{i}": a.astype(dtype) if a.dtype == np.float32 else a for i, a in enumerate(arrays)}
    reads = ["w", "x", "x"] if kind == "Where" else ["x", *held]
    reads = ["x", "x"] if kind == "Concat" else reads
    outputs = ["y", "z"] if kind == "Split" else ["y"]
    node = helper.make_node(kind, reads, outputs, **_OPTIONS.get(kind, {}))
    low = -np.inf if kind in NEVER_BELOW_ZERO else 0.0
    x = Bounds(np.array(low), np.array(np.inf), dtype, (2, 3, 4, 4))
    found = fragment_bounds(fragment([node], held, ("x", "w")), {"x": x})["y"]
    assert (found.low >= 0).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_what_follows_an_unknown_range(kind: str) -> None:
    """Behind an operator that may give anything, a Relu is known again."""
    gates = {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    held = {
        "w": np.ones((1, gates * 2, 3), np.float32),
        "r": np.ones((1, gates * 2, 2), np.float32),
    }
    nodes = [
        helper.make_node(kind, ["x", "w", "r"], ["h"], hidden_size=2),
        helper.make_node("Relu", ["h"], ["p"]),
        helper.make_node("Transpose", ["p"], ["y"], perm=[0, 1, 3, 2]),
    ]
    found = fragment_bounds(fragment(nodes, held), {})["y"]
    assert (float(found.low), found.dtype) == (0.0, "float32")


def test_divisors_of_both_signs() -> None:
    """Joined to one interval they may hold 0, though none of them is 0."""
    by = np.array([-2, 3, 3, 3], np.float32)
    model = fragment([helper.make_node("Div", ["x", "c"], ["y"])], {"c": by})
    one = Bounds(np.array(1.0), np.array(1.0), "float32")
    found = fragment_bounds(model, {"x": one})["y"]
    assert float(found.low) == -np.inf
    assert float(found.high) == np.inf
    known = fragment_bounds(model, {"x": replace(one, shape=(4,))})["y"]
    assert np.allclose(known.low, 1 / by)
    assert np.allclose(known.high, 1 / by)


def test_integers_out_of_reach() -> None:
    """A conversion of what the integer type does not hold gives anything."""
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.INT64)
    found = fragment_bounds(fragment([node]), {"x": given_bounds(0.0, 1e30)})["y"]
    assert float(found.low) == -np.inf
    assert fragment_bounds(fragment([node]), {"x": given_bounds(0.0, 9.5)})["y"].high == 9


def test_windows_that_reach_beyond_the_input() -> None:
    """ONNX Runtime runs a kernel of 2 on an extent of 1, and divides by all of it."""
    x = Bounds(np.array(-3.0), np.array(-2.0), "float32", (1, 1, 1, 1, 1))
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], kernel_shape=[2, 2, 2], pads=[0] * 6, count_include_pad=1
    )
    assert fragment_bounds(fragment([node]), {"x": x})["y"].high >= -0.25
