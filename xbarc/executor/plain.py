"""The plain definition of a layer: one integer matrix product a group, no tile anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor.layer import Accumulate, LayerFrame, run_layer
from xbarc.ir import IntWeight, LayerTrace, MatrixLayer
from xbarc.numerics import AnyArray, Int64Array, IntArray, exact_matmul


class PlainLayer(Accumulate):
    """Products with the integer weights of a layer as the network states them.

    Args:
        layer: with integer weights.

    Raises:
        MappingError: its weights are not integers yet.
    """

    def __init__(self, layer: MatrixLayer) -> None:
        if not isinstance(layer.weight, IntWeight):
            raise MappingError("weights are not integers yet", where=layer.name)
        self.weights: Int64Array = layer.weight.tensor.load().astype(np.int64)
        self._largest = int(np.abs(self.weights).sum(axis=1).max(initial=0))
        self._frame = LayerFrame(layer, layer.constant, self.weights.sum(axis=1), layer.rows)

    def run(self, tensor: AnyArray, values: Mapping[str, Any]) -> AnyArray:
        """The layer's value.

        Raises:
            InputError: the tensor has the wrong shape.
        """
        return run_layer(self._frame, self, tensor, values)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output."""
        if trace is not None:
            trace.vectors += vectors.shape[0]
        # By the codes at hand and not by their format: a narrower bound lets more products run in
        # BLAS.
        reach = max(int(vectors.max(initial=0)), -int(vectors.min(initial=0)))
        by_group = vectors.transpose(1, 0, 2)
        return exact_matmul(by_group, self.weights, self._largest * reach).transpose(1, 0, 2)
