"""Steps and offsets of a fit into scales, biases and integer constants of the layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import FloatResult, IntegerInput, MatrixLayer, RequantizedResult, Result, Scatter
from xbarc.mapping.fitting.search import Found, output_channels
from xbarc.numerics import Float32Array, Float64Array, Int64Array


def rescale_result(layer: MatrixLayer, found: Found) -> tuple[Result, Int64Array]:
    """The layer's result and integer constant for fitted weights.

    Raises:
        MappingError: the result is an integer that must stay exact.
    """
    steps, offset = found.steps.reshape(-1), found.offset.reshape(-1)
    match layer.result:
        case FloatResult() as result:
            return _real(layer, result, steps, offset), np.zeros_like(layer.constant)
        case RequantizedResult() as result:
            return _requantize(layer, result, steps, offset)
        case _:
            if (steps == 1).all() and not offset.any():
                return layer.result, layer.constant
            raise MappingError(
                f"{layer.operator} gives integers, which no other scale can take",
                where=layer.name,
                hint="leave --weight-slices out, so that the integers stay exact",
            )


def _real(
    layer: MatrixLayer, result: FloatResult, steps: Float64Array, offset: Float64Array
) -> FloatResult:
    """Offsets are in the units of input times exact weight, which `scale` brings to values.

    An integer constant was in steps of the exact weights: it joins the bias.
    """
    if isinstance(layer.geometry, Scatter):
        channel = output_channels(layer)
        by_channel = np.zeros(len(result.scale))
        by_channel[channel] = steps
        return replace(result, scale=_single(result.scale * by_channel))
    return replace(
        result,
        scale=_single(result.scale.astype(np.float64) * steps),
        bias=_single(
            result.bias + result.scale.astype(np.float64) * (offset + _unit(layer) * layer.constant)
        ),
    )


def _requantize(
    layer: MatrixLayer, result: RequantizedResult, steps: Float64Array, offset: Float64Array
) -> tuple[Result, Int64Array]:
    """The integer constant in the new, coarser steps of the accumulator."""
    constant = np.rint((layer.constant + offset / _unit(layer)) / steps).astype(np.int64)
    return replace(result, multiplier=_single(result.multiplier * steps)), constant


def _unit(layer: MatrixLayer) -> float:
    """Real value of one step of the input, where the model gives integers."""
    return layer.quantizer.scale if isinstance(layer.quantizer, IntegerInput) else 1.0


def _single(values: Float64Array) -> Float32Array:
    return values.astype(np.float32)
