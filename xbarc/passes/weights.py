"""Float weights to integers: symmetric, a scale an output, rounded half to even."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from xbarc.errors import ModelError
from xbarc.ir import FloatResult, FloatWeight, IntWeight, LazyTensor, MatrixLayer, Scatter
from xbarc.numerics import AnyArray, Float32Array, IntFormat


def quantize_weights(layer: MatrixLayer, bits: int) -> MatrixLayer:
    """Give a float layer integer weights in `[-(2**(bits-1) - 1), 2**(bits-1) - 1]`.

    A layer that arrives with integer weights keeps them: they are loaded, nothing else.

    Raises:
        ModelError: a weight is NaN or infinite, or too small or large for float32 scales.
    """
    if isinstance(layer.weight, IntWeight):
        return _with_values(layer, layer.weight.tensor.load(), layer.weight.format)
    if not isinstance(layer.result, FloatResult):
        raise ModelError("float weights with an integer result", where=layer.name)
    weights = _finite(layer, layer.weight)
    channels = _channels(layer)
    scale = weight_scales(weights, channels, bits)
    top = (1 << (bits - 1)) - 1
    steps = np.rint(weights / scale[channels].reshape(weights.shape[0], 1, -1))
    values = np.clip(steps, -top, top).astype(np.int8 if bits <= 8 else np.int16)
    result = replace(layer.result, scale=layer.result.scale * scale)
    return replace(_with_values(layer, values, IntFormat(bits, signed=True)), result=result)


def weight_scales(weights: AnyArray, channels: AnyArray, bits: int) -> Float32Array:
    """Real value of one step for each output channel; 1 for a channel of zeros.

    Args:
        weights: axes: group, input, output.
        channels: output channel of each (group, output), flat.
        bits: width of a weight.
    """
    top = np.float32((1 << (bits - 1)) - 1)
    largest = np.abs(weights).max(axis=1, initial=0).reshape(-1)
    by_channel = np.zeros(int(channels.max(initial=-1)) + 1, dtype=np.float32)
    np.maximum.at(by_channel, channels, largest.astype(np.float32))
    scale = (by_channel / top).astype(np.float32)
    return np.where(scale > 0, scale, np.float32(1)).astype(np.float32)


def _channels(layer: MatrixLayer) -> AnyArray:
    """Output channel of each output: kernel positions of one channel share a scale."""
    outputs = np.arange(layer.groups * layer.outputs)
    if not isinstance(layer.geometry, Scatter):
        return outputs
    return outputs // prod(layer.geometry.kernel)


def _finite(layer: MatrixLayer, weight: FloatWeight) -> AnyArray:
    weights = weight.tensor.load()
    if weights.dtype != np.float32:
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float32)
    if not np.isfinite(weights).all():
        count = int(weights.size - np.isfinite(weights).sum())
        raise ModelError(
            f"{count} of {weights.size} weights are NaN or infinite in float32",
            where=layer.name,
            hint="a crossbar cannot hold them; export the model again",
        )
    return weights


def _with_values(layer: MatrixLayer, values: AnyArray, fmt: IntFormat) -> MatrixLayer:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return replace(layer, weight=IntWeight(LazyTensor(values.shape, lambda: values), fmt))
