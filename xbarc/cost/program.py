"""The cost of a program: every step counted, hardware shared out, totals summed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np

from xbarc.cost.counting import vector_counts
from xbarc.cost.counts import Counts
from xbarc.cost.hardware import Allocation, allocate, share_of
from xbarc.cost.levels import level_counts
from xbarc.cost.timing import Timing, step_timing
from xbarc.ir.geometry import positions
from xbarc.ir.program import CrossbarStep, Program
from xbarc.numerics.types import Float64Array, Int64Array


@dataclass(frozen=True, eq=False)
class LayerCost:
    """Counts of one crossbar layer.

    Attributes:
        positions: input vectors of one inference, None where the input's shape is not known.
        vector: what one input vector does.
        counts: what one inference does, and the layer's share of the hardware; what happens is
            left at zero where positions are unknown.
        latency_ns: of one inference, None where positions are unknown.
        levels: cells at each level; axis: level.
    """

    step: CrossbarStep
    positions: int | None
    vector: Counts
    counts: Counts
    timing: Timing
    latency_ns: float | None
    levels: Int64Array


@dataclass(frozen=True, eq=False)
class ProgramCost:
    """Counts of a whole program.

    Attributes:
        layers: in execution order.
        counts: of one inference, and of all hardware; meaningful for what `unknown` leaves out.
        levels: cells at each level over all layers.
        latency_ns: sum over the layers: nothing overlaps in this model.
        interval_ns: time between two inferences in a pipeline: the busiest array.
        unknown: why what happens, or digital work, could not be counted; empty where all is known.
    """

    layers: tuple[LayerCost, ...]
    counts: Counts
    levels: Int64Array
    latency_ns: float | None
    interval_ns: float | None
    unknown: Unknown


@dataclass(frozen=True)
class Unknown:
    """Reasons, empty where there is none."""

    positions: str = ""
    digital: str = ""


def program_cost(program: Program) -> ProgramCost:
    """Count a program."""
    allocation = allocate(program)
    layers = tuple(_layer(step, program, allocation) for step in program.crossbar_steps)
    unknown = Unknown(_unknown_positions(layers), _unknown_digital(program))
    macs = sum(step.macs or 0 for step in program.digital_steps)
    happened = reduce(add, (layer.counts for layer in layers), Counts(digital_macs=macs))
    levels = np.zeros(1 << program.target.cell.bits, dtype=np.int64)
    for layer in layers:
        levels += layer.levels
    return ProgramCost(
        layers=layers,
        counts=_with_hardware(happened, allocation.total),
        levels=levels,
        latency_ns=_sum_latency(layers),
        interval_ns=_interval(layers, program.arrays),
        unknown=unknown,
    )


def _layer(step: CrossbarStep, program: Program, allocation: Allocation) -> LayerCost:
    target = program.target
    vector, timing = vector_counts(step, target), step_timing(step, target)
    count = input_vectors(step)
    latency = None if count is None else count * timing.vector_ns
    on = latency or 0.0
    held = replace(
        share_of(step, allocation),
        cells_written=step.cells.count,
        tile_time_ns=allocation.total.tiles * on,
        link_time_ns=allocation.total.linked_chips * on,
    )
    counts = held + vector.times(count or 0)
    return LayerCost(step, count, vector, counts, timing, latency, level_counts(step.cells))


def input_vectors(step: CrossbarStep) -> int | None:
    """Input vectors of one inference, None where the shape does not tell."""
    if step.input_shape is None:
        return None
    try:
        return positions(step.geometry, step.input_shape)
    except ValueError:
        return None


def _with_hardware(counts: Counts, hardware: Counts) -> Counts:
    """Whole arrays and converters of the program, not the sum of shares with its rounding."""
    return replace(
        counts,
        arrays=hardware.arrays,
        adcs=hardware.adcs,
        macros=hardware.macros,
        tiles=hardware.tiles,
        chips=hardware.chips,
        linked_chips=hardware.linked_chips,
    )


def _unknown_positions(layers: tuple[LayerCost, ...]) -> str:
    names = [layer.step.name for layer in layers if layer.positions is None]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"the input shape of {shown} is not known; give the model fixed sizes"


def _unknown_digital(program: Program) -> str:
    names = [step.name for step in program.digital_steps if step.macs is None]
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    return f"the multiply-accumulates of {shown} are not known"


def _sum_latency(layers: tuple[LayerCost, ...]) -> float | None:
    known = [layer.latency_ns for layer in layers if layer.latency_ns is not None]
    return sum(known) if len(known) == len(layers) else None


def _interval(layers: tuple[LayerCost, ...], arrays: int) -> float | None:
    """Layers that share an array cannot overlap, so their times add up there."""
    busy: Float64Array = np.zeros(arrays, dtype=np.float64)
    for layer in layers:
        if layer.latency_ns is None:
            return None
        busy[np.unique(layer.step.tiling.array)] += layer.latency_ns
    return float(busy.max(initial=0.0))
