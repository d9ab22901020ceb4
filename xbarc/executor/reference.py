"""The reference engine: the definition of a program, written plainly in int64."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from xbarc.executor.adc import convert, read_back, saturates
from xbarc.executor.layer import Accumulate
from xbarc.ir import CrossbarStep, LayerTrace, conversion_matrix, output_matrix
from xbarc.numerics import Int64Array, IntArray, slice_inputs


class ReferenceLayer(Accumulate):
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
                levels = self.levels(group, number)
                for s in range(step.input_slices):
                    q, back = self._read(planes[s] @ levels, (group, number, s), trace)
                    acc[:, group] += (self._periphery(group, block) @ back.T).T << (
                        step.dac_bits * s
                    )
                    if keep:
                        codes[:, group, number, s] = q
        if trace is not None:
            trace.vectors += count
        if trace is not None and keep:
            trace.codes.append(codes)
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
        acc += vectors.sum(axis=2, dtype=np.int64)[:, :, None] * beta
        return acc

    def _read(
        self, columns: Int64Array, place: tuple[int, int, int], trace: LayerTrace | None
    ) -> tuple[Int64Array, Int64Array]:
        """One cycle: convert every column sum; axes: vector, conversion.

        Args:
            columns: sums of the bitlines; axes: vector, column.
            place: group, segment and input slice.
            trace: observer.
        """
        sums = self.sums(columns)
        settings = adc_at(self.step, *place)
        lo, step, bits = settings
        if trace is not None:
            trace.saturated += int(saturates(sums, *settings).sum())
            trace.conversions += int(np.broadcast_to(bits > 0, sums.shape).sum())
        codes = convert(sums, *settings)
        return codes, read_back(codes, lo, step)

    def sums(self, columns: Int64Array) -> Int64Array:
        """What conversions see of bitlines; axes: vector, column -> vector, conversion."""
        seen: Int64Array = (self._a @ columns.T).T
        return seen

    def levels(self, group: int, segment: int) -> Int64Array:
        """Cells of one group and segment; axes: row, column."""
        first, last, _ = self._segments[segment]
        cells = self.step.cells.unpack((group, slice(first, last)))
        # numpy's integer product walks the summed axis: keep it contiguous in memory
        return np.ascontiguousarray(cells.T, dtype=np.int64).T

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
