"""Cycles and latencies of a layer, by the rules of the README of the hardware figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost.counting import reads_of_arrays, segments_of_block
from xbarc.cost.hardware import adc_places
from xbarc.ir.program import CrossbarStep
from xbarc.numerics.types import IntArray
from xbarc.target import Target


@dataclass(frozen=True)
class Timing:
    """Time of one input vector, before positions multiply it.

    Attributes:
        conversions_per_adc: most conversions that one converter makes in a cycle.
        segments: reads of the busiest array for one input slice, one after another.
        read_ns: the array's own time.
        convert_ns: time of the busiest converter; it overlaps the next read (sample and hold).
        cycle_ns: the longer of the two.
        vector_ns: segments x input slices x cycle.
    """

    conversions_per_adc: int
    segments: int
    read_ns: float
    convert_ns: float
    cycle_ns: float
    vector_ns: float


def step_timing(step: CrossbarStep, target: Target) -> Timing:
    """Time one input vector of a layer."""
    conversions = _conversions_per_adc(step, target)
    segments = int(reads_of_arrays(step, target).max(initial=0))
    read = target.costs.cycle.value
    convert = conversions / target.adc.rate.value
    cycle = max(read, convert)
    vector = segments * step.input_slices * cycle
    return Timing(conversions, segments, read, convert, cycle, vector)


def _conversions_per_adc(step: CrossbarStep, target: Target) -> int:
    """Most conversions of one converter in one read: of a block, or of all that is read at once."""
    places = adc_places(step, target)
    if not places.size:
        return 0
    of_block = _longest_run(np.sort(places, axis=2))
    if int(segments_of_block(step).max()) > 1:
        return of_block
    by_converter = int(np.unique(places, return_counts=True)[1].max())
    together = max(1, target.array.active_rows // int(np.diff(step.tiling.row_bounds).min()))
    return min(by_converter, of_block * together)


def _longest_run(places: IntArray) -> int:
    """Longest run of equal numbers along the last axis."""
    new = np.ones(places.shape, dtype=np.bool_)
    new[:, :, 1:] = places[:, :, 1:] != places[:, :, :-1]
    return int(np.diff(np.flatnonzero(new), append=places.size).max())
