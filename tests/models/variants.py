"""Operator cases with constant weights, so that crossbars run, and how far off they may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase

from tests.models.operators import case_data, cases_of, model_of, run_runtime
from xbarc.numerics.types import AnyArray, Float64Array

FLOAT_SIDES = {"Conv": (1,), "ConvTranspose": (1,), "Gemm": (1, 0), "MatMul": (1, 0)}
"""Places of the operands that may be the matrix."""

INTEGER_SIDES = {
    "ConvInteger": (1,),
    "MatMulInteger": (1, 0),
    "QLinearConv": (3,),
    "QLinearMatMul": (3, 0),
}


@dataclass(frozen=True)
class Variant:
    """A case whose only variable input is the vectors.

    Attributes:
        matrix: name of the operand that is the constant matrix.
        vectors: name of the one that stays an input.
        on_right: the matrix is the later operand.
    """

    case: TestCase
    model: onnx.ModelProto
    matrix: str
    vectors: str
    on_right: bool

    @property
    def label(self) -> str:
        """Name of the case and of what is constant."""
        return f"{self.case.name}-{self.matrix}"

    @property
    def operator(self) -> str:
        """The matrix operator."""
        return str(model_of(self.case).graph.node[0].op_type)


def variants(sides: dict[str, tuple[int, ...]]) -> Iterator[Variant]:
    """Every single-node case of these operators, once for each operand that may be the matrix."""
    for case in cases_of(sides):
        nodes = model_of(case).graph.node
        places = sides[nodes[0].op_type]
        first = min(places) if len(places) > 1 else 0
        for place in places:
            other = first if place != first else places[0]
            names = nodes[0].input
            yield Variant(
                case, frozen(case, names[other]), names[place], names[other], place != first
            )


def frozen(case: TestCase, kept: str) -> onnx.ModelProto:
    """The case's model, in which all inputs but one are initialisers."""
    model = onnx.ModelProto()
    model.CopyFrom(model_of(case))
    feeds, _ = case_data(case)
    values = list(model.graph.input)
    del model.graph.input[:]
    for value in values:
        if value.name == kept:
            model.graph.input.append(value)
        else:
            model.graph.initializer.append(numpy_helper.from_array(feeds[value.name], value.name))
    return model


def quantisation_bound(variant: Variant, weight_bits: int, activation_bits: int) -> Float64Array:
    """How far a float case may lie from the exact result, element by element.

    With x' = x + e, |e| <= sx / 2 (dynamic ranges clip nothing) and w' = w + f, |f| <= sw / 2:
    |x' w' - x w| = |e w + x' f| <= sum |w| sx / 2 + sum (|x| + sx / 2) sw / 2.
    Both sums are the operator itself, run on magnitudes; float32 rounding of both sides is a
    2**-20 part of sum |x| |w| + |bias|.
    """
    feeds, _ = case_data(variant.case)
    weights, vectors = feeds[variant.matrix], feeds[variant.vectors]
    half_weight = _weight_step(variant, weights, weight_bits) / 2
    half_input = _input_step(variant, vectors, activation_bits) / 2
    size = np.abs(vectors).astype(np.float64)
    return (
        magnitude(variant, half_input, np.abs(weights))
        + magnitude(variant, size + half_input, half_weight)
        + magnitude(variant, size, np.abs(weights)) * 2.0**-20
        + np.abs(magnitude(variant, 0 * size, 0 * weights, bias=True)) * 2.0**-20
    )


def magnitude(
    variant: Variant, vectors: AnyArray, weights: AnyArray, *, bias: bool = False
) -> Float64Array:
    """The operator on other operands, its addend left out unless `bias`."""
    feeds, _ = case_data(variant.case)
    for name, array in feeds.items():
        if name not in (variant.matrix, variant.vectors) and not bias:
            feeds[name] = np.zeros_like(array)
    feeds[variant.matrix] = weights.astype(feeds[variant.matrix].dtype)
    feeds[variant.vectors] = vectors.astype(feeds[variant.vectors].dtype)
    result: AnyArray = run_runtime(model_of(variant.case), feeds)[0]
    return np.abs(result.astype(np.float64))


def _weight_step(variant: Variant, weights: AnyArray, bits: int) -> Float64Array:
    """A step of each weight: the largest magnitude of its output channel / (2**(bits-1) - 1)."""
    axes = _summed_axes(variant, weights.ndim)
    largest = np.abs(weights).astype(np.float64).max(axis=axes, keepdims=True)
    return np.broadcast_to(largest / (2 ** (bits - 1) - 1), weights.shape)


def _summed_axes(variant: Variant, rank: int) -> tuple[int, ...]:
    """Axes of the weights that are no output channels."""
    if variant.operator == "Conv":
        return tuple(range(1, rank))
    if variant.operator == "ConvTranspose":  # coarser where groups have scales of their own
        return (0, *range(2, rank))
    if rank == 1:
        return (0,)
    return (rank - 2 if variant.on_right != _turned(variant, variant.matrix) else rank - 1,)


def _input_step(variant: Variant, vectors: AnyArray, bits: int) -> Float64Array:
    """A step of each input value: the range of its sample, zero included / (2**bits - 1)."""
    if variant.operator in ("Conv", "ConvTranspose"):
        axes = tuple(range(1, vectors.ndim))
    elif vectors.ndim == 1:
        axes = (0,)
    else:
        last = variant.on_right != _turned(variant, variant.vectors)
        axes = (vectors.ndim - 1 if last else vectors.ndim - 2,)
    real = vectors.astype(np.float64)
    high = np.maximum(real.max(axis=axes, keepdims=True), 0)
    low = np.minimum(real.min(axis=axes, keepdims=True), 0)
    return np.broadcast_to((high - low) / (2**bits - 1), vectors.shape)


def _turned(variant: Variant, name: str) -> bool:
    """Whether Gemm transposes this operand."""
    node = model_of(variant.case).graph.node[0]
    wanted = "transA" if name == node.input[0] else "transB"
    return any(entry.name == wanted and entry.i for entry in node.attribute)


def vector_feed(variant: Variant) -> dict[str, Any]:
    """The one input that is left."""
    return {variant.vectors: case_data(variant.case)[0][variant.vectors]}
