"""The analog engine: the cells of one chip are real numbers, everything after the converter is not.

A column sum of real contributions passes the converter of the program unchanged,
`clamp(floor((S - lo) / step + 1/2), 0, 2**bits - 1)`; the codes go on as in every other engine.

What a conversion sees of a row is rounded to a multiple of `2**-k` of a level, which is far below
what any cell holds. `k` is at most `GRID_BITS` and so small that no sum of a segment can need more
bits than a float has: 24 in float32 where that leaves `FINE_BITS`, otherwise 53 in float64. Every
product and every sum of such numbers is exact: results do not depend on threads, on the BLAS, or
on the order of rows, and where all contributions are whole numbers they are the bits of the
reference engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import ceil, log2
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.circuit import raw_words
from xbarc.executor.adc import conversions_of_vector
from xbarc.executor.analog_tables import (
    AnalogTables,
    RealCells,
    make_tables,
    real_cells,
    with_noise,
)
from xbarc.executor.layer import Accumulate
from xbarc.executor.noise import NOISE_BITS, NOISE_EFFECT, Noise, numbers_of_vector, quantiles
from xbarc.executor.reference import adc_at
from xbarc.ir import CrossbarStep, LayerTrace, conversion_matrix
from xbarc.lazy import lazy_module
from xbarc.numerics import (
    AnyArray,
    Float64Array,
    Int64Array,
    IntArray,
    available_cores,
    ordered_sums,
)

if TYPE_CHECKING:
    from xbarc.executor import analog_loop
else:
    analog_loop = lazy_module("xbarc.executor.analog_loop")

# A millionth of a level: no cell is known so well, and sums of up to 2**33 levels fit 53 bits.
GRID_BITS = 20

# Steps of 2**-12 of a level shift a sum over 4,096 rows by half a level at worst, by .005 of one
# typically; where float32 cannot hold them, float64 does, whose products take twice the time.
FINE_BITS = 12
# Sums at a time: 8 MB in float32, and as many bytes of random words and planes beside them.
_CHUNK_SUMS = 1 << 21


@dataclass(frozen=True, eq=False)
class Segment:
    """One set of rows that are active together.

    Attributes:
        seen: what each conversion sees of each row; axes: conversion, row.
        bits: of the grid that it lies on, behind the point.
        settings: lo, step and largest code; axes: which, conversion, input slice or 1.
        entries, starts: as `analog_loop.convert_and_add` takes them.
        place: group and number of the segment.
    """

    rows: IntArray
    seen: AnyArray
    bits: int
    settings: Float64Array
    entries: AnyArray
    starts: AnyArray
    place: tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Work:
    """One call: what goes in and what is filled; codes only where they are kept."""

    segments: list[Segment]
    vectors: IntArray
    acc: Int64Array
    missed: Int64Array
    codes: Int64Array


class AnalogLayer(Accumulate):
    """One crossbar layer on one chip, read by converters.

    Args:
        step: the layer.
        levels: what each cell contributes, in level units; axes: group, row, column.
        noise: of reads and converters.
        threads: 0 takes all; the results do not depend on it.
        by_tables: sum by table lookup where cells fit it, which gives the same bits sooner.
    """

    def __init__(
        self,
        step: CrossbarStep,
        levels: Float64Array,
        noise: Noise | None = None,
        threads: int = 0,
        *,
        by_tables: bool = True,
    ) -> None:
        if levels.shape != step.cells.shape:
            raise ValueError(f"levels {levels.shape} for cells {step.cells.shape}")
        self.step = step
        self.noise = noise or Noise()
        self._threads = threads or available_cores()
        self._a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        self._reads = np.asarray(abs(self._a).sum(axis=1), dtype=np.float64).reshape(-1)
        self._segments = [
            self._prepare(levels[group], group, number)
            for group in range(step.groups)
            for number in range(len(step.tiling.segment_bounds) - 1)
        ]
        self._seen_vectors = 0
        self._tables: AnalogTables | None = None
        self._rest = self._segments
        if by_tables and step.sense is None and step.dac_bits == 1:
            self._tables, self._rest = self._split_segments()

    def _split_segments(self) -> tuple[AnalogTables | None, list[Segment]]:
        """Tables for the segments that fit them, and the other segments."""
        found, rest = {}, []
        for segment in self._segments:
            cells = self._fit_tables(segment)
            if cells is None:
                rest.append(segment)
            else:
                found[segment.place] = cells
        if not found:
            return None, rest
        return make_tables(self.step, found, self.noise, self._threads), rest

    def _fit_tables(self, segment: Segment) -> RealCells | None:
        if segment.seen.dtype != np.float32:
            return None
        cells = real_cells(segment.seen, segment.bits, segment.settings, self.step.input_bits)
        if cells is None or not self.noise:
            return cells
        return with_noise(cells, segment.settings, self._reads, self.noise)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> Int64Array:
        """As `ReferenceLayer.accumulate`; noise goes on where the last call ended."""
        step, count = self.step, vectors.shape[0]
        keep = trace is not None and trace.keep_codes
        by_tables = None if keep else self._tables
        work = _Work(
            self._segments if by_tables is None else self._rest,
            vectors,
            np.zeros((count, step.groups, step.outputs), dtype=np.int64),
            np.zeros(count, dtype=np.int64),
            np.zeros(self._code_shape(count) if keep else (0,), dtype=np.int64),
        )
        acc = work.acc
        if by_tables is not None:
            acc = by_tables.accumulate_from(self._seen_vectors, vectors, trace)
        if work.segments:
            self._share(partial(self._span, work), self._spans(count))
            acc = acc if acc is work.acc else acc + work.acc
        if trace is not None:
            trace.vectors += count
            trace.conversions += count * conversions_of_vector(step)
            trace.saturated += int(work.missed.sum())
            trace.codes.extend([work.codes] if keep else [])
        self._seen_vectors += count
        beta = step.periphery.input_sum.reshape(step.groups, step.outputs)
        total: Int64Array = acc + vectors.sum(axis=2, dtype=np.int64)[:, :, None] * beta
        return total

    def span(self) -> tuple[float, float]:
        """Least and largest sum that any input can make."""
        step, low, high = self.step, 0.0, 0.0
        largest = (1 << step.dac_bits) - 1
        for segment in self._segments:
            seen = segment.seen.astype(np.float64)
            low = min(low, float(np.minimum(seen, 0).sum(axis=1).min(initial=0)) * largest)
            high = max(high, float(np.maximum(seen, 0).sum(axis=1).max(initial=0)) * largest)
        return low, high

    def sums(self, vectors: IntArray, group: int, segment: int) -> Iterator[AnyArray]:
        """Column sums before they are converted, some vectors at a time.

        Args:
            vectors: of all groups; axes: vector, group, input.
            group: of the layer.
            segment: whose rows are driven.

        Yields:
            Axes: conversion, input slice, vector.
        """
        found = self._segments[group * (len(self.step.tiling.segment_bounds) - 1) + segment]
        for span in self._spans(len(vectors)):
            yield self._sums(found, vectors, span)

    def _spans(self, count: int) -> list[slice]:
        size = max(1, _CHUNK_SUMS // max(1, self.step.conversions * self.step.input_slices))
        return [slice(at, min(count, at + size)) for at in range(0, count, size)]

    def _span(self, work: _Work, span: slice) -> None:
        """Some vectors through every segment."""
        count = span.stop - span.start
        acc = np.zeros((self.step.groups, self.step.outputs, count), dtype=np.int64)
        for segment in work.segments:
            group, number = segment.place
            sums = self._sums(segment, work.vectors, span)
            if work.codes.ndim > 1:
                work.codes[span, group, number] = self._codes(segment, sums)
            self._read(segment, sums, acc[group], work.missed[span])
        work.acc[span] = acc.transpose(2, 0, 1)

    def _read(self, segment: Segment, sums: AnyArray, acc: Int64Array, missed: Int64Array) -> None:
        """Convert sums and add them up; axes of `acc`: output, vector."""
        analog_loop.convert_and_add(
            *(sums, segment.settings, self.step.dac_bits, segment.entries, segment.starts),
            *(acc, missed),
        )

    def _codes(self, segment: Segment, sums: AnyArray) -> Int64Array:
        """Codes by the definition itself; axes: vector, input slice, conversion."""
        lo, step, top = segment.settings[..., None]
        exact = sums.astype(np.float64)
        codes = np.clip(np.floor((2 * (exact - lo) + step) / (2 * step)), 0, top)
        found: Int64Array = codes.astype(np.int64).transpose(2, 1, 0)
        return found

    def _code_shape(self, vectors: int) -> tuple[int, ...]:
        step = self.step
        segments = len(step.tiling.segment_bounds) - 1
        return (vectors, step.groups, segments, step.input_slices, step.conversions)

    def _prepare(self, levels: Float64Array, group: int, number: int) -> Segment:
        step = self.step
        first, last = (int(b) for b in step.tiling.segment_bounds[number : number + 2])
        block = int(step.tiling.segment_block[number])
        seen = self._a @ levels[first:last].T
        entries, starts = sorted_entries(step, group, block)
        settings = adc_settings(step, group, number)
        rows = np.asarray(step.tiling.row_input[first:last])
        bits, narrow = grid_bits(seen, step.dac_bits)
        real = round_to_grid(seen, bits, narrow=narrow)
        return Segment(rows, real, bits, settings, entries, starts, (group, number))

    def _sums(self, segment: Segment, vectors: IntArray, span: slice) -> AnyArray:
        """Sums with their noise; axes: conversion, input slice, vector."""
        planes = self._planes(segment, vectors, span)
        shape = planes.shape
        sums: AnyArray = (segment.seen @ planes.reshape(len(planes), -1)).reshape(-1, *shape[1:])
        if self.noise:
            self._add_noise(segment, np.square(planes, dtype=np.float64).sum(axis=0), sums, span)
        return sums

    def _planes(self, segment: Segment, vectors: IntArray, span: slice) -> AnyArray:
        """What drives the wordlines; axes: row, input slice, vector."""
        step = self.step
        wires = vectors[span, segment.place[0]].T[segment.rows]
        shape = (wires.shape[0], step.input_slices, wires.shape[1])
        planes = np.empty(shape, dtype=segment.seen.dtype)
        mask = (1 << step.dac_bits) - 1
        for s in range(step.input_slices):
            planes[:, s] = (wires >> (step.dac_bits * s)) & mask
        return planes

    def _add_noise(self, segment: Segment, power: AnyArray, sums: AnyArray, span: slice) -> None:
        """A number per conversion, by the vector's place in the run and the conversion's own.

        Args:
            segment: what is read.
            power: squares of what drives the rows, added up; axes: input slice, vector.
            sums: is added to.
            span: which vectors of this call.
        """
        conversions, slices, vectors = sums.shape
        width = numbers_of_vector(conversions, slices)
        each = width * NOISE_BITS // 64
        first = (self._seen_vectors + span.start) * each
        place = self.noise.place(self.step, segment.place)
        words = raw_words(self.noise.seed, NOISE_EFFECT, place, vectors * each, first)
        analog_loop.add_noise(
            sums,
            words.view(np.uint16).reshape(vectors, width),
            quantiles(),
            power * self.noise.cell**2,
            self._reads,
            np.square(segment.settings[1] * self.noise.adc),
        )

    def _share(self, work: Callable[[slice], None], spans: list[slice]) -> None:
        threads = min(self._threads, len(spans))
        with ordered_sums():  # BLAS would add threads of its own to each of these
            if threads < 2:
                for span in spans:
                    work(span)
                return
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, spans))


def on_grid(seen: Float64Array, dac_bits: int) -> AnyArray:
    """What conversions see of rows, rounded so that every sum is exact in the type that is given.

    Args:
        seen: in level units; axes: conversion, row.
        dac_bits: bits of an input slice.
    """
    bits, narrow = grid_bits(seen, dac_bits)
    return round_to_grid(seen, bits, narrow=narrow)


def grid_bits(seen: Float64Array, dac_bits: int) -> tuple[int, bool]:
    """Bits of the grid behind the point, and whether float32 holds every sum on it."""
    largest = float(np.abs(seen).sum(axis=1).max(initial=0)) * ((1 << dac_bits) - 1)
    whole = ceil(log2(max(1.0, largest) * 1.001))
    narrow = 24 - whole >= FINE_BITS
    return min(GRID_BITS, (24 if narrow else 52) - whole), narrow


def round_to_grid(seen: Float64Array, bits: int, *, narrow: bool) -> AnyArray:
    """The nearest numbers of a grid, in float32 or float64."""
    grid = 2.0**bits
    rounded = np.rint(seen * grid) / grid
    return np.ascontiguousarray(rounded, dtype=np.float32 if narrow else np.float64)


def sorted_entries(step: CrossbarStep, group: int, block: int) -> tuple[AnyArray, AnyArray]:
    """Entries of `R` sorted by conversion: output, sign, exponent; and where each starts."""
    terms = step.periphery.r_terms(group, block)
    kept = np.flatnonzero(terms.sign)
    order = kept[np.argsort(terms.conversion[kept], kind="stable")]
    output = terms.output[order].astype(np.int64)
    entries = np.stack([output, terms.sign[order], terms.exponent[order]])
    starts = np.searchsorted(terms.conversion[order], np.arange(step.conversions + 1))
    return entries, starts


def adc_settings(step: CrossbarStep, group: int, number: int) -> Float64Array:
    """lo, step and largest code of a segment; axes: which, conversion, input slice or 1."""
    parts: list[Any] = []
    slices = max(array.shape[3] for array in (step.adc.lo, step.adc.step, step.adc.bits))
    for s in range(slices):
        lo, width, bits = adc_at(step, group, number, s)
        top = (np.int64(1) << np.asarray(bits, dtype=np.int64)) - 1
        parts.append([np.broadcast_to(a, step.conversions) for a in (lo, width, top)])
    return np.ascontiguousarray(np.moveaxis(np.array(parts, dtype=np.float64), 0, 2))
