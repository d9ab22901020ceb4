"""Small models from ONNX text, and how far from the exact result quantisation may take them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper, parser

from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import Executor
from xbarc.ir.program import Program
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle

HEADER = '<ir_version: 8, opset_import: ["": 17]>'
PRECISE = CompileOptions(weight_bits=16, activation_bits=16)


def write(folder: Path, text: str, **constants: Any) -> Path:
    """Write a model given as ONNX text, with these initialisers."""
    model = parser.parse_model(f"{HEADER} g {text}")
    for name, array in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(_stored(array), name))
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def _stored(array: Any) -> AnyArray:
    """Contiguous, and without an axis where it is a scalar."""
    plain = np.asarray(array)
    return np.ascontiguousarray(plain).reshape(plain.shape)


def normal(*shape: int, seed: int = 0) -> AnyArray:
    """Seeded float32 numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def integers(low: int, high: int, *shape: int, seed: int = 0) -> AnyArray:
    """Seeded whole numbers from low to high, both ends among them."""
    values = np.random.default_rng(seed).integers(low, high + 1, shape)
    values.reshape(-1)[:2] = [low, high][: values.size]
    return values


def precise(path: Path) -> Program:
    """The program with 16 bits of weights and activations."""
    return compile_model(path, options=PRECISE)


def both(path: Path, program: Program, feeds: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every output of the program beside that of ONNX Runtime."""
    wanted = Oracle(path).run(feeds)
    names = [value.name for value in program.outputs]
    return [
        (found, wanted[name])
        for name, found in zip(names, Executor(program).run(feeds), strict=True)
    ]


def tolerance(matrix: AnyArray, vectors: AnyArray, bits: int) -> float:
    """Largest error of a product with a matrix `[input, output]` at `bits` of both sides.

    Half an activation step times sum |w|, half a weight step times sum (|x| + half a step), and
    float32 rounding of ONNX Runtime's own sums of that many products.
    """
    if not matrix.size or not vectors.size:
        return 0.0
    size = float(np.abs(vectors).max())
    step = (max(float(vectors.max()), 0.0) - min(float(vectors.min()), 0.0)) / (2**bits - 1)
    largest = np.abs(matrix).max(axis=0).astype(np.float64)
    weight_step = largest / (2 ** (bits - 1) - 1)
    sums = np.abs(matrix).sum(axis=0, dtype=np.float64)
    error = sums * step / 2 + len(matrix) * (size + step / 2) * weight_step / 2
    return float((error + sums * size * 2.0**-20).max())


def assert_within(found: AnyArray, wanted: AnyArray, error: float) -> None:
    """Same type, same shape, and nowhere farther than `error`."""
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    if found.size:
        worst = np.abs(found.astype(np.float64) - wanted).max()
        assert worst <= error, f"{worst} > {error}"
