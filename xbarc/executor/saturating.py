"""Layers whose converters can saturate: tables, packed planes and the compiled loop over them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.executor.lanes import DIGIT_BITS, LANES, NIBBLES
from xbarc.executor.loop_arguments import Entries, Planes, RunningTotals, SliceConverters, Tables
from xbarc.ir import CrossbarStep, LayerTrace, conversion_matrix
from xbarc.lazy import lazy_module
from xbarc.numerics import (
    AnyArray,
    BoolArray,
    Int64Array,
    IntArray,
    UInt8Array,
    available_cores,
    slice_count,
)

if TYPE_CHECKING:
    from xbarc.executor import lookup
else:
    lookup = lazy_module("xbarc.executor.lookup")

_LOG = logging.getLogger("xbarc")

# The loop adds the sums of a slice in 16 bits without a sign: a layer that could reach further goes
# to the reference engine.
_WIDEST_SUM = 1 << 16

# The same for what conversions join to, in 32 bits with a sign.
_WIDEST_JOINED = 1 << 31

# Lookups of 32 lanes, each a few instructions: about a millisecond of work. Below, handing it to
# the pool and waiting, a tenth of a millisecond, is a share that one notices. Our choice, not
# tuned.
_WORTH_THREADS = 1 << 20
_TABLE_ROOM = 1 << 27
"""Bytes of tables and settings that a layer keeps between calls; the rest is made again."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Arguments of the compiled loop that depend on the segment alone."""

    cells: Tables
    entries: Entries
    adc: AnyArray

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return sum(part.nbytes for part in (*self.cells, *self.entries, self.adc))


def announce_compilation(loop: Any) -> None:
    """Say that a loop is about to be compiled, unless that was done before."""
    if loop.signatures:
        return
    folder = Path(loop.stats.cache_path or ".")
    if not any(folder.glob(f"*{loop.__name__}-*.nbi")):
        _LOG.info("compiling the fast engine for this machine, once; this takes some seconds")


class SaturatingLayer:
    """Conversions of a layer that are not provably lossless, slice by slice.

    Args:
        step: the layer.
        chosen: which conversions to execute; axes: group, segment, conversion. Others add nothing.
        threads: of the compiled loops; 0 takes all. The results do not depend on it.
        anywhere: take the loop that needs no special CPU.

    Attributes:
        lanes: vectors of a chunk.
    """

    lanes = LANES

    def __init__(
        self,
        step: CrossbarStep,
        chosen: BoolArray | None = None,
        *,
        threads: int = 0,
        anywhere: bool = False,
    ) -> None:
        self.step = step
        segments = len(step.tiling.segment_bounds) - 1
        everything = np.ones((step.groups, segments, step.conversions), dtype=np.bool_)
        self._chosen = everything if chosen is None else chosen
        a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        self._a = a.astype(np.int32)
        self._kept: dict[tuple[int, int], Prepared | None] = {}
        self._room = _TABLE_ROOM
        self._threads = threads
        bounds = [int(b) for b in step.tiling.segment_bounds]
        blocks = step.tiling.segment_block.tolist()
        self._segments = list(zip(bounds[:-1], bounds[1:], blocks, strict=True))
        self._anywhere = True if anywhere else None  # see `lookup`: two compilations

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output; without `beta`."""
        step, count = self.step, vectors.shape[0]
        self.announce()
        chunks = -(-count // self.lanes)
        shape = (step.groups, step.outputs, chunks * self.lanes)
        acc: Int64Array = np.zeros(shape, dtype=np.int64)
        missed = np.zeros((chunks, self.lanes), dtype=np.int32)
        for group in range(step.groups):
            codes = self.code_bytes(vectors[:, group])
            for number in range(len(self._segments)):
                self._segment(codes, group, number, RunningTotals(acc[group], missed))
        if trace is not None:
            trace.saturated += int(missed.reshape(-1)[:count].sum())
        return acc.transpose(2, 0, 1)[:count]

    def announce(self) -> None:
        """Say that loops are about to be compiled, unless that was done before."""
        announce_compilation(lookup.convert_and_add)

    def _segment(self, codes: IntArray, group: int, number: int, totals: RunningTotals) -> None:
        ready = self.ready(group, number)
        if ready is None:
            return
        inputs = self.pack_inputs(codes, number, ready)
        work = partial(
            lookup.convert_and_add,
            *(self._anywhere, ready.cells, inputs, self._converters(ready.adc)),
            *(ready.entries, totals),
        )
        lookups = ready.cells.sums[..., 0].size * self.step.input_bits
        self._share(work, len(inputs.packed), lookups)

    def _converters(self, settings: AnyArray) -> SliceConverters:
        return SliceConverters(settings, self.step.input_bits, self.step.dac_bits)

    def code_bytes(self, vectors: IntArray) -> UInt8Array:
        """Codes of one group as the packing takes them, padded to whole chunks."""
        return _code_bytes(vectors, -(-len(vectors) // LANES) * LANES)

    def pack_inputs(self, codes: IntArray, number: int, ready: Prepared) -> Planes:
        """Planes of the wordlines of a segment, and their counts."""
        inputs = self._pack_planes(codes, number, ready.cells.sums.shape[2])
        if ready.cells.floor.any():
            lookup.count_planes(inputs.packed, inputs.counts)
        return inputs

    def ready(self, group: int, number: int) -> Prepared | None:
        """What a segment needs, kept while there is room; None where nothing is to be converted."""
        if (group, number) not in self._kept:
            made = self._prepare(group, number)
            size = 0 if made is None else made.nbytes
            # What does not fit is made again at each call: slower, and never out of memory.
            if size > self._room:
                return made
            self._room -= size
            self._kept[group, number] = made
        return self._kept[group, number]

    def _prepare(self, group: int, number: int) -> Prepared | None:
        first, last, block = self._segments[number]
        chosen = np.flatnonzero(self._chosen[group, number])
        if not chosen.size:
            return None
        seen, floor = self._raise_cells(group, slice(first, last), chosen)
        digits = slice_count(max(1, int(seen.max(initial=0)).bit_length()), DIGIT_BITS)
        rows = 4 * NIBBLES
        nibbles = -(-(last - first) // rows) * NIBBLES
        tables = align_bytes((len(chosen), digits, nibbles, 16))
        lookup.make_tables(seen, tables)
        settings = self._settings(group, number, chosen)
        return Prepared(Tables(tables, floor), self._entries(group, block, chosen), settings)

    def _raise_cells(self, group: int, rows: slice, chosen: IntArray) -> tuple[IntArray, IntArray]:
        """What each conversion sees of each row, made positive; axes: conversion, row."""
        cells = self.step.cells.unpack((group, rows))
        if not self.step.periphery.a_sign.size:
            seen = np.ascontiguousarray(cells.T[chosen])
            return seen, np.zeros(len(seen), dtype=np.int32)
        # A difference of cells may be negative, and tables hold no signs: the least one is taken
        # out and added back for each wordline that is on.
        signed = np.asarray(self._a[chosen] @ cells.T.astype(np.int32))
        floor = np.minimum(signed.min(axis=1, initial=0), 0)
        raised = np.ascontiguousarray((signed - floor[:, None]).astype(np.uint16))
        return raised, floor.astype(np.int32)

    def _rows(self, number: int, nibbles: int) -> Int64Array:
        """Input of each wordline of a segment; the last one, which is zero, for those beyond it."""
        first, last, _ = self._segments[number]
        rows = np.full(4 * nibbles, self.step.inputs, dtype=np.int64)
        rows[: last - first] = self.step.tiling.row_input[first:last]
        return rows

    def _pack_planes(self, codes: IntArray, number: int, nibbles: int) -> Planes:
        """Nibbles of bit planes of the wordlines of a segment."""
        size, _, vectors = codes.shape
        chunks, rows = vectors // LANES, self._rows(number, nibbles)
        packed = align_bytes((chunks, 8 * size, nibbles, LANES))
        counts = np.zeros((chunks, 8 * size, LANES + 1), dtype=np.int32)
        self._share(
            partial(lookup.pack_planes, codes, rows, packed, counts), chunks, 8 * size * nibbles
        )
        return Planes(packed, counts)

    def _share(self, work: Callable[[tuple[int, int]], None], chunks: int, each: int) -> None:
        """Deal chunks over threads, where there is enough to do (`each` lookups a chunk)."""
        threads = min(self._threads or available_cores(), chunks)
        if threads < 2 or chunks * each < _WORTH_THREADS:
            work((0, chunks))
            return
        bounds = [chunks * part // threads for part in range(threads + 1)]
        list(_pool().map(work, pairwise(bounds)))

    def _entries(self, group: int, block: int, chosen: IntArray) -> Entries:
        """Entries of `R` of the conversions that are chosen."""
        terms = self.step.periphery.r_terms(group, block)
        place = np.full(self.step.conversions, -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        where = place[terms.conversion]
        kept = np.flatnonzero((terms.sign != 0) & (where >= 0))
        # Entries of one conversion side by side, so that its codes are joined while they are in
        # registers.
        order = kept[np.argsort(where[kept], kind="stable")]
        output = terms.output[order].astype(np.int64)
        values = np.stack([output, terms.sign[order], terms.exponent[order]])
        return Entries(values, np.searchsorted(where[order], np.arange(len(chosen) + 1)))

    def _settings(self, group: int, number: int, chosen: IntArray) -> AnyArray:
        """lo, step and largest code; axes: which, conversion, input slice or 1."""
        adc = self.step.adc
        parts = []
        for array in (adc.lo, adc.step, (np.int64(1) << adc.bits.astype(np.int64)) - 1):
            part = array[group % array.shape[0], number % array.shape[1]]
            part = np.broadcast_to(part, (self.step.conversions, part.shape[1]))
            parts.append(part[chosen])
        slices = max(part.shape[1] for part in parts)
        spread = [np.broadcast_to(part, (part.shape[0], slices)) for part in parts]
        return np.stack(spread).astype(np.int32)


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available_cores(), thread_name_prefix="xbarc")


def fits_lookup(step: CrossbarStep) -> bool:
    """Whether 16-bit sums and 32-bit codes hold everything that the compiled loop adds."""
    rows = int(np.diff(step.tiling.segment_bounds).max(initial=0))
    columns = np.bincount(step.periphery.a_conversion.astype(np.int64)).max(initial=2)
    per_row = int(columns) * ((1 << step.cells.bits) - 1)
    top = (1 << step.dac_bits) - 1
    lo = max(-int(step.adc.lo.min(initial=0)), int(step.adc.lo.max(initial=0)))
    step_size = int(step.adc.step.max(initial=1))
    if int(step.adc.bits.max(initial=1)) > 24:
        return False
    code = (1 << int(step.adc.bits.max(initial=1))) * step_size + lo
    joined = code << (step.dac_bits * step.input_slices)
    sums = 2 * (rows * per_row * top + lo) + step_size
    small = max(per_row, rows * ((1 << DIGIT_BITS) - 1)) < _WIDEST_SUM
    return small and joined < _WIDEST_JOINED and sums < _WIDEST_JOINED


def _code_bytes(codes: IntArray, padded: int) -> UInt8Array:
    """Bytes of codes; axes: byte, input and a row of zeros, lane of all chunks.

    Lane `2 i + h` of a chunk holds its vector `i + 16 h`, as `shuffle.lane_order` says.
    """
    vectors, inputs = codes.shape
    size = codes.dtype.itemsize if codes.dtype.itemsize <= 2 else 2
    out = np.zeros((size, inputs + 1, padded // LANES, LANES // 2, 2), dtype=np.uint8)
    whole = vectors // LANES
    tail = np.zeros((inputs, LANES), dtype=codes.dtype)
    tail[:, : vectors % LANES] = codes.T[:, whole * LANES :]
    for first, part in ((0, codes.T[:, : whole * LANES]), (whole, tail)):
        chunks = part.reshape(inputs, -1, 2, LANES // 2)[:, : padded // LANES - first]
        for byte, half in product(range(size), range(2)):
            plane = chunks[:, :, half] if size == 1 else (chunks[:, :, half] >> (8 * byte)) & 255
            out[byte, :inputs, first : first + chunks.shape[1], :, half] = plane
    return out.reshape(size, inputs + 1, padded)


def align_bytes(shape: tuple[int, ...]) -> AnyArray:
    """Uninitialised bytes that start on a 64-byte border."""
    size = int(np.prod(shape))
    memory = np.empty(size + 64, dtype=np.uint8)
    # A cache line: vector loads that are declared as aligned would fault otherwise.
    start = -memory.ctypes.data % 64
    return memory[start : start + size].reshape(shape)
