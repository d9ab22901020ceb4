"""Digital fragments: every operator in torch is what ONNX Runtime computes, up to rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch

from tests.frontend.onnx_models import parse
from xbarc.errors import UnsupportedError
from xbarc.ir import DigitalFragment
from xbarc.train.digital import OPERATORS, TrainedFragment

_PLAIN: tuple[str, ...] = (
    "Abs",
    "Erf",
    "Exp",
    "Floor",
    "HardSwish",
    "Identity",
    "Neg",
    "Reciprocal",
    "Relu",
)
_PLAIN += ("Sigmoid", "Sign", "Softplus", "Tanh", "Dropout")

# What reads x of 2 x 3 x 4 x 5, and gives y; further inputs are constants of the graph.
CASES: dict[str, str] = {
    **{name: f"y = {name} (x)" for name in _PLAIN},
    **{name: f"y = {name} (x, c)" for name in ("Add", "Div", "Mul", "Sub", "Max", "Min", "Sum")},
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
    integers |= {"wide": [2, 3, 4, 5], "places": [[0, -1], [2, 2]]}
    arrays |= {name: np.array(value, np.int64) for name, value in integers.items()}
    arrays |= {"low": np.float32(-0.5), "high": np.float32(0.75)}
    arrays |= {"s": np.float32(0.02), "z": np.uint8(99), "zv": np.array([3, 90, 200], np.uint8)}
    return arrays


def _fragment(body: str) -> DigitalFragment:
    channels = {"v": 2 if "Conv" in body else 3}
    arrays = _constants()
    arrays["v"] = np.linspace(0.5, 1.5, channels["v"]).astype(np.float32)
    used = {name: array for name, array in arrays.items() if _stands_in(name, body)}
    opset = 20 if "Gelu" in body or "wrap" in body else 17
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


def test_an_operator_without_a_gradient_is_named() -> None:
    step = _fragment("y = CumSum (x, axis)")
    with pytest.raises(UnsupportedError, match="CumSum"):
        TrainedFragment(step)
