"""The fast engine: the same bits as the reference, by a shorter way where one is proven.

Where every conversion of a layer is provably lossless, slices, blocks and periphery collapse into
one exact integer product with the effective weights. Otherwise column sums are exact products of
an input slice with the cells of a segment, and the converter and shift-add follow.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from xbarc.executor.adc import convert, read_back, saturates
from xbarc.executor.reference import ReferenceLayer, adc_at
from xbarc.ir.effective import (
    conversion_matrix,
    effective_weights,
    is_lossless,
    output_matrix,
)
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.numerics import FLOAT32_EXACT, exact_matmul, slice_inputs
from xbarc.numerics.types import AnyArray, Int64Array, IntArray


class FastLayer:
    """One crossbar layer, prepared once.

    Args:
        step: the layer.
    """

    def __init__(self, step: CrossbarStep) -> None:
        self.step = step
        self._plan: CollapsedLayer | SlicedLayer = (
            CollapsedLayer(step) if is_lossless(step) else SlicedLayer(step)
        )

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """As `ReferenceLayer.accumulate`; codes are kept by the reference itself."""
        if trace is not None and trace.keep_codes:
            return ReferenceLayer(self.step).accumulate(vectors, trace)
        return self._plan.accumulate(vectors, trace)


class CollapsedLayer:
    """A lossless layer: one exact integer product a group."""

    def __init__(self, step: CrossbarStep) -> None:
        self.step = step
        weights = effective_weights(step)
        largest = int(np.abs(weights).sum(axis=1).max(initial=0))
        self._bound = largest * ((1 << step.input_bits) - 1)
        dtype = np.float32 if self._bound < FLOAT32_EXACT else np.float64
        self._weights: AnyArray = weights.astype(dtype)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output."""
        if trace is not None:
            count_conversions(self.step, vectors.shape[0], trace)
        by_group = vectors.transpose(1, 0, 2)
        product = exact_matmul(by_group, self._weights, self._bound)
        return product.transpose(1, 0, 2)


class SlicedLayer:
    """A layer whose converters can saturate: slice by slice, segment by segment."""

    def __init__(self, step: CrossbarStep) -> None:
        self.step = step
        self._a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        bounds = [int(b) for b in step.tiling.segment_bounds]
        blocks = step.tiling.segment_block.tolist()
        self._segments = list(zip(bounds[:-1], bounds[1:], blocks, strict=True))
        self._cells = step.cells.unpack().astype(np.float32)
        self._r: dict[tuple[int, int], sparse.csr_array] = {}

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output."""
        step = self.step
        acc = np.zeros((vectors.shape[0], step.groups, step.outputs), dtype=np.int64)
        for group in range(step.groups):
            planes = slice_inputs(vectors[:, group], step.dac_bits, step.input_slices)
            for segment in range(len(self._segments)):
                acc[:, group] += self._segment(planes, group, segment, trace)
        if trace is not None:
            count_conversions(step, vectors.shape[0], trace)
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
        acc += vectors.sum(axis=2, dtype=np.int64)[:, :, None] * beta
        return acc

    def _segment(
        self, planes: IntArray, group: int, segment: int, trace: LayerTrace | None
    ) -> Int64Array:
        step = self.step
        first, last, block = self._segments[segment]
        wires = planes[:, :, step.tiling.row_input[first:last]]
        joined = np.zeros((wires.shape[1], step.conversions), dtype=np.int64)
        for s in range(step.input_slices):
            sums = self._sums(wires[s], group, first, last)
            lo, width, bits = settings = adc_at(step, group, segment, s)
            if trace is not None:
                trace.saturated += int(saturates(sums, *settings).sum())
            back = read_back(convert(sums, lo, width, bits), lo, width)
            joined += back << (step.dac_bits * s)
        return (self._periphery(group, block) @ joined.T).T

    def _sums(self, plane: IntArray, group: int, first: int, last: int) -> Int64Array:
        bound = (last - first) * ((1 << self.step.dac_bits) - 1) * ((1 << self.step.cells.bits) - 1)
        columns = exact_matmul(plane, self._cells[group, first:last], bound)
        return columns if not self.step.periphery.a_sign.size else (self._a @ columns.T).T

    def _periphery(self, group: int, block: int) -> sparse.csr_array:
        if (group, block) not in self._r:
            step = self.step
            self._r[group, block] = output_matrix(
                step.periphery, group, block, step.outputs, step.conversions
            )
        return self._r[group, block]


def count_conversions(step: CrossbarStep, vectors: int, trace: LayerTrace) -> None:
    """Book the conversions that this many input vectors cost."""
    segments = len(step.tiling.segment_bounds) - 1
    trace.vectors += vectors
    trace.conversions += vectors * step.groups * segments * step.input_slices * step.conversions
