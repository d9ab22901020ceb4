"""The reference engine: the definition of a program, written plainly in int64."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from xbarc.executor.adc import convert, read_back, saturates
from xbarc.ir.effective import conversion_matrix, output_matrix
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.numerics import slice_inputs
from xbarc.numerics.types import Int64Array, IntArray


class ReferenceLayer:
    """One crossbar layer, executed conversion by conversion.

    Args:
        step: the layer.
    """

    def __init__(self, step: CrossbarStep) -> None:
        self.step = step
        self._a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        block = step.tiling.segment_block
        bounds = [int(b) for b in step.tiling.segment_bounds]
        self._segments = list(zip(bounds[:-1], bounds[1:], block.tolist(), strict=True))
        self._cells: dict[tuple[int, int], Int64Array] = {}
        self._r: dict[tuple[int, int], sparse.csr_array] = {}

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Accumulators without `a`; vectors are codes.

        Args:
            vectors: axes: vector, group, input.
            trace: counts conversions and saturations, and keeps codes if it was told to.

        Returns:
            Axes: vector, group, output.
        """
        step = self.step
        count = vectors.shape[0]
        acc = np.zeros((count, step.groups, step.outputs), dtype=np.int64)
        shape = (count, step.groups, len(self._segments), step.input_slices, step.conversions)
        keep = trace is not None and trace.keep_codes
        codes = np.zeros(shape if keep else (0,), dtype=np.int64)
        for group in range(step.groups):
            for number, (first, last, block) in enumerate(self._segments):
                wires = vectors[:, group, step.tiling.row_input[first:last]]
                planes = slice_inputs(wires.astype(np.int64), step.dac_bits, step.input_slices)
                for s in range(step.input_slices):
                    q, back = self._read(planes[s], group, number, s, trace)
                    acc[:, group] += (self._periphery(group, block) @ back.T).T << (
                        step.dac_bits * s
                    )
                    if keep:
                        codes[:, group, number, s] = q
        if trace is not None:
            trace.vectors += count
            trace.conversions += int(np.prod(shape))
        if trace is not None and keep:
            trace.codes.append(codes)
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
        return acc + vectors.sum(axis=2, dtype=np.int64)[:, :, None] * beta

    def _read(
        self, plane: Int64Array, group: int, segment: int, s: int, trace: LayerTrace | None
    ) -> tuple[Int64Array, Int64Array]:
        """One cycle: drive a slice, convert every column sum; axes: vector, conversion."""
        sums = (self._a @ (plane @ self._levels(group, segment)).T).T
        settings = adc_at(self.step, group, segment, s)
        if trace is not None:
            trace.saturated += int(saturates(sums, *settings).sum())
        lo, step, _ = settings
        codes = convert(sums, *settings)
        return codes, read_back(codes, lo, step)

    def _levels(self, group: int, segment: int) -> Int64Array:
        if (group, segment) not in self._cells:
            first, last, _ = self._segments[segment]
            cells = self.step.cells.unpack((group, slice(first, last)))
            self._cells[group, segment] = cells.astype(np.int64)
        return self._cells[group, segment]

    def _periphery(self, group: int, block: int) -> sparse.csr_array:
        if (group, block) not in self._r:
            step = self.step
            self._r[group, block] = output_matrix(
                step.periphery, group, block, step.outputs, step.conversions
            )
        return self._r[group, block]


def adc_at(
    step: CrossbarStep, group: int, segment: int, input_slice: int
) -> tuple[IntArray, IntArray, IntArray]:
    """`lo`, `step` and `bits` of one cycle; axis: conversion, or length 1."""
    place = (group, segment, slice(None), input_slice)
    settings = (step.adc.lo, step.adc.step, step.adc.bits)
    lo, width, bits = (array[_index(array.shape, place)] for array in settings)
    return lo, width, bits


def _index(shape: tuple[int, ...], place: tuple[int | slice, ...]) -> tuple[int | slice, ...]:
    return tuple(
        0 if size == 1 and isinstance(where, int) else where
        for size, where in zip(shape, place, strict=True)
    )
