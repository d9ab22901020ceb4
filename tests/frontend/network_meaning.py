"""A plain float64 meaning of `Network`, to hold against ONNX Runtime on the whole model."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from xbarc.ir.geometry import Dense, Scatter, Window, scatter_extent, window_output, window_pads
from xbarc.ir.network import DigitalFragment, FloatWeight, MatrixLayer, Network
from xbarc.ir.quantizers import (
    FloatResult,
    IntegerInput,
    IntegerResult,
    RequantizedResult,
    SignResult,
)
from xbarc.numerics.types import AnyArray
from xbarc.runtime import OnnxSession


def evaluate(network: Network, feeds: dict[str, Any]) -> dict[str, Any]:
    """Every value at a border, by name."""
    values = dict(feeds)
    for layer in network.layers:
        if isinstance(layer, DigitalFragment):
            session = OnnxSession(layer.model, where=layer.name, threads=1)
            results = session.run({name: values[name] for name in layer.inputs})
            values.update(zip(layer.outputs, results, strict=True))
        else:
            values[layer.output] = evaluate_layer(layer, values)
    return values


def evaluate_layer(layer: MatrixLayer, values: dict[str, Any]) -> AnyArray:
    source = values[layer.input].astype(np.float64)
    scale = 1.0
    if isinstance(layer.quantizer, IntegerInput):
        zero = layer.quantizer.zero_point
        low, bits = layer.quantizer.low, layer.quantizer.bits
        assert source.size == 0 or (low <= source.min() and source.max() < low + 2**bits)
        assert np.array_equal(source, np.rint(source))
        source = source - float(np.asarray(values[zero] if isinstance(zero, str) else zero).item())
        scale = layer.quantizer.scale
    weights = layer.weight.tensor.load()
    assert weights.shape == layer.weight.tensor.shape
    assert not weights.flags.writeable
    if isinstance(layer.weight, FloatWeight):
        assert weights.dtype == np.float32
    else:
        assert layer.weight.format.contains(weights)
    return _finish(layer, source, weights.astype(np.float64), scale)


def _finish(layer: MatrixLayer, source: AnyArray, weights: AnyArray, scale: float) -> AnyArray:
    result, geometry = layer.result, layer.geometry
    sums = _product(geometry, source, weights)
    spread = _spread(layer, sums.ndim)
    sums = sums + spread(layer.constant.astype(np.float64))
    if isinstance(result, FloatResult):
        real = sums * (scale * spread(result.scale.astype(np.float64))) + spread(result.bias)
        return np.asarray(real.astype(result.dtype))
    if isinstance(result, IntegerResult):
        return np.asarray(sums.astype(result.dtype))
    if isinstance(result, SignResult):
        fires = (sums >= spread(result.threshold)) != spread(result.flip).astype(bool)
        return np.where(fires, result.high, result.low).astype(result.dtype)
    return _requantize(sums, spread(result.multiplier), result)


def _requantize(sums: AnyArray, multiplier: AnyArray, result: RequantizedResult) -> AnyArray:
    info = np.iinfo(result.dtype)
    codes: AnyArray = np.rint(sums.astype(np.float32) * multiplier) + np.float32(result.zero_point)
    return np.clip(codes, info.min, info.max).astype(result.dtype)


def _spread(layer: MatrixLayer, rank: int) -> Any:
    geometry = layer.geometry
    if not isinstance(geometry, Dense):
        return lambda array: array.reshape(1, -1, *(1,) * (rank - 2))
    if geometry.squeeze:
        return lambda array: array.reshape(geometry.batch + (() if geometry.batch else (1,))[:rank])
    shape = (-1, 1) if geometry.output_axis == -2 and rank > 1 else (-1,)
    if not geometry.batch:
        return lambda array: array.reshape(shape)
    tail = (1, layer.outputs) if geometry.output_axis == -1 else (layer.outputs, 1)
    return lambda array: _squeezed(array.reshape(*geometry.batch, *tail), rank, geometry)


def _squeezed(array: AnyArray, rank: int, geometry: Dense) -> AnyArray:
    return array.squeeze(-2 if geometry.output_axis == -1 else -1) if array.ndim > rank else array


def _product(geometry: Dense | Window | Scatter, source: AnyArray, weights: AnyArray) -> AnyArray:
    if isinstance(geometry, Dense):
        return _dense(geometry, source, weights)
    if isinstance(geometry, Window):
        return _window(geometry, source, weights)
    return _scatter(geometry, source, weights)


def _dense(geometry: Dense, source: AnyArray, weights: AnyArray) -> AnyArray:
    if source.ndim > 1 and (geometry.contract_axis == -2) == (geometry.output_axis == -1):
        source = np.swapaxes(source, -1, -2)
    stack = weights.reshape(*geometry.batch, *weights.shape[1:])
    if geometry.output_axis == -1:
        vectors = source
        out: AnyArray = np.matmul(vectors, stack)
        return np.asarray(out[..., 0] if geometry.squeeze else out)
    out = np.matmul(np.swapaxes(stack, -1, -2), source)
    if geometry.squeeze:
        return out[..., 0, :] if source.ndim > 1 else out[..., 0]
    return out


def _window(geometry: Window, source: AnyArray, weights: AnyArray) -> AnyArray:
    spatial = source.shape[2:]
    pads = window_pads(geometry, spatial)
    extent = window_output(geometry, spatial)
    padded = np.pad(source, ((0, 0), (0, 0), *pads))
    groups, _, outputs = weights.shape
    channels = source.shape[1] // groups
    stack = weights.reshape(groups, channels, *geometry.kernel, outputs)
    total = np.zeros((source.shape[0], groups, outputs, *extent))
    for place in product(*(range(k) for k in geometry.kernel)):
        index = tuple(
            slice(p * d, p * d + s * (n - 1) + 1 if n else 0, s)
            for p, d, s, n in zip(place, geometry.dilations, geometry.strides, extent, strict=True)
        )
        part = padded[(slice(None), slice(None), *index)].reshape(
            source.shape[0], groups, channels, *extent
        )
        total += np.einsum("bgc...,gco->bgo...", part, _at(stack, place))
    return total.reshape(source.shape[0], groups * outputs, *extent)


def _at(stack: AnyArray, place: tuple[int, ...]) -> AnyArray:
    """Weights of one kernel position; axes of the stack: group, channel, kernel, output."""
    moved = np.moveaxis(stack, -1, 2)
    index: Any = (slice(None), slice(None), slice(None), *place)
    return np.asarray(moved[index])


def _scatter(geometry: Scatter, source: AnyArray, weights: AnyArray) -> AnyArray:
    batch, spatial = source.shape[0], source.shape[2:]
    groups, rows, columns = weights.shape
    outputs = columns // int(np.prod(geometry.kernel))
    stack = weights.reshape(groups, rows, outputs, *geometry.kernel)
    extent, crop = scatter_extent(geometry, spatial)
    margin = [
        k * d + s + 8
        for k, d, s in zip(geometry.kernel, geometry.dilations, geometry.strides, strict=True)
    ]
    full = [
        s * n + m + e for s, n, m, e in zip(geometry.strides, spatial, margin, extent, strict=True)
    ]
    total = np.zeros((batch, groups, outputs, *full))
    grouped = source.reshape(batch, groups, rows, *spatial)
    for place in product(*(range(k) for k in geometry.kernel)):
        part = np.einsum("bgc...,gco->bgo...", grouped, stack[(slice(None),) * 3 + place])
        index = tuple(
            slice(p * d, p * d + s * (n - 1) + 1, s)
            for p, d, s, n in zip(place, geometry.dilations, geometry.strides, spatial, strict=True)
        )
        total[(slice(None),) * 3 + index] += part
    index = tuple(slice(c, c + e) for c, e in zip(crop, extent, strict=True))
    return total[(slice(None),) * 3 + index].reshape(batch, groups * outputs, *extent)
