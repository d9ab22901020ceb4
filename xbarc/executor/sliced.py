"""Sums that may stay bytes, and each conversion by the quickest loop that it fits."""

from __future__ import annotations

from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xbarc.executor.lanes import DIGIT_BITS, LANES, NIBBLES, PAIRED
from xbarc.executor.loop_arguments import RunningTotals, Tables
from xbarc.executor.saturating import (
    Prepared,
    SaturatingLayer,
    align_bytes,
    announce_compilation,
)
from xbarc.ir import AdcSettings, CrossbarStep, LayerTrace
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, BoolArray, Int64Array, IntArray, UInt8Array

if TYPE_CHECKING:
    from xbarc.executor import byte_loop
else:
    byte_loop = lazy_module("xbarc.executor.byte_loop")

# A step above every sum that stays a byte leaves one code; beyond it, twice the step and the sum's
# own double would also leave the 16 bits in which the division by a product is exact.
_WIDEST_STEP = 255


class ByteLayer(SaturatingLayer):
    """The conversions of `byte_conversions`: sixteen vectors at a time, four cells a number."""

    lanes = PAIRED

    def announce(self) -> None:
        """Say that loops are about to be compiled, unless that was done before."""
        announce_compilation(byte_loop.convert_and_add)

    def _segment(self, codes: IntArray, group: int, number: int, totals: RunningTotals) -> None:
        ready = self.ready(group, number)
        if ready is None:
            return
        cells = ready.cells.sums
        packed = self._pack_pairs(codes, number, cells.shape[1])
        tables = _tables_of_four(self.step.cells.bits)
        work = partial(
            byte_loop.convert_and_add, tables, cells, packed, ready.adc, ready.entries, totals
        )
        self._share(work, packed.shape[0], cells.size * self.step.input_bits // 2)

    def _prepare(self, group: int, number: int) -> Prepared | None:
        """Four cells at a time as the number of their table, in place of the table."""
        first, last, block = self._segments[number]
        chosen = np.flatnonzero(self._chosen[group, number])
        if not chosen.size:
            return None
        cells, bits = self.step.cells.unpack((group, slice(first, last))), self.step.cells.bits
        rows = 4 * NIBBLES
        four = np.zeros((-(-len(cells) // rows) * NIBBLES, cells.shape[1]), dtype=np.uint16)
        for k in range(4):
            part = cells[k::4].astype(np.uint16)
            four[: len(part)] |= part << np.uint16(bits * k)
        numbers = np.ascontiguousarray(four.T if chosen.size == four.shape[1] else four.T[chosen])
        entries = self._entries(group, block, chosen)
        tables = Tables(numbers, np.zeros(0, dtype=np.int32))
        return Prepared(tables, entries, self._settings(group, number, chosen))

    def code_bytes(self, vectors: IntArray) -> UInt8Array:
        """Each code beside the code shifted down by one; axes: byte, input, lane of all chunks."""
        count, inputs = vectors.shape
        chunks, size = -(-count // PAIRED), 2 if self.step.input_bits > 8 else 1
        out = np.zeros((size, inputs + 1, chunks * PAIRED, 2), dtype=np.uint8)
        for byte, bit in product(range(size), range(2)):
            plane = vectors.T if size == 1 else (vectors.T >> (8 * byte)) & 255
            out[byte, :inputs, :count, bit] = plane.astype(np.uint8) >> bit
        return out.reshape(size, inputs + 1, chunks * LANES)

    def _settings(self, group: int, number: int, chosen: IntArray) -> AnyArray:
        """lo, step, largest code and what divides by twice the step; axes: which, conversion."""
        settings = super()._settings(group, number, chosen)[..., 0]
        return np.concatenate([settings, _magic_of(settings[1:2])[0]]).astype(np.int32)

    def _pack_pairs(self, codes: IntArray, number: int, nibbles: int) -> AnyArray:
        """Nibbles of pairs of bit planes of the wordlines of a segment."""
        size, _, lanes = codes.shape
        chunks, rows = lanes // LANES, self._rows(number, nibbles)
        pairs = _plane_pairs(self.step.input_bits)
        packed = align_bytes((chunks, size, pairs, nibbles, LANES))
        work = partial(byte_loop.pack_planes, codes, rows, packed)
        self._share(work, chunks, size * pairs * nibbles)
        return packed


def _plane_pairs(input_bits: int) -> int:
    """Pairs of bit planes that are executed for each byte of a code."""
    return 2 if input_bits <= 4 else 4


class SlicedLayer:
    """Conversions that are not provably lossless, each by the quickest loop that it fits.

    Args:
        step: the layer.
        chosen: as for `SaturatingLayer`.
        threads: as for `SaturatingLayer`.
    """

    def __init__(
        self, step: CrossbarStep, chosen: BoolArray | None = None, *, threads: int = 0
    ) -> None:
        segments = len(step.tiling.segment_bounds) - 1
        shape = (step.groups, segments, step.conversions)
        asked = np.ones(shape, dtype=np.bool_) if chosen is None else chosen
        good = byte_conversions(step)
        self._parts: list[SaturatingLayer] = []
        # Each on the conversions that suit it; accumulators of both add up to the layer's.
        for kind, some in ((ByteLayer, asked & good), (SaturatingLayer, asked & ~good)):
            if some.any():
                self._parts.append(kind(step, some, threads=threads))
        self._empty = (step.groups, step.outputs)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None) -> Int64Array:
        """As `SaturatingLayer.accumulate`."""
        if not self._parts:
            return np.zeros((len(vectors), *self._empty), dtype=np.int64)
        first, *others = (part.accumulate(vectors, trace) for part in self._parts)
        return sum(others, start=first)


def byte_conversions(step: CrossbarStep) -> BoolArray:
    """Whose sums may stop at 255, where a shuffle of bytes is at hand.

    Axes: group, segment, conversion; an axis of length 1 holds for all of that axis.
    """
    adc = step.adc
    one_setting = adc.lo.shape[3] == adc.step.shape[3] == adc.bits.shape[3] == 1
    plain = step.dac_bits == 1 and step.cells.bits <= DIGIT_BITS and not step.periphery.a_sign.size
    if not (plain and one_setting and byte_loop.HAS_SHUFFLE):
        return np.zeros((1, 1, 1), dtype=np.bool_)
    rows = int(np.diff(step.tiling.segment_bounds).max(initial=0))
    good = _stops_unseen(adc, rows * ((1 << step.cells.bits) - 1))
    if step.input_bits % (2 * _plane_pairs(step.input_bits)):
        good &= adc.lo == 0  # planes above the code's read 0, which must mean nothing
    return good[..., 0]


def _stops_unseen(adc: AdcSettings, largest: int) -> BoolArray:
    """Which settings read a sum that stops at 255 as they read the sum itself; axes of settings.

    Args:
        adc: the settings.
        largest: sum that there can be.
    """
    lo, step = adc.lo.astype(np.int64), adc.step.astype(np.int64)
    top = (np.int64(1) << adc.bits.astype(np.int64)) - 1
    last = (2 * (255 - lo) + step) // (2 * step)
    near = (lo >= 0) & (lo <= 255) & (step <= _WIDEST_STEP)
    narrow = lo + np.minimum(top, np.maximum(last, 0)) * step <= 257  # 255 of it fit 16 bits
    divides = _magic_of(step)[1]
    found: BoolArray = near & narrow & divides & ((last > top) | (largest <= 255))
    return found


def _magic_of(step: IntArray) -> tuple[IntArray, BoolArray]:
    """A factor whose product, less its low 16 bits, divides by twice the step, and if it does."""
    factor, right = _divisors()
    place = np.clip(step, 1, _WIDEST_STEP) - 1
    return factor[place], right[place]


@cache
def _divisors() -> tuple[IntArray, BoolArray]:
    """Factors of all steps from 1 on, tried on every number that sums of a byte can lead to."""
    steps = np.arange(1, _WIDEST_STEP + 1)
    # The usual product that divides by a constant; which steps it is right for is tried, not
    # proven.
    factor = (1 << 16) // (2 * steps) + 1
    number = np.arange(2 * 255 + _WIDEST_STEP + 1)
    right = number // (2 * steps[:, None]) == (number * factor[:, None]) >> 16
    right |= number > 2 * 255 + steps[:, None]
    return factor, right.all(axis=1)


@cache
def _tables_of_four(bits: int) -> UInt8Array:
    """Sums of each subset of four cells; axes: their levels as one number, subset."""
    levels = np.arange(1 << (4 * bits))
    found = align_bytes((len(levels), 16))
    found[:] = 0
    for k in range(4):
        level = ((levels >> (bits * k)) & ((1 << bits) - 1)).astype(np.uint8)
        found += np.outer(level, np.arange(16) >> k & 1).astype(np.uint8)
    return found
