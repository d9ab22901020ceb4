"""Layers whose converters can saturate: tables, packed planes and the compiled loop over them."""

from __future__ import annotations

import numpy as np

from xbarc.executor import lookup
from xbarc.executor.shuffle import DIGIT_BITS, LANES, NIBBLES
from xbarc.ir.effective import conversion_matrix
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.numerics import slice_count
from xbarc.numerics.types import AnyArray, BoolArray, Int64Array, IntArray

_WIDEST_SUM = 1 << 16
_WIDEST_JOINED = 1 << 31
_TABLE_ROOM = 1 << 25
"""Bytes of tables that a layer keeps between calls; larger layers make theirs again."""


class SaturatingLayer:
    """Conversions of a layer that are not provably lossless, slice by slice.

    Args:
        step: the layer.
        chosen: which conversions to execute; axis: conversion. Others add nothing.
        anywhere: take the loop that needs no special CPU.
    """

    def __init__(
        self, step: CrossbarStep, chosen: BoolArray | None = None, *, anywhere: bool = False
    ) -> None:
        self.step = step
        self._chosen = np.flatnonzero(np.ones(step.conversions) if chosen is None else chosen)
        a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        self._a = a.astype(np.int32)[self._chosen]
        self._kept: dict[tuple[int, int], tuple[AnyArray, AnyArray]] = {}
        self._room = _TABLE_ROOM
        bounds = [int(b) for b in step.tiling.segment_bounds]
        blocks = step.tiling.segment_block.tolist()
        self._segments = list(zip(bounds[:-1], bounds[1:], blocks, strict=True))
        self._run = lookup.convert_and_add_anywhere if anywhere else lookup.convert_and_add

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None) -> Int64Array:
        """Axes: vector, group, input -> vector, group, output; without `beta`."""
        step, count = self.step, vectors.shape[0]
        chunks = -(-count // LANES)
        acc = np.zeros((step.groups, step.outputs, chunks * LANES), dtype=np.int64)
        missed = np.zeros((chunks, LANES), dtype=np.int32)
        for group in range(step.groups):
            codes = np.ascontiguousarray(vectors[:, group])
            for number in range(len(self._segments)):
                self._segment(codes, group, number, acc[group], missed)
        if trace is not None:
            trace.saturated += int(missed.reshape(-1)[:count].sum())
        return acc.transpose(2, 0, 1)[:count]

    def _segment(
        self, codes: IntArray, group: int, number: int, acc: Int64Array, missed: IntArray
    ) -> None:
        first, last, block = self._segments[number]
        tables, floor = self._tables(group, first, last)
        packed, counts = self._packed(codes, first, last, tables.shape[2])
        entries, starts = self._entries(group, block)
        adc = self._settings(group, number)
        self._run(
            tables, floor, packed, counts, adc, self.step.dac_bits, entries, starts, acc, missed
        )

    def _tables(self, group: int, first: int, last: int) -> tuple[AnyArray, AnyArray]:
        """Lookup tables of what each conversion sees, and what was taken off to be positive."""
        if (group, first) in self._kept:
            return self._kept[group, first]
        seen, floor = self._seen(group, first, last)
        digits = slice_count(max(1, int(seen.max(initial=0)).bit_length()), DIGIT_BITS)
        rows = 4 * NIBBLES
        nibbles = -(-(last - first) // rows) * NIBBLES
        tables = _aligned((len(self._chosen), digits, nibbles, 16))
        lookup.make_tables(seen, tables)
        if self._room >= tables.nbytes:
            self._room -= tables.nbytes
            self._kept[group, first] = tables, floor
        return tables, floor

    def _seen(self, group: int, first: int, last: int) -> tuple[IntArray, IntArray]:
        """What each conversion sees of each row, made positive; axes: conversion, row."""
        cells = self.step.cells.unpack((group, slice(first, last)))
        if not self.step.periphery.a_sign.size:
            seen = np.ascontiguousarray(cells.T[self._chosen])
            return seen, np.zeros(len(seen), dtype=np.int32)
        signed = np.asarray(self._a @ cells.T.astype(np.int32))
        floor = np.minimum(signed.min(axis=1, initial=0), 0)
        raised = np.ascontiguousarray((signed - floor[:, None]).astype(np.uint16))
        return raised, floor.astype(np.int32)

    def _packed(
        self, codes: IntArray, first: int, last: int, nibbles: int
    ) -> tuple[AnyArray, AnyArray]:
        chunks = -(-codes.shape[0] // LANES)
        rows = np.full(4 * nibbles, -1, dtype=np.int64)
        rows[: last - first] = self.step.tiling.row_input[first:last]
        planes = self.step.input_bits
        packed = _aligned((chunks, planes, nibbles, LANES))
        counts = np.zeros((chunks, planes, LANES + 1), dtype=np.int32)
        lookup.pack_planes(codes, rows, lookup.SPREAD, packed, counts)
        return packed, counts

    def _entries(self, group: int, block: int) -> tuple[AnyArray, AnyArray]:
        """Entries of `R` sorted by conversion: output, sign, exponent; and where each starts."""
        p = self.step.periphery
        code = p.r_code[group % p.r_code.shape[0], block % p.r_code.shape[1]].astype(np.int64)
        place = np.full(self.step.conversions, -1, dtype=np.int64)
        place[self._chosen] = np.arange(len(self._chosen))
        where = place[p.r_conversion]
        kept = np.flatnonzero((code != 0) & (where >= 0))
        order = kept[np.argsort(where[kept], kind="stable")]
        exponent = np.abs(code[order]) - 1
        entries = np.stack([p.r_output[order].astype(np.int64), np.sign(code[order]), exponent])
        starts = np.searchsorted(where[order], np.arange(len(self._chosen) + 1))
        return entries, starts

    def _settings(self, group: int, number: int) -> AnyArray:
        """lo, step and largest code; axes: which, conversion, input slice or 1."""
        adc = self.step.adc
        parts = []
        for array in (adc.lo, adc.step, (np.int64(1) << adc.bits.astype(np.int64)) - 1):
            part = array[group % array.shape[0], number % array.shape[1]]
            part = np.broadcast_to(part, (self.step.conversions, part.shape[1]))
            parts.append(part[self._chosen])
        slices = max(part.shape[1] for part in parts)
        spread = [np.broadcast_to(part, (part.shape[0], slices)) for part in parts]
        return np.stack(spread).astype(np.int32)


def fits_lookup(step: CrossbarStep) -> bool:
    """Whether 16-bit sums and 32-bit codes hold everything that the compiled loop adds."""
    rows = int(np.diff(step.tiling.segment_bounds).max(initial=0))
    per_row = 2 * ((1 << step.cells.bits) - 1)
    top = (1 << step.dac_bits) - 1
    lo, step_size = np.abs(step.adc.lo).max(initial=0), step.adc.step.max(initial=1)
    if int(step.adc.bits.max(initial=1)) > 24:
        return False
    code = (1 << int(step.adc.bits.max(initial=1))) * int(step_size) + int(lo)
    joined = code << (step.dac_bits * step.input_slices)
    sums = 2 * (rows * per_row * top + int(lo)) + int(step_size)
    small = rows * ((1 << DIGIT_BITS) - 1) < _WIDEST_SUM
    return small and joined < _WIDEST_JOINED and sums < _WIDEST_JOINED


def _aligned(shape: tuple[int, ...]) -> AnyArray:
    """Uninitialised bytes that start on a 64-byte border."""
    size = int(np.prod(shape))
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].reshape(shape)
