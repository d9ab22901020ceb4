"""The exact network beside the compiled one: layers with the model's own weights, nothing cut.

Float layers take real inputs and give float32 products; layers that arrive quantised give their own
integers. What error feedback aims at, and the vectors it learns from, come from here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from xbarc.executor.layer import Accumulate, LayerFrame, check_shape, run_codes
from xbarc.executor.vectors import DEFAULT_BUDGET, pieces, sample_axis_first
from xbarc.executor.windows import gather, window_blocks
from xbarc.ir import (
    Codes,
    FloatInput,
    Geometry,
    LayerTrace,
    MatrixLayer,
    Quantizer,
    Window,
    quantize,
)
from xbarc.numerics import AnyArray, Int64Array


class ExactLayer(Accumulate):
    """A layer with the model's own weights and no crossbar.

    Args:
        layer: as the frontend gives it.
    """

    def __init__(self, layer: MatrixLayer) -> None:
        self.layer = layer
        # Real layers as ONNX Runtime computes them; integers in float64, which holds their
        # products.
        kind = np.float32 if isinstance(layer.quantizer, FloatInput) else np.float64
        self.weights = np.asarray(layer.weight.tensor.load()).astype(kind)
        no_zero = np.zeros((layer.groups, layer.outputs), dtype=np.int64)  # codes are centred
        self._frame = LayerFrame(layer, layer.constant, no_zero, layer.rows)

    def run(self, tensor: AnyArray, values: Mapping[str, Any]) -> AnyArray:
        """The layer's value.

        Raises:
            InputError: the tensor has the wrong shape.
        """
        check_shape(self._frame, tensor.shape)
        codes = centred_codes(tensor, self.layer.quantizer, self.layer.geometry, values)
        return run_codes(self._frame, self, codes, tensor.shape)

    def accumulate(self, vectors: AnyArray, trace: LayerTrace | None = None) -> AnyArray:
        """Products of real vectors; axes: vector, group, input -> vector, group, output."""
        del trace
        by_group = vectors.transpose(1, 0, 2).astype(self.weights.dtype, copy=False)
        products: AnyArray = by_group @ self.weights
        return products.transpose(1, 0, 2)


def centred_codes(
    tensor: AnyArray, quantizer: Quantizer, geometry: Geometry, values: Mapping[str, Any]
) -> Codes:
    """What goes into a layer, as codes whose zero is 0: real numbers, or integers with a step."""
    samples = sample_axis_first(tensor, geometry)
    zero = np.zeros(1, dtype=np.int64)
    if isinstance(quantizer, FloatInput):
        same: AnyArray = samples.astype(np.float32, copy=False)
        return Codes(same, zero, np.ones(1))
    codes = quantize(samples, quantizer, values, "calibration data")
    return Codes(codes.values - _by_sample(codes.zero, codes), zero, codes.scale)


def real_codes(
    tensor: AnyArray, quantizer: Quantizer, geometry: Geometry, values: Mapping[str, Any]
) -> Codes:
    """The real numbers that go into a layer, as codes whose zero is 0 and whose step is 1."""
    codes = centred_codes(tensor, quantizer, geometry, values)
    if isinstance(quantizer, FloatInput):
        return codes
    real: AnyArray = codes.values * _by_sample(codes.scale, codes)
    return Codes(real, codes.zero, np.ones(1))


def _by_sample(numbers: AnyArray, codes: Codes) -> AnyArray:
    return numbers.reshape((-1,) + (1,) * (codes.values.ndim - 1))


def layer_vectors(
    codes: Codes, geometry: Geometry, groups: int, shape: tuple[int, ...]
) -> Iterator[tuple[AnyArray, Int64Array]]:
    """Input vectors `[vector, group, input]` piece by piece, and each one's sample."""
    if not isinstance(geometry, Window):
        for piece in pieces(codes, geometry, groups, shape, DEFAULT_BUDGET):
            sample = piece.sample
            # Groups of a stack may read vectors of several samples; the first stands for them.
            yield piece.vectors, sample if sample.ndim == 1 else sample[:, 0]
        return
    for block in window_blocks(codes, geometry, DEFAULT_BUDGET):
        vectors = gather(block.padded, geometry, groups)
        images = np.arange(block.images.start, block.images.stop)
        yield vectors, np.repeat(images, len(vectors) // max(1, len(images)))
