"""The plain definition of a layer: one integer matrix product, no tile anywhere.

Slow and simple on purpose. Tests hold the tile executors to it, bit for bit.
"""

from __future__ import annotations

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor.layer import LayerFrame
from xbarc.ir.geometry import Scatter, Window
from xbarc.ir.network import IntWeight, MatrixLayer
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import Int64Array, IntArray


class PlainLayer:
    """Products with the integer weights of a layer as the network states them."""

    def __init__(self, layer: MatrixLayer) -> None:
        if not isinstance(layer.weight, IntWeight):
            raise MappingError("weights are not integers yet", where=layer.name)
        self.weights: Int64Array = layer.weight.tensor.load().astype(np.int64)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output."""
        if trace is not None:
            trace.vectors += vectors.shape[0]
        sums: Int64Array = np.einsum("vgi,gio->vgo", vectors.astype(np.int64), self.weights)
        return sums

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """No shorter way: windows are gathered."""
        del padded, geometry, trace
        return None


def plain_frame(layer: MatrixLayer, engine: PlainLayer) -> LayerFrame:
    """The frame of a layer that was never mapped."""
    groups, _, outputs = engine.weights.shape
    scatter = isinstance(layer.geometry, Scatter)
    constant = np.zeros(groups * outputs, dtype=np.int64) if scatter else layer.constant
    return LayerFrame(
        name=layer.name,
        geometry=layer.geometry,
        quantizer=layer.quantizer,
        result=layer.result,
        constant=constant,
        weight_sums=engine.weights.sum(axis=1),
        inputs=engine.weights.shape[1],
    )
