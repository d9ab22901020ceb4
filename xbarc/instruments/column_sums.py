"""Counting the column sums of a layer that is executed without converters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from xbarc.executor import (
    Accumulate,
    CollapsedLayer,
    ReferenceLayer,
    SaturatingLayer,
    Tap,
    fits_lookup,
)
from xbarc.ir import CrossbarStep, SumStatistics, conversion_kinds, sum_ranges
from xbarc.lazy import lazy_module
from xbarc.numerics import Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.instruments import histogram_loop
else:
    histogram_loop = lazy_module("xbarc.instruments.histogram_loop")

if TYPE_CHECKING:
    from xbarc.executor import lookup
else:
    lookup = lazy_module("xbarc.executor.lookup")

# Of a histogram; sums of a wider span share bins. Converters from data have 10 bits at most where a
# budget chooses them, so a bin is a quarter of their step.
_MOST_BINS = 1 << 12
# 64 MiB of counters for a layer. Where row blocks would need more, they share one histogram.
_MOST_COUNTERS = 1 << 23


@dataclass(frozen=True, eq=False)
class Bins:
    """Where the sums of one row block are counted.

    Attributes:
        kinds: of each conversion.
        low, width: sum of the first bin, and sums of a bin.
        counts: is added to; axes: kind, input slice, bin.
    """

    kinds: Int64Array
    low: int
    width: int
    counts: Int64Array


class ColumnSums(Protocol):
    """The column sums of a layer, whatever its cells are."""

    @property
    def product(self) -> Accumulate:
        """What the layer gives without converters."""

    def span(self) -> tuple[int, int]:
        """Least and largest sum that there can be."""

    def count(self, vectors: IntArray, group: int, segment: int, bins: Bins) -> None:
        """Count the sums of one group and segment; axes of `vectors`: vector, group, input."""


class SumCounter:
    """Counts column sums of a layer.

    Args:
        step: the layer; its converter settings are not used.
        sums: of its cells; None takes ideal ones.
    """

    def __init__(self, step: CrossbarStep, sums: ColumnSums | None = None) -> None:
        self.step = step
        self._sums = sums or _IdealSums(step)
        self._kinds = conversion_kinds(step)[0]
        self._room = self._seen = 0
        self._low, high = self._sums.span()
        span = high - self._low + 1
        self._width = -(-span // _MOST_BINS)
        bins = -(-span // self._width)
        kinds, blocks = int(self._kinds.max(initial=0)) + 1, len(step.tiling.row_bounds) - 1
        each = kinds * step.input_slices * bins
        self._blocks = blocks if blocks * each <= _MOST_COUNTERS else 1
        shape = (self._blocks, kinds, step.input_slices, bins)
        self._counts = np.zeros(shape, dtype=np.int64)

    def take(self, conversions: int) -> None:
        """Count this many conversions from now on; others pass through."""
        self._room = conversions

    @property
    def engine(self) -> Tap:
        """The layer without converters; counts while conversions are to be counted."""
        return Tap(self._sums.product, self.add, looking=lambda: self._room > 0)

    def product(self, vectors: IntArray) -> IntArray:
        """The products without converters, not counted; axes: vector, group, output."""
        return self._sums.product.accumulate(vectors)

    @property
    def statistics(self) -> SumStatistics:
        """What was counted."""
        return SumStatistics(self._counts, self._low, self._width, self._seen)

    def add(self, vectors: IntArray) -> None:
        """Count the sums of some vectors, spread evenly; axes: vector, group, input."""
        step = self.step
        each = int(np.prod(_places(step))) * step.input_slices
        count = min(len(vectors), -(-self._room // max(1, each)))
        if count <= 0:
            return
        self._room -= count * each
        # Evenly spread: neighbours in a picture make nearly the same sums.
        chosen = vectors[np.linspace(0, len(vectors) - 1, count).astype(np.int64)]
        self._seen += count
        blocks = step.tiling.segment_block % self._blocks
        for group in range(step.groups):
            for segment, block in enumerate(blocks.tolist()):
                bins = Bins(self._kinds, self._low, self._width, self._counts[block])
                self._sums.count(chosen, group, segment, bins)


class _IdealSums:
    """Sums of whole levels, by the tables of the saturating engine where those hold them."""

    def __init__(self, step: CrossbarStep) -> None:
        self._step = step
        self.product = CollapsedLayer(step, np.ones(_places(step), dtype=np.bool_))
        self._by_tables = _Tables(step) if fits_lookup(step) else None

    def span(self) -> tuple[int, int]:
        """Least and largest sum, from the cells and what is known of the inputs."""
        low, high = sum_ranges(self._step)
        return int(low.min(initial=0)), int(high.max(initial=0))

    def count(self, vectors: IntArray, group: int, segment: int, bins: Bins) -> None:
        """Count the sums of one group and segment."""
        own = vectors[:, group]
        if self._by_tables is not None:
            self._by_tables.count(own, (group, segment), bins)
        else:
            self._count_plainly(own, group, segment, bins)

    def _count_plainly(self, vectors: IntArray, group: int, segment: int, bins: Bins) -> None:
        """Sums beyond 16 bits: as the reference makes them."""
        reference = ReferenceLayer(self._step)
        columns = reference.column_sums(vectors, group, segment)
        for s in range(self._step.input_slices):
            sums = reference.sums(columns[s])
            index = (sums - bins.low) // bins.width
            np.add.at(bins.counts[:, s], (np.broadcast_to(bins.kinds, sums.shape), index), 1)


class _Tables(SaturatingLayer):
    """The tables and packed planes of the saturating engine, counted instead of converted."""

    def count(self, vectors: IntArray, place: tuple[int, int], bins: Bins) -> None:
        """Count the sums of one group and segment."""
        self.announce()
        codes = self.code_bytes(vectors)
        ready = self.ready(*place)
        if ready is None:
            return
        inputs = self.pack_inputs(codes, place[1], ready)
        bits = (self.step.input_bits, self.step.dac_bits)
        scale = (bins.low, bins.width)
        rest = (bins.kinds, len(vectors), scale, bins.counts)
        histogram_loop.count_sums(ready.cells, inputs, bits, *rest)


def _places(step: CrossbarStep) -> tuple[int, int, int]:
    return step.groups, len(step.tiling.segment_bounds) - 1, step.conversions
