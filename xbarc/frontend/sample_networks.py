"""Small networks with random weights, for trying an installation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from xbarc.numerics import Float64Array

_FLOAT = """<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 3, 8, 8] x) => (float[N, 10] y) {
    a1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)
    r1 = Relu (a1)
    a2 = Conv <group = 16, pads = [1, 1, 1, 1]> (r1, w2)
    r2 = Relu (a2)
    a3 = Conv <strides = [2, 2]> (r2, w3)
    r3 = Relu (a3)
    f = Flatten (r3)
    a4 = MatMul (f, w4)
    r4 = Relu (a4)
    y = Gemm (r4, w5, b5)
}"""
# The third layer and the fourth have more rows than an array of 128.
_FLOAT_SHAPES = {
    "w1": (16, 3, 3, 3),
    "b1": (16,),
    "w2": (16, 1, 3, 3),
    "w3": (32, 16, 3, 3),
    "w4": (288, 48),
    "w5": (48, 10),
    "b5": (10,),
}
_BINARY = """<ir_version: 8, opset_import: ["" : 17]>
net (float[N, 64] x) => (float[N, 10] y) {
    s0 = Sign (x)
    a1 = MatMul (s0, w1)
    s1 = Sign (a1)
    a2 = MatMul (s1, w2)
    s2 = Sign (a2)
    y = Gemm (s2, w3, b3)
}"""
_BINARY_SHAPES = {"w1": (64, 160), "w2": (160, 32), "w3": (32, 10), "b3": (10,)}


def write_sample_networks(folder: Path) -> None:
    """Write a network of convolutions and one of signs, and data for both.

    They are plain.onnx with data.npz, which has labels, and binary.onnx with signs.npz.
    """
    rng = np.random.default_rng(0)
    # Sums of about the size of the inputs, so that no activation is zero everywhere.
    plain = {
        name: rng.normal(size=shape) / np.sqrt(np.prod(shape) / shape[0])
        for name, shape in _FLOAT_SHAPES.items()
    }
    signs = {name: rng.choice([-1.0, 1.0], shape) for name, shape in _BINARY_SHAPES.items()}
    _write_network(folder / "plain.onnx", _FLOAT, plain)
    _write_network(folder / "binary.onnx", _BINARY, signs)
    images = rng.random((32, 3, 8, 8), dtype=np.float32)
    np.savez(folder / "data.npz", x=images, labels=rng.integers(0, 10, len(images)))
    np.savez(folder / "signs.npz", x=rng.normal(size=(32, 64)).astype(np.float32))


def _write_network(file: Path, text: str, weights: Mapping[str, Float64Array]) -> None:
    model = parser.parse_model(text)
    model.graph.initializer.extend(
        numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()
    )
    onnx.save(model, file)
