"""Float weights to integers: symmetric, a scale an output, rounded half to even."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from math import prod

import numpy as np

from xbarc.errors import ModelError
from xbarc.ir import FloatResult, FloatWeight, IntWeight, LazyTensor, MatrixLayer, Scatter
from xbarc.numerics import AnyArray, Float32Array, IntFormat

# Inputs and outputs of a tile: 256 KiB of real numbers, which stay in the second-level cache while
# they are divided, rounded and turned. Where the model stores the inputs of an output side by side,
# 2 million weights take 11 ms; 12 with 128, 14 with 512, 23 with 64, 27 with 1024. Where it does
# not, all of these take less than 18.
_SIDE = 256


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
    weights, largest = _finite(layer, layer.weight)
    channels = _channels(layer)
    scale = weight_scales(largest, channels, bits)
    by_output = scale[channels].reshape(weights.shape[0], 1, -1)
    values = _round_weights(weights, by_output, (1 << (bits - 1)) - 1)
    result = replace(layer.result, scale=layer.result.scale * scale)
    return replace(_with_values(layer, values, IntFormat(bits, signed=True)), result=result)


def weight_scales(largest: AnyArray, channels: AnyArray, bits: int) -> Float32Array:
    """Real value of one step for each output channel; 1 for a channel of zeros.

    Args:
        largest: magnitude of the weights of each output; axes: group, output.
        channels: output channel of each (group, output), flat.
        bits: width of a weight.
    """
    top = np.float32((1 << (bits - 1)) - 1)
    by_channel = np.zeros(int(channels.max(initial=-1)) + 1, dtype=np.float32)
    np.maximum.at(by_channel, channels, largest.reshape(-1))
    scale = (by_channel / top).astype(np.float32)
    return np.where(scale > 0, scale, np.float32(1)).astype(np.float32)


def _channels(layer: MatrixLayer) -> AnyArray:
    """Output channel of each output: kernel positions of one channel share a scale."""
    outputs = np.arange(layer.groups * layer.outputs)
    if not isinstance(layer.geometry, Scatter):
        return outputs
    return outputs // prod(layer.geometry.kernel)


def _largest(weights: AnyArray) -> AnyArray:
    """Largest magnitude of each output, NaN where one is; no array of magnitudes is made."""
    high, low = weights.max(axis=1, initial=0), weights.min(axis=1, initial=0)
    largest: AnyArray = np.maximum(high, -low)
    return largest


def _round_weights(weights: AnyArray, scale: Float32Array, top: int) -> AnyArray:
    """Integers for weights, tile by tile; axes: group, input, output.

    Whole layers at once took three arrays of real numbers beside the weights, and five times the
    time where the model stores the inputs of an output side by side.
    """
    values = np.empty(weights.shape, dtype=np.int8 if top < 1 << 7 else np.int16)
    for tile in _tiles(weights.shape):
        steps = weights[tile] / scale[tile[0], :, tile[2]]
        np.rint(steps, out=steps)
        values[tile] = np.clip(steps, -top, top, out=steps)
    return values


def _tiles(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice, slice]]:
    """Parts of a layer of at most `_SIDE` inputs and outputs, many small groups in one."""
    inner = [min(max(size, 1), _SIDE) for size in shape[1:]]
    steps = (max(1, _SIDE**2 // (inner[0] * inner[1])), *inner)
    starts = (range(0, size, step) for size, step in zip(shape, steps, strict=True))
    for corner in product(*starts):
        group, row, output = (
            slice(first, first + step) for first, step in zip(corner, steps, strict=True)
        )
        yield group, row, output


def _finite(layer: MatrixLayer, weight: FloatWeight) -> tuple[AnyArray, AnyArray]:
    """Weights in float32, and the largest magnitude of each output; axes: group, output."""
    weights = weight.tensor.load()
    if weights.dtype != np.float32:
        with np.errstate(over="ignore"):
            weights = weights.astype(np.float32)
    largest = _largest(weights)
    if not np.isfinite(largest).all():
        count = int(weights.size - np.isfinite(weights).sum())
        raise ModelError(
            f"{count} of {weights.size} weights are NaN or infinite in float32",
            where=layer.name,
            hint="a crossbar cannot hold them; export the model again",
        )
    return weights, largest


def _with_values(layer: MatrixLayer, values: AnyArray, fmt: IntFormat) -> MatrixLayer:
    values = np.ascontiguousarray(values)
    values.flags.writeable = False
    return replace(layer, weight=IntWeight(LazyTensor(values.shape, lambda: values), fmt))
