"""Cross-layer equalisation: scaling channels so that few bits serve all of them.

Output channel c of a layer is multiplied by s[c] > 0 and every reader of it divides by s[c]. Which
channels may be scaled is a fact of the network (`Network.scales`); this pass applies scales, and
finds them from the weights alone (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019). `one_range.py` finds them from data.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from xbarc.ir import (
    FloatResult,
    FloatWeight,
    FreeScales,
    LazyTensor,
    MatrixLayer,
    Network,
    Scatter,
    Window,
)
from xbarc.numerics import AnyArray, Float64Array

# Chains of 2, 4, 8 and 20 layers of 32 channels with normal weights settle in 2, 24, 90 and some
# 440 rounds. After 200 a range of the deepest still moves by .3 % a round: a bound on time.
_ROUNDS = 200
# A change of 0.01 % of a range is far below one step of 8 bits (0.4 %).
_TOLERANCE = 1e-4


def apply_scales(network: Network, scales: Float64Array) -> Network:
    """The network with its channels multiplied; it computes the same values.

    Args:
        network: with `scales` found by the reader.
        scales: one positive number for each free scale; entry 0 stands for one.
    """
    free = network.scales
    if free is None or not free.count:
        return network
    layers = tuple(
        _scale_layer(
            layer, scales[free.layers[layer.name].inputs], scales[free.layers[layer.name].outputs]
        )
        if isinstance(layer, MatrixLayer) and layer.name in free.layers
        else layer
        for layer in network.layers
    )
    return replace(network, layers=layers)


def _scale_layer(layer: MatrixLayer, inputs: Float64Array, outputs: Float64Array) -> MatrixLayer:
    if not isinstance(layer.result, FloatResult):
        return layer
    rows, columns = by_weight(layer, inputs, outputs * layer.result.scale)
    tensor = layer.weight.tensor

    def load() -> AnyArray:
        weights = tensor.load()
        out = (weights * (columns / rows)).astype(np.float32)
        out.flags.writeable = False
        return out

    bias = (layer.result.bias * outputs).astype(np.float32)
    bias.flags.writeable = False
    scale = np.ones_like(layer.result.scale)
    scale.flags.writeable = False
    multiplied = outputs.astype(np.float32)
    multiplied.flags.writeable = False
    return replace(
        layer,
        weight=FloatWeight(LazyTensor(tensor.shape, load), getattr(layer.weight, "lost", "")),
        result=replace(layer.result, scale=scale, bias=bias),
        equalised=multiplied,
    )


def by_weight(layer: MatrixLayer, inputs: AnyArray, outputs: AnyArray) -> tuple[AnyArray, AnyArray]:
    """Spread one entry a channel over the weights; axes: group, input or 1, output or 1."""
    kernel = prod(layer.geometry.kernel) if isinstance(layer.geometry, Window | Scatter) else 1
    if isinstance(layer.geometry, Window):
        inputs = np.repeat(inputs, kernel)
    if isinstance(layer.geometry, Scatter):
        outputs = np.repeat(outputs, kernel)
    return inputs.reshape(layer.groups, -1, 1), outputs.reshape(layer.groups, 1, -1)


def balance_weights(network: Network) -> Float64Array:
    """Scales that make the largest weights equal that write a channel and that read it.

    Repeats s *= sqrt(r_in / r_out) over the ranges of the scaled weights, until nothing moves.
    """
    free = network.scales or FreeScales()
    scales = np.ones(free.count + 1)
    tables = [_largest(layer) for layer in network.matrix_layers if layer.name in free.layers]
    links = [
        free.layers[layer.name] for layer in network.matrix_layers if layer.name in free.layers
    ]
    for _ in range(_ROUNDS):
        written, read = np.zeros(free.count + 1), np.zeros(free.count + 1)
        for (groups, table), link in zip(tables, links, strict=True):
            ins = scales[link.inputs].reshape(groups, -1, 1)
            outs = scales[link.outputs].reshape(groups, 1, -1)
            now = table * outs / ins
            np.maximum.at(read, link.inputs, now.max(axis=2).reshape(-1))
            np.maximum.at(written, link.outputs, now.max(axis=1).reshape(-1))
        moves = (written > 0) & (read > 0)
        moves[0] = False
        factor = np.sqrt(np.divide(read, written, out=np.ones_like(read), where=moves))
        scales *= factor
        if np.abs(np.log(factor)).max() < _TOLERANCE:
            break
    return scales


def _largest(layer: MatrixLayer) -> tuple[int, Float64Array]:
    """Largest |w| between two channels, over kernel positions; axes: group, input, output."""
    return layer.groups, channel_table(layer, np.abs(layer.weight.tensor.load()), "max")


def channel_table(layer: MatrixLayer, values: AnyArray, how: str) -> Float64Array:
    """Largest value or sum over kernel positions; axes: group, input channel, output channel."""
    groups, rows, outputs = values.shape
    kernel = prod(layer.geometry.kernel) if isinstance(layer.geometry, Window | Scatter) else 1
    if isinstance(layer.geometry, Scatter):
        split = values.reshape(groups, rows, outputs // kernel, kernel)
        return np.asarray(getattr(split, how)(axis=3), dtype=np.float64)
    split = (
        values.reshape(groups, rows // kernel, kernel, outputs)
        if kernel > 1
        else values[:, :, None]
    )
    return np.asarray(getattr(split, how)(axis=2), dtype=np.float64)
