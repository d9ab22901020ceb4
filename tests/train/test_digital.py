"""Digital fragments: every operator in torch is what ONNX Runtime computes, up to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx.backend.test.case.node import collect_testcases

from tests.frontend.onnx_models import parse
from xbarc.errors import InputError, ModelError, UnsupportedError
from xbarc.ir import DigitalFragment
from xbarc.train.digital import TrainedFragment
from xbarc.train.operators import OPERATORS

_PLAIN: tuple[str, ...] = (
    "Abs",
    "Ceil",
    "Erf",
    "Exp",
    "Floor",
    "HardSwish",
    "Identity",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
)
_PLAIN += ("Sigmoid", "Sign", "Softplus", "Tanh", "Dropout", "Cos", "Sin", "Softsign", "Selu")
_PLAIN += ("Mish", "ReduceL1", "ReduceL2", "ReduceSumSquare")
_COMPARED = ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")

# What reads x of 2 x 3 x 4 x 5, and gives y; further inputs are constants of the graph.
CASES: dict[str, str] = {
    **{name: f"y = {name} (x)" for name in _PLAIN},
    **{name: f"y = {name} (x, c)" for name in ("Add", "Div", "Mul", "Sub", "Max", "Min", "Sum")},
    **{name: f"i = Floor (x) b = {name} (i, o) y = Where (b, x, c)" for name in _COMPARED},
    **{
        name: f"a = Less (x, c) b = Less (x, o) u = Not (a) d = {name} (u, b) y = Where (d, x, c)"
        for name in ("And", "Or", "Xor")
    },
    "ArgMax": "i = ArgMax <axis = 2> (x) y = Cast <to = 1> (i)",
    "ArgMin": "i = Floor (x) "
    "k = ArgMin <axis = -1, keepdims = 0, select_last_index = 1> (i) y = Cast <to = 1> (k)",
    "Celu": "y = Celu <alpha = 0.5> (x)",
    "ConstantOfShape": "k = Shape (x) a = ConstantOfShape <value = float[1] {3}> (k) "
    "y = Add (x, a)",
    "DepthToSpace": "e = Reshape (x, deep) y = DepthToSpace <blocksize = 2> (e)",
    "DepthToSpace rows": 'e = Reshape (x, deep) y = DepthToSpace <blocksize = 2, mode = "CRD"> (e)',
    "Einsum": 'y = Einsum <equation = "b c h w, w m -> b m h"> (x, m)',
    "GroupNormalization": "y = GroupNormalization <num_groups = 3> (x, v, v)",
    "InstanceNormalization": "y = InstanceNormalization <epsilon = 0.01> (x, v, v)",
    "SpaceToDepth": "e = Reshape (x, even) y = SpaceToDepth <blocksize = 2> (e)",
    "ThresholdedRelu": "y = ThresholdedRelu <alpha = 0.5> (x)",
    "Tile": "y = Tile (x, repeats)",
    "Log": "a = Abs (x) y = Log (a)",
    "Sqrt": "a = Abs (x) y = Sqrt (a)",
    "Pow": "a = Abs (x) y = Pow (a, c)",
    "MatMul": "y = MatMul (x, m)",
    "Where": "b = Cast <to = 9> (x) y = Where (b, x, c)",
    "AveragePool": "y = AveragePool <kernel_shape = [2, 3], pads = [0, 1, 1, 1]> (x)",
    "AveragePool padded": "y = AveragePool <kernel_shape = [2, 3], pads = [0, 1, 1, 1], "
    "count_include_pad = 1> (x)",
    "BatchNormalization": "y = BatchNormalization (x, v, v, v, v)",
    "Cast": "y = Cast <to = 1> (x)",
    "Clip": "y = Clip (x, low, high)",
    "Clip below": "y = Clip (x, low)",
    "Concat": "y = Concat <axis = 2> (x, x)",
    "Constant": "k = Constant <value = float {3}> () y = Add (x, k)",
    "Conv": "y = Conv <pads = [1, 0, 0, 2], strides = [2, 1]> (x, w, v)",
    "Conv same": 'y = Conv <auto_pad = "SAME_LOWER"> (x, w)',
    "DequantizeLinear": "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)",
    "QuantizeLinear": "q = QuantizeLinear (x, s, z) y = DequantizeLinear (q, s, z)",
    "QuantizeLinear axis": "q = QuantizeLinear <axis = 1> (x, v, zv) "
    "y = DequantizeLinear <axis = 1> (q, v, zv)",
    "Elu": "y = Elu (x)",
    "Expand": "y = Expand (x, wide)",
    "Flatten": "y = Flatten <axis = 2> (x)",
    "Gather": "y = Gather <axis = 3> (x, places)",
    "Gemm": "f = Flatten <axis = 3> (x) y = Gemm <alpha = 0.5, transB = 1> (f, g, h)",
    "GlobalAveragePool": "y = GlobalAveragePool (x)",
    "GlobalMaxPool": "y = GlobalMaxPool (x)",
    "HardSigmoid": "y = HardSigmoid (x)",
    "LayerNormalization": "y = LayerNormalization (x, n, n)",
    "LeakyRelu": "y = LeakyRelu <alpha = 0.2> (x)",
    "LogSoftmax": "y = LogSoftmax <axis = 1> (x)",
    "MaxPool": "y = MaxPool <kernel_shape = [2, 2], strides = [2, 1], pads = [0, 0, 1, 1]> (x)",
    "PRelu": "y = PRelu (x, c)",
    "Pad": "y = Pad (x, pads)",
    "Pad edge": 'y = Pad <mode = "edge"> (x, pads)',
    "Pad mirror": 'y = Pad <mode = "reflect"> (x, pads)',
    "Pad wrap": 'y = Pad <mode = "wrap"> (x, pads)',
    "ReduceMax": "y = ReduceMax <axes = [2]> (x)",
    "ReduceMean": "y = ReduceMean <axes = [-1, 1], keepdims = 0> (x)",
    "ReduceMin": "y = ReduceMin <axes = [2]> (x)",
    "ReduceSum": "y = ReduceSum (x, axis)",
    "ReduceSum all": "y = ReduceSum (x)",
    "Reshape": "y = Reshape (x, flat)",
    "Shape": "k = Shape (x) y = Reshape (x, k)",
    "Slice": "y = Slice (x, from, to, along, by)",
    "Softmax": "y = Softmax <axis = 1> (x)",
    "Split": "y, rest = Split <axis = 3> (x, parts)",
    "Squeeze": "u = Unsqueeze (x, axis) y = Squeeze (u, axis)",
    "Transpose": "y = Transpose <perm = [0, 2, 3, 1]> (x)",
    "Unsqueeze": "y = Unsqueeze (x, axis)",
    "Constant integers": "k = Constant <value_ints = [0, -1]> () y = Reshape (x, k)",
    "Constant number": "k = Constant <value_float = 3.0> () y = Add (x, k)",
    "Shape part": "k = Shape <start = 1, end = -1> (x) a = Cast <to = 1> (k) "
    "b = ReduceSum (a) y = Add (x, b)",
    "Div whole": "k = Shape (x) a = Div (k, axis2) b = Cast <to = 1> (a) c2 = ReduceSum (b) "
    "y = Add (x, c2)",
    "Pad some axes": "y = Pad (x, pads2, , axis)",
    "Split even": "y, rest, end = Split <axis = 1> (x)",
    **{
        f"{name} ceil": f"y = {name} <kernel_shape = [2, 2], strides = [1, 5], "
        "pads = [0, 0, 0, 1], ceil_mode = 1> (x)"
        for name in ("MaxPool", "AveragePool")
    },
    "Softmax old": "y = Softmax <axis = 2> (x)",
    "Gelu": 'y = Gelu <approximate = "tanh"> (x)',
}


def _constants() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    numbers = {"c": (3, 1, 5), "m": (5, 2), "w": (2, 3, 2, 2), "g": (4, 5), "h": (4,), "n": (5,)}
    arrays: dict[str, Any] = {
        name: (rng.random(shape) + 0.5).astype(np.float32) for name, shape in numbers.items()
    }
    integers: dict[str, Any] = {
        "axis": [1],
        "flat": [0, -1],
        "pads": [0, 0, 1, 0, 0, 0, 0, 2],
        "parts": [2, 3],
    }
    integers |= {"from": [3, -1], "to": [0, 99], "along": [2, 3], "by": [-2, 1]}
    integers |= {
        "axis2": [2],
        "pads2": [1, 2],
        "deep": [1, 12, 2, 5],
        "even": [1, 3, 4, 10],
        "repeats": [1, 2, 1, 3],
    }
    integers |= {"wide": [2, 3, 4, 5], "places": [[0, -1], [2, 2]]}
    arrays |= {name: np.array(value, np.int64) for name, value in integers.items()}
    arrays["o"] = np.zeros(1, np.float32)
    arrays |= {"low": np.float32(-0.5), "high": np.float32(0.75)}
    arrays |= {"s": np.float32(0.02), "z": np.uint8(99), "zv": np.array([3, 90, 200], np.uint8)}
    return arrays


def _fragment(body: str) -> DigitalFragment:
    channels = {"v": 2 if "Conv" in body else 3}
    arrays = _constants()
    arrays["v"] = np.linspace(0.5, 1.5, channels["v"]).astype(np.float32)
    used = {name: array for name, array in arrays.items() if _stands_in(name, body)}
    opset = 20 if "Gelu" in body or "wrap" in body or "pads2" in body else 17
    opset = 18 if "Mish" in body or "GroupNorm" in body else opset
    opset = 21 if "GroupNormalization <num_groups = 3>" in body else opset
    opset = 11 if "Softmax <axis = 2>" in body else opset
    header = f'<ir_version: 9, opset_import: ["": {opset}]>'
    model = parse(f"g (float[2, 3, 4, 5] x) => (float[] y) {{ {body} }}", header, **used)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    return DigitalFragment("fragment", model.SerializeToString(), ("x",), ("y",), (), None, ())


def _stands_in(name: str, body: str) -> bool:
    names = {
        item.strip(" ()") for part in body.split("(")[1:] for item in part.split(")")[0].split(",")
    }
    return name in names


@pytest.mark.parametrize("name", CASES)
def test_an_operator_is_what_onnx_runtime_computes(name: str) -> None:
    module = TrainedFragment(_fragment(CASES[name]))
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(2, 3, 4, 5)).astype(np.float32))
    wanted = module.eval()({"x": x})["y"]
    found = module.train()({"x": x.requires_grad_()})["y"]
    assert found.shape == wanted.shape
    torch.testing.assert_close(found.detach().to(wanted.dtype), wanted, rtol=2e-5, atol=2e-5)


def test_every_operator_of_the_table_is_tried() -> None:
    tried: set[str] = set()
    for body in CASES.values():
        model = onnx.load_from_string(_fragment(body).model)
        tried |= {node.op_type for node in model.graph.node}
    assert tried == set(OPERATORS)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("y = CumSum (x, axis)", "CumSum"),
        ("k, y = MaxPool <kernel_shape = [2, 2]> (x)", "second output of MaxPool"),
    ],
)
def test_what_has_no_gradient_is_named(body: str, named: str) -> None:
    with pytest.raises(UnsupportedError, match=named):
        TrainedFragment(_fragment(body))


# Integers that torch has no arithmetic for, maxima of nothing, and what is drawn by chance.
_TORCH_LACKS = ("_uint16", "_uint32", "_uint64", "maxpool_2d_uint8", "empty_set", "training_drop")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
def test_the_cases_of_onnx_are_computed_or_refused_by_name() -> None:
    refused, same, wrong = set(), 0, []
    for case in collect_testcases(None):
        if case.model is None or case.data_sets is None:
            continue
        operators = {node.op_type for node in case.model.graph.node}
        if operators - set(OPERATORS) or any(word in case.name for word in _TORCH_LACKS):
            continue
        for given, _ in case.data_sets:
            try:
                wanted, found = _run_both(case.model, given)
            except UnsupportedError:
                refused |= operators
                continue
            except InputError:
                continue  # ONNX Runtime has no kernel for these types
            same += 1
            wrong += [case.name for name in wanted if not _is_close(found[name], wanted[name])]
    assert not wrong
    assert same > 200
    assert refused <= {*_SECOND_OUTPUTS, "DequantizeLinear", "QuantizeLinear"}, refused


_SECOND_OUTPUTS = {"BatchNormalization", "Dropout", "LayerNormalization", "MaxPool"}


def _run_both(
    model: onnx.ModelProto, given: Sequence[Any]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    inputs, outputs = (
        tuple(v.name for v in part) for part in (model.graph.input, model.graph.output)
    )
    arrays = [np.array(array) for array in given]
    values = (*model.graph.input, *model.graph.output)
    tensors = all(value.type.HasField("tensor_type") for value in values)
    if not tensors or any(array.dtype.kind not in "fiub" for array in arrays):
        raise InputError("torch has no such numbers")
    feeds = {name: torch.from_numpy(a) for name, a in zip(inputs, arrays, strict=False)}
    step = DigitalFragment("f", model.SerializeToString(), inputs, outputs, (), None, ())
    try:
        module = TrainedFragment(step)
    except ModelError as error:
        raise InputError("newer than ONNX Runtime") from error
    return module.eval()(feeds), module.train()(feeds)


def _is_close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    return found.shape == wanted.shape and torch.allclose(
        found.double(), wanted.double(), rtol=1e-3, atol=1e-5, equal_nan=True
    )
