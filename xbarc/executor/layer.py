"""One matrix layer from tensor to tensor: codes, vectors, an engine's products, values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from xbarc.errors import InputError
from xbarc.executor.codes import Codes, quantize, to_values
from xbarc.executor.vectors import (
    DEFAULT_BUDGET,
    Piece,
    dense_result,
    output_shape,
    pieces,
    sample_axis_first,
    scatter_add,
)
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window
from xbarc.ir.quantize import Quantizer, Result
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import AnyArray, Float64Array, Int64Array, IntArray


class Accumulate(Protocol):
    """What an engine offers for one layer."""

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Codes `[vector, group, input]` to accumulators `[vector, group, output]`, without `a`."""


@dataclass(frozen=True, eq=False)
class LayerFrame:
    """What every engine needs to know of a layer beside its cells.

    Attributes:
        constant: `a` without the zero point's share; axis: output of all groups.
        weight_sums: sum of the weights of each output, which the zero point multiplies; axes:
            group, output.
    """

    name: str
    geometry: Geometry
    quantizer: Quantizer
    result: Result
    constant: Int64Array
    weight_sums: Int64Array
    inputs: int

    @property
    def groups(self) -> int:
        """Matrices of the layer."""
        return len(self.weight_sums)

    @property
    def outputs(self) -> int:
        """Outputs of one group's matrix."""
        return int(self.weight_sums.shape[1])


def run_layer(
    frame: LayerFrame,
    engine: Accumulate,
    tensor: AnyArray,
    values: Mapping[str, Any],
    trace: LayerTrace | None = None,
    budget: int = DEFAULT_BUDGET,
) -> AnyArray:
    """Execute one matrix layer on a tensor.

    Args:
        frame: the layer.
        engine: gives the products.
        tensor: the layer's input.
        values: other values of the network by name, for zero points of run time.
        trace: observer.
        budget: largest count of codes gathered at a time.

    Raises:
        InputError: the tensor has the wrong shape, or values that no DAC can feed.
    """
    check_shape(frame, tensor.shape)
    samples = sample_axis_first(tensor, frame.geometry)
    codes = quantize(samples, frame.quantizer, values, frame.name)
    if isinstance(frame.geometry, Scatter):
        return _scatter(frame, engine, codes, tensor.shape, trace, budget)
    rows = [
        _values(frame, engine, codes, piece, trace)
        for piece in pieces(codes, frame.geometry, frame.groups, tensor.shape, budget)
    ]
    flat = np.concatenate(rows) if rows else _empty(frame)
    if isinstance(frame.geometry, Dense):
        return dense_result(flat, frame.geometry, frame.outputs, tensor.shape)
    shape = output_shape(frame.geometry, frame.groups, frame.outputs, tensor.shape)
    batch, channels, *space = shape
    return np.ascontiguousarray(np.moveaxis(flat.reshape(batch, *space, channels), -1, 1))


def check_shape(frame: LayerFrame, shape: tuple[int, ...]) -> None:
    """Refuse a tensor that does not fit the layer.

    Raises:
        InputError: says what was found and what is expected.
    """
    geometry = frame.geometry
    if isinstance(geometry, Dense):
        axis = -1 if len(shape) == 1 else geometry.contract_axis
        found = shape[axis] if shape else 0
        wanted = f"{frame.inputs} along axis {axis}"
        good = found == frame.inputs
    else:
        channels = frame.groups * frame.inputs
        if isinstance(geometry, Window):
            channels //= int(np.prod(geometry.kernel))
        wanted = f"{channels} channels and {len(geometry.kernel)} spatial axes"
        good = len(shape) == len(geometry.kernel) + 2 and shape[1] == channels
    if not good:
        raise InputError(f"input of shape {shape}, expected {wanted}", where=frame.name)


def _accumulators(
    frame: LayerFrame, engine: Accumulate, codes: Codes, piece: Piece, trace: LayerTrace | None
) -> Int64Array:
    """Products less what the zero point adds; axes: vector, group, output."""
    acc = engine.accumulate(piece.vectors, trace)
    zero = codes.zero if codes.zero.size == 1 else codes.zero[piece.sample]
    if not zero.any():
        return acc
    if zero.ndim == 1:
        zero = zero[:, None]
    return acc - zero[:, :, None] * frame.weight_sums


def _scale(codes: Codes, piece: Piece) -> Float64Array:
    return codes.scale if codes.scale.size == 1 else codes.scale[piece.sample]


def _values(
    frame: LayerFrame, engine: Accumulate, codes: Codes, piece: Piece, trace: LayerTrace | None
) -> AnyArray:
    acc = _accumulators(frame, engine, codes, piece, trace).reshape(piece.vectors.shape[0], -1)
    scale = _scale(codes, piece)
    if scale.ndim == 2:  # a stack of matrices: each group reads a vector of its own
        scale = np.repeat(scale, frame.outputs, axis=1)
    return to_values(acc + frame.constant, frame.result, scale)


def _empty(frame: LayerFrame) -> AnyArray:
    nothing = np.zeros((0, frame.groups * frame.outputs), dtype=np.int64)
    return to_values(nothing, frame.result, np.ones(1))


def _scatter(
    frame: LayerFrame,
    engine: Accumulate,
    codes: Codes,
    shape: tuple[int, ...],
    trace: LayerTrace | None,
    budget: int,
) -> AnyArray:
    geometry = frame.geometry
    if not isinstance(geometry, Scatter):
        raise TypeError("only transposed convolutions scatter")
    parts = [
        _accumulators(frame, engine, codes, piece, trace)
        for piece in pieces(codes, geometry, frame.groups, shape, budget)
    ]
    nothing = np.zeros((0, frame.groups, frame.outputs), dtype=np.int64)
    total = scatter_add(np.concatenate([nothing, *parts]), geometry, frame.groups, shape)
    batch, channels, *space = total.shape
    flat = np.moveaxis(total, 1, -1).reshape(-1, channels)
    scale = np.repeat(codes.scale, flat.shape[0] // max(1, codes.scale.size))
    result = to_values(flat, frame.result, scale if codes.scale.size > 1 else codes.scale)
    return np.ascontiguousarray(np.moveaxis(result.reshape(batch, *space, channels), -1, 1))
