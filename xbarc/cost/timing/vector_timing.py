"""Cycles and latencies of a layer, by the rules of the README of the hardware figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from xbarc.cost.converters import LawCosts
from xbarc.cost.hardware import adc_places
from xbarc.cost.step_counts import (
    is_converted,
    join_segments,
    reads_of_arrays,
    segments_of_block,
    slice_widths,
)
from xbarc.ir import CrossbarStep
from xbarc.numerics import BoolArray, IntArray
from xbarc.rows import Row, fact
from xbarc.target import Target

_NONE = -1
"""In place of a converter: no conversion is made."""


class Timing(Row, form="TimingRow"):
    """How long one input vector takes."""

    segments: int = fact("segments that one array runs one after another, count")
    conversions_per_adc: int = fact("conversions of the busiest converter in a cycle, count")
    read_ns: float = fact("one array read, ns")
    convert_ns: float = fact("all conversions of a cycle, ns")
    cycle_ns: float = fact("the longer of the two, ns", head="cycle ns>")
    limit: Literal["array read", "conversion"] = fact("which of the two is longer", head="limit")
    vector_ns: float = fact("one input vector: all cycles of all segments, ns")
    fill_ns: float = fact(
        "from the end of `vector_ns` to the result, while the next vector is under way, ns",
        default=0.0,
        inside=True,
    )


def step_timing(step: CrossbarStep, target: Target, places: IntArray | None = None) -> Timing:
    """Time one input vector of a layer.

    Args:
        step: the layer.
        target: the chip.
        places: what `adc_places` gives.
    """
    known = adc_places(step, target) if places is None else places
    compared = step.sense.levels if step.sense else 1
    conversions = [compared * count for count in _conversions_per_adc(step, target, known)]
    segments = int(reads_of_arrays(step, target).max(initial=0))
    bits = step.adc.bits.max(axis=(0, 1, 2), initial=0)
    spread = np.broadcast_to(bits, (step.input_slices,)).tolist()
    return vector_timing(target, slice_widths(step), spread, conversions, segments)


def vector_timing(
    target: Target,
    slices: Sequence[int],
    adc_bits: Sequence[int],
    conversions_per_adc: Sequence[int],
    segments: int,
) -> Timing:
    """Time one input vector.

    Args:
        target: the chip.
        slices: bits of each input slice.
        adc_bits: width of the conversions of each input slice.
        conversions_per_adc: conversions that one converter makes in the cycle of each input slice.
        segments: reads of one array for one input slice.
    """
    costs = target.costs
    cycles = [
        _cycle(target, width, bits, conversions)
        for width, bits, conversions in zip(slices, adc_bits, conversions_per_adc, strict=True)
    ]
    # The slowest cycle is shown; the time of a vector is the sum of all.
    read, convert, cycle = max(cycles, key=lambda item: item[2], default=(0.0, 0.0, 0.0))
    wait = 0.0 if costs.vector_time is None else costs.vector_time.value
    vector = segments * sum(item[2] for item in cycles)
    fill = 0.0 if costs.fill is None else costs.fill.value
    # A layer that reads nothing waits for nothing.
    vector += wait if vector else 0.0
    most = max(conversions_per_adc, default=0)
    limit: Literal["array read", "conversion"] = "conversion" if convert > read else "array read"
    return Timing(segments, most, read, convert, cycle, limit, vector, fill)


def _cycle(target: Target, width: int, bits: int, conversions: int) -> tuple[float, float, float]:
    """Read, conversion, and both together, of one input slice."""
    costs = target.costs
    levels = (1 << width) - 1
    read = costs.cycle.value + (0.0 if costs.pulse is None else costs.pulse.value * levels)
    if isinstance(costs.adc, LawCosts):
        convert = conversions * costs.adc.time_ns(bits)
    elif costs.convert_step is None:
        convert = conversions / target.adc.rate.value
    else:
        convert = conversions * bits * costs.convert_step.value
    # With sample and hold the next read runs while converters work on the last one.
    both = max(read, convert) if target.adc.overlap == "sample-and-hold" else read + convert
    return read, convert, both


def _conversions_per_adc(step: CrossbarStep, target: Target, places: IntArray) -> list[int]:
    """Most conversions of one converter in one read, for each input slice."""
    made = is_converted(step)
    found = [
        _busiest_converter(step, target, places, made[..., index]) for index in range(made.shape[3])
    ]
    return found * (step.input_slices // len(found))


def _busiest_converter(
    step: CrossbarStep, target: Target, places: IntArray, made: BoolArray
) -> int:
    """Most conversions of one converter in one read: of a block, or of all that is read at once.

    Axes of made: group or 1, segment or 1, conversion or 1.
    """
    if not made.all():
        places = np.where(_in_any_segment(step, made), places, _NONE)
    if not (places != _NONE).any():
        return 0
    of_block = _longest_run(np.sort(places, axis=2))
    if int(segments_of_block(step).max()) > 1:
        return of_block
    used = places[places != _NONE]
    by_converter = int(np.bincount(used - int(used.min())).max())
    together = max(1, target.array.active_rows // int(np.diff(step.tiling.row_bounds).min()))
    # Two bounds: all conversions of a converter, and those of as many blocks as are read at once.
    return min(by_converter, of_block * together)


def _in_any_segment(step: CrossbarStep, made: BoolArray) -> BoolArray:
    """Whether a conversion is made in some segment of its row block; axis 1: row block or 1."""
    if made.shape[1] == 1:
        return made
    return join_segments(step, np.logical_or, made)


def _longest_run(places: IntArray) -> int:
    """Longest run of equal numbers along the last axis, those that are `_NONE` apart."""
    new = np.ones(places.shape, dtype=np.bool_)
    new[:, :, 1:] = places[:, :, 1:] != places[:, :, :-1]
    starts = np.flatnonzero(new)
    lengths = np.diff(starts, append=places.size)
    return int(lengths[places.ravel()[starts] != _NONE].max())
