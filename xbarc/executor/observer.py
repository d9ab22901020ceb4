"""An engine that executes a layer losslessly and counts the column sums on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xbarc.executor.fast import CollapsedLayer
from xbarc.executor.reference import ReferenceLayer
from xbarc.executor.saturating import SaturatingLayer, fits_lookup
from xbarc.ir.effective import sum_ranges
from xbarc.ir.geometry import Window
from xbarc.ir.kinds import conversion_kinds
from xbarc.ir.program import CrossbarStep
from xbarc.ir.statistics import SumStatistics
from xbarc.ir.trace import LayerTrace
from xbarc.lazy import lazy_module
from xbarc.numerics import slice_inputs
from xbarc.numerics.types import Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.executor import histogram_loop
else:
    histogram_loop = lazy_module("xbarc.executor.histogram_loop")

if TYPE_CHECKING:
    from xbarc.executor import lookup
else:
    lookup = lazy_module("xbarc.executor.lookup")

_MOST_BINS = 1 << 12
_MOST_COUNTERS = 1 << 23


class ObservingLayer:
    """Counts column sums of a layer; gives the lossless products.

    Args:
        step: the layer; its converter settings are not used.
    """

    def __init__(self, step: CrossbarStep) -> None:
        self.step = step
        everything = np.ones(_places(step), dtype=np.bool_)
        self._product = CollapsedLayer(step, everything)
        self._kinds = conversion_kinds(step)[0]
        self._room = self._seen = 0
        low, high = sum_ranges(step)
        self._low = int(low.min(initial=0))
        span = int(high.max(initial=0)) - self._low + 1
        self._width = -(-span // _MOST_BINS)
        bins = -(-span // self._width)
        kinds, blocks = int(self._kinds.max(initial=0)) + 1, len(step.tiling.row_bounds) - 1
        each = kinds * step.input_slices * bins
        self._blocks = blocks if blocks * each <= _MOST_COUNTERS else 1
        shape = (self._blocks, kinds, step.input_slices, bins)
        self._counts = np.zeros(shape, dtype=np.int64)
        self._by_tables = _Tables(step) if fits_lookup(step) else None

    def take(self, conversions: int) -> None:
        """Count this many conversions from now on; others pass through."""
        self._room = conversions

    def product(self, vectors: IntArray) -> IntArray:
        """The lossless products, without counting; axes: vector, group, output."""
        return self._product.accumulate(vectors)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As `FastLayer.accumulate` of a lossless layer."""
        del trace
        self._observe(vectors)
        return self._product.accumulate(vectors)

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """Windows are gathered as long as there is something to count."""
        del trace
        return None if self._room > 0 else self._product.convolve(padded, geometry)

    @property
    def statistics(self) -> SumStatistics:
        """What was counted."""
        return SumStatistics(self._counts, self._low, self._width, self._seen)

    def _observe(self, vectors: IntArray) -> None:
        step = self.step
        each = int(np.prod(_places(step))) * step.input_slices
        count = min(len(vectors), -(-self._room // max(1, each)))
        if count <= 0:
            return
        self._room -= count * each
        chosen = vectors[np.linspace(0, len(vectors) - 1, count).astype(np.int64)]
        self._seen += count
        for group in range(step.groups):
            self._count_group(chosen[:, group], group)

    def _count_group(self, vectors: IntArray, group: int) -> None:
        blocks = self.step.tiling.segment_block % self._blocks
        for segment, block in enumerate(blocks.tolist()):
            counts = self._counts[block]
            if self._by_tables is not None:
                scale = (self._low, self._width)
                self._by_tables.count(vectors, (group, segment), self._kinds, scale, counts)
            else:
                self._count_plainly(vectors, group, segment, counts)

    def _count_plainly(
        self, vectors: IntArray, group: int, segment: int, counts: Int64Array
    ) -> None:
        """Sums beyond 16 bits: as the reference makes them."""
        step = self.step
        first, last = (int(b) for b in step.tiling.segment_bounds[segment : segment + 2])
        wires = vectors[:, step.tiling.row_input[first:last]].astype(np.int64)
        planes = slice_inputs(wires, step.dac_bits, step.input_slices)
        reference = ReferenceLayer(step)
        levels = reference.levels(group, segment)
        for s in range(step.input_slices):
            sums = reference.sums(planes[s] @ levels)
            index = (sums - self._low) // self._width
            np.add.at(counts[:, s], (np.broadcast_to(self._kinds, sums.shape), index), 1)


class _Tables(SaturatingLayer):
    """The tables and packed planes of the saturating engine, counted instead of converted."""

    def count(
        self,
        vectors: IntArray,
        place: tuple[int, int],
        kinds: Int64Array,
        scale: tuple[int, int],
        histogram: Int64Array,
    ) -> None:
        """Count the sums of one group and segment."""
        lookup.announce_compilation()
        codes = self.code_bytes(vectors)
        ready, packed, counts = self.prepared(codes, *place)
        if ready is None:
            return
        bits = (self.step.input_bits, self.step.dac_bits)
        tables = (ready.tables, ready.floor, packed, counts)
        histogram_loop.count_sums(*tables, bits, kinds, len(vectors), scale, histogram)


def _places(step: CrossbarStep) -> tuple[int, int, int]:
    return step.groups, len(step.tiling.segment_bounds) - 1, step.conversions
