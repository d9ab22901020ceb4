"""The sums that each conversion of a program meets on some inputs, and how many clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.executor import ReferenceLayer, StepRunner, Values, check_feeds, run_steps, saturates
from xbarc.ir import CrossbarStep, Program, slice_ranges
from xbarc.numerics import Int64Array, IntArray

BINS = 34
"""Of a conversion's histogram: bars of eight pixels in the inspector of a page."""

# Counters of a layer: 64 MiB as 32-bit numbers.
_MOST_COUNTERS = 1 << 24
# Cells times vectors times input slices: about a second of a product that is exact in floats.
_PRODUCTS = 1 << 31
# Vectors of a layer and batch: its histogram then has a thousand sums and more.
_MOST_VECTORS = 256


@dataclass(frozen=True, eq=False)
class ConversionSums:
    """Sums of each conversion of a layer; axes of the arrays: group, segment, conversion.

    Attributes:
        vectors: input vectors that were looked at; each gives a sum in every input slice.
        least, most: between which bins lie: possible sums and the range of the converter.
        clipped: sums beyond the converter, as `LayerTrace.saturated` counts them.
        counts: sums in `BINS` equal parts from `least` to `most`; last axis: bin.
    """

    vectors: int
    least: Int64Array
    most: Int64Array
    clipped: Int64Array
    counts: IntArray


class ConversionCounter:
    """Counts the sums of a layer's conversions, by the reference engine.

    Args:
        step: a layer with converters.
    """

    def __init__(self, step: CrossbarStep) -> None:
        self._step, self._engine, self._vectors = step, ReferenceLayer(step), 0
        shape = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions)
        self._least, self._most = _axis(step, shape)
        self._clipped = np.zeros(shape, dtype=np.int64)
        self._counts = np.zeros((*shape, BINS), dtype=np.uint32)

    def add(self, vectors: IntArray) -> None:
        """Count the sums of some vectors, spread evenly; axes: vector, group, input."""
        step = self._step
        each = step.cells.count * step.input_slices
        count = min(len(vectors), int(np.clip(_PRODUCTS // max(1, each), 1, _MOST_VECTORS)))
        # Evenly spread: neighbours in a picture make nearly the same sums.
        chosen = vectors[np.linspace(0, len(vectors) - 1, count).astype(np.int64)]
        self._vectors += len(chosen)
        for group, segment in np.ndindex(self._clipped.shape[:2]):
            columns = self._engine.column_sums(chosen[:, group], group, segment)
            for cycle in range(step.input_slices):
                self._count(self._engine.sums(columns[cycle]), (group, segment), cycle)

    def _count(self, sums: Int64Array, place: tuple[int, int], cycle: int) -> None:
        """Sums of one cycle; axes: vector, conversion."""
        adc, group, segment = self._step.adc, *place
        lo, step, bits = (
            part[group % part.shape[0], segment % part.shape[1], :, cycle % part.shape[3]]
            for part in (adc.lo, adc.step, adc.bits)
        )
        self._clipped[place] += saturates(sums, lo, step, bits).sum(axis=0)
        least, most = self._least[place], self._most[place]
        index = (sums - least) * BINS // (most - least + 1)
        flat = (index + BINS * np.arange(sums.shape[1])).reshape(-1)
        found = np.bincount(flat, minlength=BINS * sums.shape[1])
        self._counts[place] += found.reshape(-1, BINS).astype(np.uint32)

    def sums(self) -> ConversionSums:
        """What was counted."""
        return ConversionSums(self._vectors, self._least, self._most, self._clipped, self._counts)


def _axis(step: CrossbarStep, shape: tuple[int, int, int]) -> tuple[Int64Array, Int64Array]:
    low, high = slice_ranges(step)
    lo, adc = step.adc.lo.astype(np.int64), step.adc
    last = lo + adc.step.astype(np.int64) * ((np.int64(1) << adc.bits.astype(np.int64)) - 1)
    least = np.minimum(low.min(axis=3), np.broadcast_to(lo.min(axis=3), shape))
    most = np.maximum(high.max(axis=3), np.broadcast_to(last.max(axis=3), shape))
    return least, most


def count_sums(
    program: Program, batches: Sequence[Values], threads: int = 0
) -> dict[str, ConversionSums]:
    """Run a program and count the sums that its converters meet; by the name of the layer.

    Left out are layers with sense amplifiers, whose thresholds are no range, and layers of so many
    conversions that their counters would fill the memory.

    Args:
        program: what runs; errors of earlier converters included.
        batches: its inputs.
        threads: 0 takes all.

    Raises:
        InputError: inputs with wrong names, shapes or types.
    """
    counters = {
        step.name: ConversionCounter(step) for step in program.crossbar_steps if _is_counted(step)
    }
    runner = StepRunner(threads=threads, taps={name: one.add for name, one in counters.items()})
    for feeds in batches:
        run_steps(program.steps, check_feeds(program.inputs, feeds), runner)
    return {name: counter.sums() for name, counter in counters.items()}


def _is_counted(step: CrossbarStep) -> bool:
    places = step.groups * (len(step.tiling.segment_bounds) - 1) * step.conversions
    return step.sense is None and places * BINS <= _MOST_COUNTERS
