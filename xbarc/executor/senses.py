"""Layers read by sense amplifiers: the plain definition, and many vectors side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from xbarc.executor.adc import conversions_of_vector
from xbarc.executor.lanes import AT_ONCE, BLOCK, LOW_BITS, WORDS
from xbarc.executor.layer import Accumulate
from xbarc.executor.windows import block_extent
from xbarc.ir import (
    ABSENT,
    CrossbarStep,
    LayerTrace,
    Sense,
    Window,
    conversion_matrix,
    output_matrix,
)
from xbarc.lazy import lazy_module
from xbarc.numerics import BoolArray, Int64Array, IntArray, available_cores

if TYPE_CHECKING:
    from scipy import sparse

    from xbarc.executor import bitplanes
else:
    bitplanes = lazy_module("xbarc.executor.bitplanes")

# 4,096 vectors at a time: what a thread takes, eight blocks of the compiled loop.
_CHUNK = 8 * BLOCK
# With fewer lines more than half of a block is padding, and gathered windows fill it better.
_WORTH_LINES = BLOCK // 2


def driven_rows(step: CrossbarStep, sense: Sense, group_codes: IntArray, rows: slice) -> BoolArray:
    """Which wordlines are driven; codes have the axes vector, input; result: vector, row."""
    codes = group_codes[:, step.tiling.row_input[rows]].astype(np.uint8)
    driven: BoolArray = (codes & sense.drive[rows]) != 0
    return driven


class SenseReference(Accumulate):
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

    def sums(self, codes: IntArray, group: int, segment: int) -> Int64Array:
        """What the comparisons of one segment see; axes: vector, conversion."""
        first, last = (int(b) for b in self.step.tiling.segment_bounds[segment : segment + 2])
        driven = driven_rows(self.step, self.sense, codes, slice(first, last)).astype(np.int64)
        cells = self.step.cells.unpack_as(np.int64, (group, slice(first, last)))
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
    """One segment of one group as `bitplanes.compare` takes it."""

    inputs: Int64Array
    masks: Int64Array
    lists: Int64Array
    thresholds: Int64Array
    bits: int


class SenseLayer(Accumulate):
    """The fast way: many vectors a machine word, sums and comparisons as chains of adders.

    Args:
        step: the layer.
        threads: of the loops; 0 takes all. The results do not depend on it.
    """

    def __init__(self, step: CrossbarStep, threads: int = 0) -> None:
        self._reference = SenseReference(step)
        self.step, self.sense = self._reference.step, self._reference.sense
        self._threads = threads or available_cores()
        bounds = [int(b) for b in step.tiling.segment_bounds]
        self._votes = max(1, ((len(bounds) - 1) * self.sense.levels).bit_length())
        self._segments: list[list[_Segment]] | None = None
        self._read = np.asarray(step.periphery.r_conversion)[np.argsort(step.periphery.r_output)]
        if _adds_codes(step):
            self._segments = [
                [self._lists(g, n, slice(*span)) for n, span in enumerate(pairwise(bounds))]
                for g in range(step.groups)
            ]

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As `SenseReference.accumulate`; codes are kept by the reference itself."""
        # The fast way adds up votes and never holds a code.
        if self._segments is None or (trace is not None and trace.keep_codes):
            return self._reference.accumulate(vectors, trace)
        _book(self.step, vectors.shape[0], trace)
        places, shifts = np.arange(self.step.inputs), np.zeros(1, dtype=np.int64)
        return self._compare(self._segments, vectors, places, shifts)[:, 0]

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """Windows are not gathered: positions along the last axis read planes further on.

        Vectors are images and lines; where they are few, a block would be almost empty.
        """
        extent = block_extent(padded, geometry)
        vectors = padded.shape[0] * prod(extent[:-1])
        kept = trace is not None and trace.keep_codes
        if self._segments is None or kept or vectors < _WORTH_LINES:
            return None
        _book(self.step, padded.shape[0] * prod(extent), trace)
        lines, places = _lines(padded, geometry, self.step.groups)
        shifts = np.arange(extent[-1]) * geometry.strides[-1]
        acc = self._compare(self._segments, lines, places, shifts)
        images = acc.reshape(padded.shape[0], *extent, acc.shape[2] * acc.shape[3])
        found: IntArray = np.moveaxis(images, -1, 1)
        return found

    def _compare(
        self,
        segments: list[list[_Segment]],
        vectors: IntArray,
        places: IntArray,
        shifts: IntArray,
    ) -> IntArray:
        """Votes of every position of every vector.

        Args:
            segments: of each group.
            vectors: binary codes; axes: vector, group, place.
            places: where position 0 finds each input.
            shifts: how much further the others do.

        Returns:
            Axes: vector, position, group, output.
        """
        count, step = vectors.shape[0], self.step
        acc = np.zeros((step.groups, count, len(shifts) * step.outputs), dtype=np.int32)
        spans = [slice(at, min(count, at + _CHUNK)) for at in range(0, count, _CHUNK)]

        def work(span: slice) -> None:
            for group, parts in enumerate(segments):
                self._chunk(parts, vectors[span, group], places, shifts, acc[group, span])

        if self._threads == 1 or len(spans) == 1:
            for span in spans:
                work(span)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(work, spans))
        return acc.reshape(step.groups, count, len(shifts), step.outputs).transpose(1, 2, 0, 3)

    def _chunk(
        self,
        segments: list[_Segment],
        codes: IntArray,
        places: IntArray,
        shifts: IntArray,
        acc: IntArray,
    ) -> None:
        states = _state_planes(codes)
        shape = (len(states), len(shifts), self.step.outputs, self._votes, WORDS)
        votes = np.zeros(shape, dtype=np.uint64)
        for number, part in enumerate(segments):
            rows = np.stack([places[part.inputs], part.masks])
            bitplanes.compare(
                *(states, rows, shifts, part.lists, part.thresholds, part.bits),
                *(number * self.sense.levels, votes),
            )
        octets = votes.view(np.uint8).transpose(
            3, 0, 4, 1, 2
        )  # bit, block, octet, position, output
        flat = np.ascontiguousarray(octets).reshape(self._votes, -1, acc.shape[1])
        bitplanes.unpack(flat, acc)

    def _lists(self, group: int, number: int, rows: slice) -> _Segment:
        """Which wordlines each conversion adds up, and which ones it subtracts.

        A wordline that is subtracted counts as one that is not driven, less one always.
        """
        step = self.step
        cells = step.cells.unpack_as(np.int64, (group, rows))
        seen = conversion_matrix(step.periphery, step.conversions, step.cells.columns) @ cells.T
        conversion, row = np.nonzero(seen)
        taken = seen[conversion, row] < 0
        count = np.abs(seen).sum(axis=1)
        width = -(-int(count.max(initial=1)) // AT_ONCE) * AT_ONCE
        lists = np.full((step.conversions, width), 2 * len(cells), dtype=np.int64)
        place = np.arange(row.size) - (np.cumsum(count) - count)[conversion]
        lists[conversion, place] = row + taken * len(cells)
        less = (seen < 0).sum(axis=1)
        thresholds = self.sense.thresholds[group, number].T + less
        return _Segment(
            np.asarray(step.tiling.row_input[rows], dtype=np.int64),
            np.asarray(self.sense.drive[rows], dtype=np.int64),
            lists[self._read],
            np.ascontiguousarray(thresholds[:, self._read], dtype=np.int64),
            max(LOW_BITS, int(count.max(initial=0)).bit_length()),
        )


def _lines(padded: IntArray, geometry: Window, groups: int) -> tuple[IntArray, IntArray]:
    """Whole lines along the last axis, once for each offset of the kernel along the others.

    Returns:
        Codes (axes: vector, group, place), a vector being an image and the other positions; and the
        place of each input of a window at position 0.
    """
    out = block_extent(padded, geometry)[:-1]
    offsets = list(np.ndindex(*geometry.kernel[:-1]))
    parts = []
    for offset in offsets:
        first = [k * d for k, d in zip(offset, geometry.dilations[:-1], strict=True)]
        kept = tuple(
            slice(f, f + (n - 1) * s + 1, s)
            for f, n, s in zip(first, out, geometry.strides[:-1], strict=True)
        )
        parts.append(np.moveaxis(padded[(slice(None), slice(None), *kept)], 1, -2))
    stacked = np.stack(parts, axis=-3)  # image, positions, offset, channel, place on the line
    channels, width = padded.shape[1] // groups, padded.shape[-1]
    split = stacked.reshape(-1, len(offsets), groups, channels * width)
    vectors = split.transpose(0, 2, 1, 3).reshape(len(split), groups, -1)
    along = np.arange(geometry.kernel[-1]) * geometry.dilations[-1]
    channel = np.arange(channels)[:, None, None] * width
    offset_place = np.arange(len(offsets))[:, None] * channels * width
    places: IntArray = (channel + offset_place + along).reshape(-1)
    return vectors, places


def _state_planes(codes: IntArray) -> IntArray:
    """Codes in each state as planes; codes have the axes vector, place.

    Returns:
        Axes: block, state, place, word.
    """
    count, places = codes.shape
    blocks = -(-count // BLOCK)
    states = 3 if int(codes.max(initial=0)) >= ABSENT else 2
    octets = np.empty((states, blocks * BLOCK // 8, places), dtype=np.uint8)
    bitplanes.pack(np.ascontiguousarray(codes, dtype=np.uint8), octets)
    split = octets.reshape(states, blocks, -1, places).transpose(1, 0, 3, 2)
    planes: IntArray = np.ascontiguousarray(split).view("<u8").astype(np.uint64, copy=False)
    return planes


def _adds_codes(step: CrossbarStep) -> bool:
    """Binary cells of which each conversion sees at most one a row; an output adds its codes up."""
    p = step.periphery
    # Anything else (cells of more bits, weighted votes) is left to the definition.
    plain = (
        step.cells.bits == 1
        and np.array_equal(np.sort(p.r_output), np.arange(step.outputs))
        and bool(np.all(p.r_code == 1))
    )
    return plain and _at_most_one(step)


def _at_most_one(step: CrossbarStep) -> bool:
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    blocks = [step.cells.unpack_as(np.int64, (group,)) for group in range(step.groups)]
    return all(int(np.abs(a @ cells.T).max(initial=0)) <= 1 for cells in blocks)


def _book(step: CrossbarStep, vectors: int, trace: LayerTrace | None) -> None:
    """Comparisons count as conversions."""
    if trace is None or step.sense is None:
        return
    trace.vectors += vectors
    trace.conversions += vectors * conversions_of_vector(step)
