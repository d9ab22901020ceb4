"""Cycles and latencies of a layer, by the rules of the README of the hardware figures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost.counting import first_of_array, segments_of_block
from xbarc.cost.hardware import adc_places
from xbarc.ir.program import CrossbarStep
from xbarc.target import Target


@dataclass(frozen=True)
class Timing:
    """Time of one input vector, before positions multiply it.

    Attributes:
        conversions_per_adc: most conversions that one converter makes in a cycle.
        segments: segments that one array runs after another.
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
    segments = _segments_in_sequence(step)
    read = target.costs.cycle.value
    convert = conversions / target.adc.rate.value
    cycle = max(read, convert)
    vector = segments * step.input_slices * cycle
    return Timing(conversions, segments, read, convert, cycle, vector)


def _conversions_per_adc(step: CrossbarStep, target: Target) -> int:
    """Longest run of one converter's number within a group and row block, which read together."""
    places = np.sort(adc_places(step, target), axis=2)
    if not places.size:
        return 0
    new = np.ones(places.shape, dtype=np.bool_)
    new[:, :, 1:] = places[:, :, 1:] != places[:, :, :-1]
    starts = np.flatnonzero(new)
    return int(np.diff(starts, append=places.size).max())


def _segments_in_sequence(step: CrossbarStep) -> int:
    """Segments of the busiest array: blocks of other rows or groups wait for each other."""
    arrays, first = first_of_array(step)
    if not arrays.size:
        return 0
    segments = np.broadcast_to(segments_of_block(step)[None, :, None], arrays.shape)
    return int(np.bincount(arrays[first], segments[first]).max())
