"""Small networks and targets for tests."""

from __future__ import annotations

import numpy as np

from xbarc.executor.exact import ExactLayer
from xbarc.instruments.moments import Feed, second_moments
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window
from xbarc.ir.network import FloatWeight, LazyTensor, MatrixLayer
from xbarc.ir.quantizers import FloatInput, FloatResult, Quantizer, Result
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import AnyArray
from xbarc.testing.cases import int_layer, mapped, program_of, small_target


def float_layer(
    weights: AnyArray,
    *,
    geometry: Geometry | None = None,
    quantizer: Quantizer | None = None,
    result: Result | None = None,
    name: str = "layer",
) -> MatrixLayer:
    """A layer with float weights of axes group, input, output, its input's range still open."""
    values = np.ascontiguousarray(weights, dtype=np.float32)
    channels = values.shape[0] * values.shape[2]
    if isinstance(geometry, Scatter):
        channels //= int(np.prod(geometry.kernel))
    return MatrixLayer(
        name=name,
        operator="MatMul",
        geometry=geometry or Dense(),
        input="x",
        output="y",
        weight=FloatWeight(LazyTensor(values.shape, lambda: values)),
        quantizer=quantizer or FloatInput(),
        constant=np.zeros(channels, dtype=np.int64),
        result=result or float_result(channels),
    )


def moments_of(
    layer: MatrixLayer,
    exact: AnyArray,
    compiled: AnyArray | None = None,
    *,
    quantizer: Quantizer | None = None,
    batches: int = 1,
) -> tuple[SecondMoments, SecondMoments]:
    """Second moments of a layer over inputs of the exact network and of the compiled one.

    Args:
        layer: with the model's own weights.
        exact: first axis the sample.
        compiled: None takes the exact ones.
        quantizer: of the compiled layer; None takes the layer's own.
        batches: into which the samples are cut.
    """
    own = exact if compiled is None else compiled
    feeds = [
        Feed(a, b, {}, {})
        for a, b in zip(np.array_split(own, batches), np.array_split(exact, batches), strict=True)
    ]
    return second_moments(ExactLayer(layer), quantizer or layer.quantizer, feeds)


def float_result(channels: int, scale: float = 1.0) -> FloatResult:
    """Unit scales and no bias."""
    return FloatResult(
        np.full(channels, scale, dtype=np.float32), np.zeros(channels, dtype=np.float32)
    )


__all__ = [
    "Dense",
    "Scatter",
    "Window",
    "float_layer",
    "float_result",
    "int_layer",
    "mapped",
    "moments_of",
    "program_of",
    "small_target",
]
