"""Layers on one chip without their converters: one product with what the cells really stand for."""

from __future__ import annotations

from math import ceil, log2

import numpy as np

from xbarc.circuit import real_weights
from xbarc.executor.analog import GRID_BITS
from xbarc.executor.layer import Accumulate
from xbarc.ir import CrossbarStep, LayerTrace
from xbarc.numerics import Float64Array, Int64Array, IntArray

# Numbers of one product at a time, inputs or outputs: 1 MB in float64, which stays near while codes
# become floats and results are rounded. Whole pieces of 2**24 codes took 2.6 times as long.
_BLOCK = 1 << 17


class UnconvertedLayer(Accumulate):
    """One crossbar layer on one chip whose converters neither round nor clamp nor make noise.

    Real weights are rounded to a grid on which every sum is exact in float64, so results depend
    neither on threads nor on the order of additions.

    Args:
        step: the layer.
        levels: what each cell contributes, in level units; axes: group, row, column.
    """

    def __init__(self, step: CrossbarStep, levels: Float64Array) -> None:
        weights = real_weights(step, levels)
        largest = float(np.abs(weights).sum(axis=1).max(initial=1)) * ((1 << step.input_bits) - 1)
        grid = 2.0 ** min(GRID_BITS, 52 - ceil(log2(max(2.0, largest))))
        rounded = np.rint(weights * grid) / grid
        self._weights = np.ascontiguousarray(rounded.transpose(0, 2, 1))

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Accumulators, rounded to whole numbers once; nothing is counted."""
        del trace
        groups, outputs, inputs = self._weights.shape
        count = vectors.shape[0]
        found = np.empty((groups, outputs, count), dtype=np.int64)
        size = max(1, _BLOCK // max(1, inputs, outputs))
        for first in range(0, count, size):
            span = slice(first, first + size)
            # Vectors are the innermost axis, as windows are gathered.
            codes = vectors[span].transpose(1, 2, 0).astype(np.float64, order="C")
            product = self._weights @ codes
            found[:, :, span] = np.rint(product, out=product)
        return found.transpose(2, 0, 1)
