"""Real cells by table lookup: what fits it, and the arguments of the compiled loop.

Contributions lie on a grid on which sums have 24 bits, so integers carry them as exactly as float32
does, and a shuffle of bytes adds four cells of 32 vectors at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from xbarc.circuit import WORDS, stream_of
from xbarc.executor.lanes import DIGITS, NIBBLES
from xbarc.executor.loop_arguments import Draw, NoisyReading, Planes, Reading, RunningTotals, Tables
from xbarc.executor.noise import NOISE_BITS, NOISE_EFFECT, Noise, numbers_of_vector, quantiles
from xbarc.executor.saturating import (
    Prepared,
    SaturatingLayer,
    align_bytes,
    announce_compilation,
)
from xbarc.ir import CrossbarStep, LayerTrace
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, BoolArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.executor import digit_loop, lookup, noisy_loop, noisy_read
else:
    lookup = lazy_module("xbarc.executor.lookup")
    noisy_read = lazy_module("xbarc.executor.noisy_read")
    noisy_loop = lazy_module("xbarc.executor.noisy_loop")
    digit_loop = lazy_module("xbarc.executor.digit_loop")

# A window of a sum: 16 bits less the two that offsets and the sign need, of 24 less the lowest ten.
_WINDOW_BITS = 14
_LOWEST_BITS = 10  # as above

# Tables whose digits are widened to 16 bits without overflow: 1,000 x 63 and their carries.
_MOST_ROWS = 4000

# Quantiles end at 4.2.
_MOST_SIGMAS = 5.0

# Of the largest number on the way, what the eight roundings of float32 can add up to.
_ROUNDING = 2.0**-20

# Share of a code in which the definition decides in place of float32, at most; it is .0003 for sums
# of 128 levels.
_WIDEST_WINDOW = 1 / 64

# Different spreads of one segment; each takes 64 bytes per vector.
_MOST_KINDS = 8

_NO_FLOOR = np.zeros(0, dtype=np.int32)

# Planes whose codes are joined in 16 bits, the most first.
_TOGETHER = (16, 8, 4, 2)


@dataclass(frozen=True, eq=False)
class NoisyCells:
    """How sums with noise are read.

    Attributes:
        reading: by the compiled loop.
        variances: cells that a conversion sees of each row, then the variance of its converter in
            each input slice or in all; axes: kind, number.
        kinds: of conversions; axis: conversion.
    """

    reading: NoisyReading
    variances: Float64Array
    kinds: Int64Array


@dataclass(frozen=True, eq=False)
class RealCells:
    """What conversions of one segment see of its rows, on a grid, and how they are read.

    Attributes:
        seen: contributions in level units; axes: conversion, row.
        bits: of the grid behind the point.
        reading: of their sums.
        noisy: of sums with noise.
    """

    seen: AnyArray
    bits: int
    reading: Reading
    noisy: NoisyCells | None = None


def real_cells(seen: AnyArray, bits: int, settings: Float64Array, planes: int) -> RealCells | None:
    """The cells of a segment for the compiled loop; None where its numbers are too narrow.

    Args:
        seen: contributions in level units; axes: conversion, row.
        bits: of the grid behind the point.
        settings: lo, step and largest code; axes: which, conversion, input slice or 1.
        planes: of an input.
    """
    if not digit_loop.HAS_SHUFFLE:
        return None
    cells = _whole_steps(seen, bits)
    low = np.minimum(cells, 0).sum(axis=1, dtype=np.int64) >> _LOWEST_BITS
    reach = (np.maximum(cells, 0).sum(axis=1, dtype=np.int64) >> _LOWEST_BITS) - low
    lo, step, top = settings.astype(np.int64)
    half = ((step << (bits - 1)) - (lo << bits)) >> _LOWEST_BITS
    offset, shift = half + low[:, None], bits - _LOWEST_BITS
    factor, divides = _factors(step, (reach[:, None] + offset) >> shift)
    together = _planes_together(int((step * top).max(initial=0)))
    fits = (
        seen.shape[1] <= _MOST_ROWS
        and reach.max(initial=0) < 1 << _WINDOW_BITS
        and np.abs(offset).max(initial=0) <= 1 << _WINDOW_BITS
        and np.abs(low).max(initial=0) < 1 << 15
        and top.max(initial=0) < 1 << 15
        and divides.all()
        and together > 0
    )
    if not fits:
        return None
    numbers = np.zeros((len(step), planes, digit_loop.SETTINGS), dtype=np.int64)
    for place, part in enumerate((low[:, None], offset, top, factor, step)):
        numbers[..., place] = part
    weights = np.int64(1) << np.arange(planes)
    offsets = (np.broadcast_to(lo, (len(lo), planes)) * weights).sum(axis=1)
    packed = numbers.astype(np.uint16).view(np.int16)
    return RealCells(seen, bits, Reading(packed, offsets, shift, bool((step != 1).any()), together))


def _whole_steps(seen: AnyArray, bits: int) -> AnyArray:
    """Contributions in steps of the grid, of which they are multiples."""
    steps: AnyArray = np.rint(np.ldexp(seen.astype(np.float64), bits)).astype(np.int32)
    return steps


def _planes_together(largest: int) -> int:
    """Planes whose codes, of this largest value, join to 16 bits; 0 where not even two do."""
    return next((p for p in _TOGETHER if ((1 << p) - 1) * largest < 1 << 16), 0)


def _factors(step: Int64Array, largest: Int64Array) -> tuple[Int64Array, BoolArray]:
    """Whose product with a sum, less its low 16 bits, divides by the step; and whether it does.

    `w (m step - 2**16) < 2**16` is enough for whole numbers `w` up to the largest.

    Args:
        step: of converters.
        largest: sum, in steps of 1; shape of `step`.
    """
    factor = (1 << 16) // step + 1
    excess = factor * step - (1 << 16)
    single = step == 1  # is not multiplied: 2**16 + 1 has 17 bits
    found: BoolArray = single | ((factor < 1 << 16) & (largest * excess < 1 << 16))
    return np.where(single, 0, factor), found


def with_noise(
    cells: RealCells, settings: Float64Array, reads: Float64Array, noise: Noise
) -> RealCells | None:
    """Cells whose sums have noise; None where float32 cannot decide almost all of them.

    Args:
        cells: without noise.
        settings: lo, step and largest code; axes: which, conversion, input slice or 1.
        reads: cells that a conversion sees of each row; axis: conversion.
        noise: of reads and converters.
    """
    lo, step, top = settings
    planes = cells.reading.settings.shape[1]
    own = np.square(step * noise.adc)
    spread = np.column_stack([reads, own])
    variances, kinds = np.unique(spread, axis=0, return_inverse=True)
    rows = cells.seen.shape[1]
    sigma = np.sqrt(rows * noise.cell**2 * reads.max(initial=0) + own.max(initial=0))
    sums = float(np.abs(cells.seen).sum(axis=1).max(initial=0))
    offset = float(np.abs(step / 2 - lo).max(initial=0))
    reach = (sums + offset + _MOST_SIGMAS * float(sigma)) * 2.0**cells.bits
    window = (1 + reach * _ROUNDING) * 2.0**-cells.bits
    joined = float((np.abs(lo) + step * top).max(initial=0)) * 2.0**planes
    if reach >= 1 << 30 or joined >= 1 << 31 or window > _WIDEST_WINDOW:
        return None
    if len(variances) > _MOST_KINDS:
        return None
    numbers = _noisy_settings(settings, cells.bits)
    reading = NoisyReading(cells.reading.settings, numbers, cells.bits, window)
    return replace(cells, noisy=NoisyCells(reading, variances, kinds.reshape(-1)))


def _noisy_settings(settings: Float64Array, bits: int) -> AnyArray:
    """As `noisy_read.SETTINGS` says; axes: conversion, input slice or 1, number."""
    lo, step, top = settings.astype(np.int64)
    grid = 1 << bits
    numbers = np.zeros((*lo.shape, noisy_read.SETTINGS), dtype=np.int32)
    scale = 1 / (step * grid).astype(np.float32)
    parts = (step * (grid >> 1) - lo * grid, scale.view(np.int32), lo, step, top)
    for place, part in enumerate(parts):
        numbers[..., place] = part
    return numbers


class AnalogTables(SaturatingLayer):
    """Segments of one layer on one chip.

    Args:
        step: the layer.
        cells: of segments, by group and number; the others add nothing.
        threads: as for `SaturatingLayer`.
    """

    def __init__(
        self, step: CrossbarStep, cells: Mapping[tuple[int, int], RealCells], threads: int
    ) -> None:
        chosen = np.zeros((step.groups, len(step.tiling.segment_bounds) - 1, 1), dtype=np.bool_)
        for place in cells:
            chosen[place] = True
        super().__init__(step, np.repeat(chosen, step.conversions, axis=2), threads=threads)
        self._cells = cells

    def announce(self) -> None:
        """Say that loops are about to be compiled, unless that was done before."""
        announce_compilation(digit_loop.convert_and_add)

    def _prepare(self, group: int, number: int) -> Prepared | None:
        cells = self._cells.get((group, number))
        if cells is None:
            return None
        everything = np.arange(self.step.conversions)
        nibbles = -(-cells.seen.shape[1] // (4 * NIBBLES)) * NIBBLES
        tables = align_bytes((len(everything), nibbles, DIGITS, 16))
        digit_loop.make_tables(_whole_steps(cells.seen, cells.bits), tables)
        block = self._segments[number][2]
        entries = self._entries(group, block, everything)
        return Prepared(Tables(tables, _NO_FLOOR), entries, cells.reading.settings)

    def accumulate_from(
        self, first: int, vectors: IntArray, trace: LayerTrace | None
    ) -> Int64Array:
        """As `accumulate`, where so many vectors came before."""
        del first
        return self.accumulate(vectors, trace)

    def _segment(self, codes: IntArray, group: int, number: int, totals: RunningTotals) -> None:
        ready = self.ready(group, number)
        if ready is None:
            return
        reading = self._cells[group, number].reading
        packed = self._pack_planes(codes, number, ready.cells.sums.shape[1]).packed
        work = partial(
            digit_loop.convert_and_add,
            *(ready.cells.sums, packed, reading, ready.entries, totals),
        )
        self._share(work, len(packed), ready.cells.sums.size // 16 * self.step.input_bits)


class NoisyTables(AnalogTables):
    """The same with noise.

    Args:
        step: the layer.
        cells: as for `AnalogTables`, of sums with noise.
        noise: of reads and converters.
        threads: as for `SaturatingLayer`.
    """

    def __init__(
        self,
        step: CrossbarStep,
        cells: Mapping[tuple[int, int], RealCells],
        noise: Noise,
        threads: int,
    ) -> None:
        super().__init__(step, cells, threads)
        self._noise = noise
        self._first = 0

    def announce(self) -> None:
        """Say that loops are about to be compiled, unless that was done before."""
        announce_compilation(noisy_loop.convert_and_add)

    def accumulate_from(
        self, first: int, vectors: IntArray, trace: LayerTrace | None
    ) -> Int64Array:
        """As `accumulate`, where so many vectors came before."""
        self._first = first
        return self.accumulate(vectors, trace)

    def _segment(self, codes: IntArray, group: int, number: int, totals: RunningTotals) -> None:
        ready, noisy = self.ready(group, number), self._noisy(group, number)
        if ready is None or noisy is None:
            return
        inputs = self._pack_planes(codes, number, ready.cells.sums.shape[1])
        lookup.count_planes(*inputs)
        draw = self._draw(noisy, inputs, (group, number))
        work = partial(
            noisy_loop.convert_and_add,
            *(ready.cells.sums, inputs.packed, noisy.reading, draw, ready.entries, totals),
        )
        self._share(work, len(inputs.packed), ready.cells.sums.size // 16 * self.step.input_bits)

    def _noisy(self, group: int, number: int) -> NoisyCells | None:
        cells = self._cells.get((group, number))
        return None if cells is None else cells.noisy

    def _draw(self, noisy: NoisyCells, inputs: Planes, segment: tuple[int, int]) -> Draw:
        """Where the noise of a segment comes from."""
        step, noise = self.step, self._noise
        driven = inputs.counts[:, : step.input_bits, lookup.LANE].transpose(1, 0, 2)
        power = driven.reshape(step.input_bits, -1).astype(np.float64) * noise.cell**2
        reads, own = noisy.variances[:, :1, None], noisy.variances[:, 1:, None]
        # Of one layout, or the longest loop there is would be compiled twice.
        sigma = np.ascontiguousarray(np.sqrt(power * reads + own) * 2.0**noisy.reading.bits)
        key, place = stream_of(noise.seed, NOISE_EFFECT, noise.place(step, segment))
        numbers = numbers_of_vector(step.conversions, step.input_slices)
        stride = np.uint64(numbers * NOISE_BITS // 64 // WORDS)
        first = np.uint64(self._first) * stride + np.uint64(1)  # numpy counts before it draws
        rounded = align_bytes((*sigma.shape, 4)).view(np.float32)[..., 0]
        rounded[:] = sigma
        return Draw(key, place, first, stride, quantiles(), sigma, rounded, noisy.kinds)


def make_tables(
    step: CrossbarStep, cells: Mapping[tuple[int, int], RealCells], noise: Noise, threads: int
) -> AnalogTables:
    """Tables for some segments of a layer, with noise where there is any."""
    if noise:
        return NoisyTables(step, cells, noise, threads)
    return AnalogTables(step, cells, threads)
