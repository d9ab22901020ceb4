"""The reference engine: the definition of a program, written plainly in int64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.executor.adc import convert, read_back, saturates
from xbarc.executor.layer import Accumulate
from xbarc.ir import CrossbarStep, LayerTrace, conversion_matrix, output_matrix
from xbarc.numerics import AnyArray, Int64Array, IntArray, exact_matmul, exact_type, slice_inputs

if TYPE_CHECKING:
    from scipy import sparse


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
        # Codes of all conversions are many times the accumulators; nobody pays for them unasked.
        keep = trace is not None and trace.keep_codes
        codes = np.zeros(shape if keep else (0,), dtype=np.int64)
        for group in range(step.groups):
            for number, (_, _, block) in enumerate(self._segments):
                # Input slices are joined first, weight slices by `R` then: that is the order of the
                # hardware.
                place = codes[:, group, number] if keep else None
                total = self.joined_codes(vectors[:, group], group, number, trace, place)
                acc[:, group] += (self._periphery(group, block) @ total.T).T
        if trace is not None:
            trace.vectors += count
        if trace is not None and keep:
            trace.codes.append(codes)
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
        acc += vectors.sum(axis=2, dtype=np.int64)[:, :, None] * beta
        return acc

    def joined_codes(
        self,
        vectors: IntArray,
        group: int,
        segment: int,
        trace: LayerTrace | None = None,
        codes: Int64Array | None = None,
    ) -> Int64Array:
        """What conversions are read back as, joined over input slices; axes: vector, conversion.

        Args:
            vectors: of the group; axes: vector, input.
            group: of the layer.
            segment: whose rows are driven.
            trace: counts conversions and saturations.
            codes: filled with the codes where given; axes: vector, input slice, conversion.
        """
        columns = self.column_sums(vectors, group, segment)
        total = np.zeros((len(vectors), self.step.conversions), dtype=np.int64)
        for s in range(self.step.input_slices):
            q, back = self._read(columns[s], (group, segment, s), trace)
            total += back << (self.step.dac_bits * s)
            if codes is not None:
                codes[:, s] = q
        return total

    def column_sums(self, vectors: IntArray, group: int, segment: int) -> Int64Array:
        """Sums of all bitlines of a segment; axes: vector, input -> input slice, vector, column.

        One product for all input slices: in floating point, where the largest sum that cells and
        slices allow proves it exact.
        """
        step = self.step
        first, last, _ = self._segments[segment]
        wires = vectors[:, step.tiling.row_input[first:last]].astype(np.int64)
        planes = slice_inputs(wires, step.dac_bits, step.input_slices)
        top = ((1 << step.dac_bits) - 1) * ((1 << step.cells.bits) - 1)
        flat, bound = planes.reshape(-1, last - first), (last - first) * top
        levels = self.levels(group, segment, exact_type(bound))
        sums = exact_matmul(flat, levels, bound)
        return sums.reshape(step.input_slices, len(vectors), sums.shape[1])

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
        if not self.step.periphery.a_sign.size:
            return columns
        seen: Int64Array = (self._a @ columns.T).T
        return seen

    def levels(self, group: int, segment: int, dtype: type[np.number[Any]] = np.uint8) -> AnyArray:
        """Cells of one group and segment; axes: row, column."""
        first, last, _ = self._segments[segment]
        return self.step.cells.unpack_as(dtype, (group, slice(first, last)))

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
