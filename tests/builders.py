"""Small networks and targets for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xbarc.executor.exact import ExactLayer
from xbarc.executor.moments import Feed, second_moments
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window
from xbarc.ir.network import FloatWeight, IntWeight, LazyTensor, MatrixLayer, Source, Value
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantize import (
    FloatInput,
    FloatResult,
    IntegerInput,
    IntegerResult,
    Quantizer,
    Result,
)
from xbarc.ir.statistics import SecondMoments
from xbarc.mapping import ArrayPool, map_layer
from xbarc.numerics import IntFormat
from xbarc.numerics.types import AnyArray
from xbarc.options import MapOptions
from xbarc.target import Target, load_target


def small_target(base: str = "rram128", **overrides: Any) -> Target:
    """A shipped target with `section__field=value` overrides; levels follow the cell's bits."""
    settings = [f"{key.replace('__', '.')}={value}" for key, value in overrides.items()]
    if "cell__bits" in overrides:
        levels = 1 << int(overrides["cell__bits"])
        values = [float(level + 1) for level in range(levels)]
        settings.append(f"cell.conductance={values}")
    if "adc__max_bits" not in overrides:
        settings.append("adc.max_bits=16")
    return load_target(base, settings)


def int_layer(
    weights: AnyArray,
    *,
    geometry: Geometry | None = None,
    weight_bits: int = 8,
    quantizer: Quantizer | None = None,
    result: Result | None = None,
    constant: AnyArray | None = None,
    name: str = "layer",
) -> MatrixLayer:
    """A matrix layer with integer weights of axes group, input, output, reading `x`."""
    values = np.ascontiguousarray(weights)
    channels = values.shape[0] * values.shape[2]
    if isinstance(geometry, Scatter):
        channels //= int(np.prod(geometry.kernel))
    return MatrixLayer(
        name=name,
        operator="MatMulInteger",
        geometry=geometry or Dense(),
        input="x",
        output="y",
        weight=IntWeight(LazyTensor(values.shape, lambda: values), IntFormat(weight_bits, True)),
        quantizer=quantizer or IntegerInput(low=0, bits=8),
        constant=np.zeros(channels, dtype=np.int64) if constant is None else constant,
        result=result or IntegerResult("int64"),
    )


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


def mapped(
    layer: MatrixLayer, target: Target, *, pool: ArrayPool | None = None, **options: Any
) -> CrossbarStep:
    """A layer on crossbars."""
    chosen = MapOptions(**options)
    return map_layer(layer, target, chosen, pool or ArrayPool(target.array, chosen.pack))


def program_of(steps: Sequence[CrossbarStep], target: Target, shape: Sequence[Any]) -> Program:
    """A program of crossbar steps in a row, reading `x`."""
    arrays = max(int(step.tiling.array.max()) for step in steps) + 1
    return Program(
        name="test",
        source=Source("test.onnx", "0" * 64),
        target=target,
        inputs=(Value("x", "uint8", tuple(shape)),),
        outputs=(Value(steps[-1].output, "int64", None),),
        steps=tuple(steps),
        arrays=arrays,
        settings=(),
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
