"""What each channel of the float network carries on data, for equalisation and shared ranges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.executor import Values
from xbarc.frontend import runnable_model
from xbarc.instruments.samples import draw_vectors
from xbarc.ir import ChannelStatistics, Dense, FloatResult, MatrixLayer, Network
from xbarc.numerics import AnyArray
from xbarc.oracle import Oracle

# Vectors of a batch that are kept for quantiles. A whole map of 112 by 112 positions would say the
# same of its channels 24 times over.
_POSITIONS = 512
# Numbers that a channel is described by: all that `passes.one_range` holds of it, 1 KiB.
_QUANTILES = 128


@dataclass(frozen=True, eq=False)
class FloatModel:
    """An ONNX file, and constants that stand for some of its inputs."""

    path: Path
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def oracle(self, expose: Iterable[str]) -> Oracle:
        """The float model in ONNX Runtime, with values inside the graph as outputs too."""
        return Oracle(runnable_model(self.path, self.fixed), tuple(expose))


def channel_statistics(
    network: Network, model: FloatModel, batches: Sequence[Values]
) -> dict[str, ChannelStatistics]:
    """Statistics of each layer that takes part in scaling, from the float network on data.

    Args:
        network: with `scales`.
        model: its ONNX file.
        batches: inputs of the network.
    """
    free = network.scales.layers if network.scales is not None else {}
    layers = [layer for layer in network.matrix_layers if layer.name in free]
    names = dict.fromkeys(name for layer in layers for name in (layer.input, layer.output))
    oracle = model.oracle(names)
    tallies = {layer.name: ChannelSums() for layer in layers}
    for feeds in batches:
        values = {**feeds, **oracle.run(feeds)}
        for layer in layers:
            tallies[layer.name].add(layer, values[layer.input], values[layer.output])
    return {layer.name: tallies[layer.name].result(layer) for layer in layers}


class ChannelSums:
    """Sums over batches of one layer."""

    def __init__(self) -> None:
        self.count = self.outputs = 0
        self.power: Any = 0.0
        self.first: Any = 0.0
        self.second: Any = 0.0
        self.samples: list[AnyArray] = []

    def add(self, layer: MatrixLayer, source: AnyArray, result: AnyArray) -> None:
        """Add one batch."""
        vectors = by_channel(layer, source, result=False)
        self.power = self.power + (vectors.astype(np.float64) ** 2).sum(axis=0)
        self.count += len(vectors)
        self.samples.append(draw_vectors(vectors, _POSITIONS))
        found = by_channel(layer, result, result=True).astype(np.float64)
        self.first = self.first + found.sum(axis=0)
        self.second = self.second + (found**2).sum(axis=0)
        self.outputs += len(found)

    def result(self, layer: MatrixLayer) -> ChannelStatistics:
        """The statistics so far."""
        mean = self.first / max(1, self.outputs)
        square = self.second / max(1, self.outputs)
        bias = (
            layer.result.bias.astype(np.float64) if isinstance(layer.result, FloatResult) else 0.0
        )
        # Each stands for an equal share of the values; the extremes stand for none.
        places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        samples = np.quantile(np.concatenate(self.samples).astype(np.float64), places, axis=0).T
        return ChannelStatistics(
            self.power / max(1, self.count),
            samples,
            # A difference of two sums may round to just below zero.
            np.maximum(square - mean**2, 0.0),
            np.maximum(square - 2 * bias * mean + bias**2, 0.0),
        )


def by_channel(layer: MatrixLayer, tensor: AnyArray, *, result: bool) -> AnyArray:
    """Values of a layer's input or output; axes: position, channel."""
    axis = 1
    if isinstance(layer.geometry, Dense):
        axis = layer.geometry.output_axis if result else layer.geometry.contract_axis
        axis = -1 if tensor.ndim == 1 else axis
    return np.moveaxis(tensor, axis, -1).reshape(-1, tensor.shape[axis])
