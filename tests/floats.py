"""A small float network, its data, and what the compiler needs of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xbarc.numerics.types import AnyArray

INPUTS, HIDDEN, CLASSES = 18, 12, 5


def write_floats(path: Path, seed: int = 0) -> Path:
    """Two dense layers with a Relu between them; inputs of either sign."""
    rng = np.random.default_rng(seed)
    arrays = {
        "w1": rng.normal(size=(INPUTS, HIDDEN)),
        "b1": rng.normal(size=HIDDEN) * 0.1,
        "w2": rng.normal(size=(HIDDEN, CLASSES)),
        "b2": rng.normal(size=CLASSES) * 0.1,
    }
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], name="first"),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], name="second"),
    ]
    border = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", INPUTS), ("y", CLASSES))
    ]
    constants = [numpy_helper.from_array(a.astype(np.float32), n) for n, a in arrays.items()]
    graph = helper.make_graph(nodes, "floats", border[:1], border[1:], constants)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def float_data(samples: int, seed: int = 1, *, labels: bool = False) -> dict[str, AnyArray]:
    """Correlated inputs, and labels if asked for."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(6, INPUTS))
    x = rng.normal(size=(samples, 6)) @ mix + 0.3 * rng.normal(size=(samples, INPUTS))
    found: dict[str, AnyArray] = {"x": x.astype(np.float32)}
    if labels:
        found["labels"] = rng.integers(0, CLASSES, samples)
    return found
