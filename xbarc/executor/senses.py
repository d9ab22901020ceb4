"""Layers read by sense amplifiers: the plain definition, and packed rows counted word by word."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from xbarc.executor.popcount import compare_agreements, compare_sums, pack_rows, set_bits
from xbarc.ir.effective import conversion_matrix, output_matrix
from xbarc.ir.geometry import Window
from xbarc.ir.program import CrossbarStep, Sense
from xbarc.ir.quantize import ABSENT, DOWN, UP
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import BoolArray, Int64Array, IntArray, UInt8Array

_WORD = 64
_CHUNK = 1 << 12
_WORTH_THREADS = 1 << 14


def driven_rows(step: CrossbarStep, sense: Sense, group_codes: IntArray, rows: slice) -> BoolArray:
    """Which wordlines are driven; codes have the axes vector, input; result: vector, row."""
    codes = group_codes[:, step.tiling.row_input[rows]].astype(np.uint8)
    driven: BoolArray = (codes & sense.drive[rows]) != 0
    return driven


class SenseReference:
    """The definition, written plainly in int64.

    Args:
        step: the layer.
    """

    def __init__(self, step: CrossbarStep) -> None:
        if step.sense is None:
            raise ValueError(f"{step.name}: no comparisons")
        self.step, self.sense = step, step.sense
        self._a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """Sums of codes; vectors are binary codes.

        Args:
            vectors: axes: vector, group, input.
            trace: counts comparisons, and keeps codes if it was told to.

        Returns:
            Axes: vector, group, output.
        """
        step, count = self.step, vectors.shape[0]
        acc = np.zeros((count, step.groups, step.outputs), dtype=np.int64)
        segments = len(step.tiling.segment_bounds) - 1
        kept = np.zeros((count, step.groups, segments, 1, step.conversions), dtype=np.int64)
        for group in range(step.groups):
            for number in range(segments):
                codes = self.codes(vectors[:, group], group, number)
                acc[:, group] += (self._r(group, number) @ codes.T).T
                kept[:, group, number, 0] = codes
        _book(step, count, trace)
        if trace is not None and trace.keep_codes:
            trace.codes.append(kept)
        return acc

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """No shorter way: windows are gathered."""
        del padded, geometry, trace
        return None

    def sums(self, codes: IntArray, group: int, segment: int) -> Int64Array:
        """What the comparisons of one segment see; axes: vector, conversion."""
        first, last = (int(b) for b in self.step.tiling.segment_bounds[segment : segment + 2])
        driven = driven_rows(self.step, self.sense, codes, slice(first, last)).astype(np.int64)
        cells = self.step.cells.unpack((group, slice(first, last))).astype(np.int64)
        sums: Int64Array = (self._a @ (driven @ cells).T).T
        return sums

    def codes(self, codes: IntArray, group: int, segment: int) -> Int64Array:
        """How many thresholds each sum reaches; axes: vector, conversion."""
        sums = self.sums(codes, group, segment)
        thresholds = self.sense.thresholds[group, segment].astype(np.int64)
        reached: Int64Array = (sums[:, :, None] >= thresholds[None]).sum(axis=2, dtype=np.int64)
        return reached

    def _r(self, group: int, segment: int) -> sparse.csr_array:
        step = self.step
        block = int(step.tiling.segment_block[segment])
        return output_matrix(step.periphery, group, block, step.outputs, step.conversions)


@dataclass(frozen=True, eq=False)
class _Segment:
    """Cells and wordlines of one segment of one group, packed along rows.

    Attributes:
        paired: rows are one of complementary pairs, whose partner the kernel counts as well.
        inputs, masks: what drives each packed row; axis: row.
        cells: axes: word, column.
    """

    paired: bool
    inputs: IntArray
    masks: UInt8Array
    cells: IntArray
    thresholds: IntArray


class SenseLayer:
    """The fast way: 64 wordlines a word, sums as population counts, the comparison in the loop.

    Where wordlines come in complementary pairs with complementary cells, as they do for binary
    weights, one word holds 64 inputs: agreements are counted by exclusive or.

    Args:
        step: the layer.
        threads: of the loops; 0 takes all. The results do not depend on it.
    """

    def __init__(self, step: CrossbarStep, threads: int = 0) -> None:
        self._reference = SenseReference(step)
        self.step, self.sense = self._reference.step, self._reference.sense
        self._threads = threads or os.cpu_count() or 1
        self._plain = _is_plain(step)
        self._segments: list[list[_Segment]] = []
        if self._plain:
            bounds = [int(b) for b in step.tiling.segment_bounds]
            self._segments = [
                [self._pack(g, n, slice(bounds[n], bounds[n + 1])) for n in range(len(bounds) - 1)]
                for g in range(step.groups)
            ]

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As `SenseReference.accumulate`; codes are kept by the reference itself."""
        if not self._plain or (trace is not None and trace.keep_codes):
            return self._reference.accumulate(vectors, trace)
        _book(self.step, vectors.shape[0], trace)
        by_input = np.ascontiguousarray(vectors.transpose(1, 2, 0), dtype=np.uint8)
        acc = np.zeros((vectors.shape[0], self.step.groups, self.step.outputs), dtype=np.int64)
        spans = [slice(at, at + _CHUNK) for at in range(0, vectors.shape[0], _CHUNK)]
        if self._threads == 1 or vectors.shape[0] < _WORTH_THREADS:
            for span in spans:
                self._chunk(by_input, acc, span)
            return acc
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda span: self._chunk(by_input, acc, span), spans))
        return acc

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """No shorter way: windows are gathered."""
        del padded, geometry, trace
        return None

    def _chunk(self, by_input: UInt8Array, acc: IntArray, span: slice) -> None:
        for group, segments in enumerate(self._segments):
            codes = by_input[group, :, span]
            for part in segments:
                out = acc[span, group]
                if part.paired:
                    ups = pack_rows(codes, part.inputs, np.uint8(UP))
                    downs = pack_rows(codes, part.inputs, np.uint8(DOWN))
                    both = _both(codes, part)
                    compare_agreements(ups, downs, both, part.cells, part.thresholds, out)
                else:
                    words = set_bits(codes, part.inputs, part.masks)
                    compare_sums(words, part.cells, part.thresholds, out)

    def _pack(self, group: int, number: int, rows: slice) -> _Segment:
        step = self.step
        cells = step.cells.unpack((group, rows))
        inputs = np.asarray(step.tiling.row_input[rows], dtype=np.int64)
        masks = np.asarray(self.sense.drive[rows], dtype=np.uint8)
        thresholds = np.ascontiguousarray(self.sense.thresholds[group, number].T, dtype=np.int64)
        half = _pairs(inputs, masks, cells)
        paired = half > 0
        if paired:
            inputs, masks, cells = inputs[:half], masks[:half], cells[:half]
        return _Segment(paired, inputs, masks, pack_columns(cells), thresholds)


def _both(codes: UInt8Array, part: _Segment) -> IntArray:
    """How many absent inputs of each vector drive both of their wordlines."""
    counted = part.inputs[(part.masks & ABSENT) != 0]
    total: IntArray = (codes[counted] == ABSENT).sum(axis=0, dtype=np.int32)
    return total


def _pairs(inputs: IntArray, masks: UInt8Array, cells: UInt8Array) -> int:
    """Rows of the first half, where the second half is its complement; 0 where it is not."""
    half = len(inputs) // 2
    if len(inputs) % 2 or not half or not np.array_equal(inputs[:half], inputs[half:]):
        return 0
    first, second = masks[:half], masks[half:]
    directions = np.all(first & (UP | DOWN) == UP) and np.all(second & (UP | DOWN) == DOWN)
    same = np.array_equal(first & ABSENT, second & ABSENT)
    complement = np.array_equal(cells[:half] ^ 1, cells[half:])
    return half if directions and same and complement and cells.max(initial=0) <= 1 else 0


def pack_columns(cells: UInt8Array) -> IntArray:
    """Binary cells as words; axes: row, column -> word, column."""
    rows, columns = cells.shape
    words = -(-rows // _WORD)
    padded = np.zeros((columns, words * _WORD), dtype=np.uint8)
    padded[:, :rows] = cells.T
    packed = np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)
    return np.ascontiguousarray(packed.T)


def _is_plain(step: CrossbarStep) -> bool:
    """One binary column a conversion, one conversion an output, codes added as they are."""
    p = step.periphery
    diagonal = np.arange(step.outputs)
    return (
        step.cells.bits == 1
        and not p.a_sign.size
        and step.conversions == step.outputs
        and np.array_equal(p.r_output, diagonal)
        and np.array_equal(p.r_conversion, diagonal)
        and bool(np.all(p.r_code == 1))
    )


def _book(step: CrossbarStep, vectors: int, trace: LayerTrace | None) -> None:
    """Comparisons count as conversions."""
    if trace is None or step.sense is None:
        return
    segments = len(step.tiling.segment_bounds) - 1
    trace.vectors += vectors
    each = step.groups * segments * step.conversions * step.sense.levels
    trace.conversions += vectors * each
