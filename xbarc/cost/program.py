"""The cost of a program: every step counted, hardware shared out, totals summed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial, reduce
from operator import add
from typing import Literal

import numpy as np

from xbarc.cost.counts import Counts
from xbarc.cost.hardware import Allocation, allocate, bits_decided, places_of, share_of, with_copies
from xbarc.cost.mesh import MeshPlacement, placement
from xbarc.cost.step_counts import vector_counts
from xbarc.cost.timing import (
    PS,
    LayerRun,
    Policy,
    Schedule,
    Timing,
    copies_for,
    layer_runs,
    schedule,
    stands,
    step_timing,
    why_unscheduled,
)
from xbarc.ir import CrossbarStep, Program, positions
from xbarc.memo import Memo
from xbarc.numerics import Int64Array, count_levels, short_repr
from xbarc.rows import Row, fact
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class LayerCost:
    """Counts of one crossbar layer.

    Attributes:
        positions: input vectors of one inference, None where the input's shape is not known.
        copies: how often its weights stand there.
        vector: what one input vector does.
        counts: what one inference does, and the layer's share of the hardware; what happens is
            left at zero where positions are unknown.
        latency_ns: time that its arrays work in one inference, None where positions are unknown.
        levels: cells at each level of one copy; axis: level.
    """

    step: CrossbarStep
    positions: int | None
    copies: int
    vector: Counts
    counts: Counts
    timing: Timing
    latency_ns: float | None
    levels: Int64Array

    __repr__ = short_repr


class LeftOut(Row, form="LeftOutRow"):
    """Work that no total holds, because its amount is not known."""

    name: str = fact("name of the layer or fragment")
    kind: Literal["crossbar", "digital"] = fact(
        "crossbar: all that a layer does; digital: multiply-accumulates of an operator"
    )
    reason: str = fact("the operator that it depends on, and why")


@dataclass(frozen=True, eq=False)
class ProgramCost:
    """Counts of a whole program.

    Attributes:
        layers: in execution order.
        counts: of one inference, and of all hardware; meaningful for what `unknown` leaves out.
        levels: cells at each level over all layers, one copy of each.
        policy: how copies were chosen.
        arrays_once: arrays without copies.
        schedule: of the layers that can be counted; None where none can.
        placement: places of tiles; None without a mesh, or where a shape is not known.
        left_out: what no count of what happens holds, and why; empty where all is known.
        unscheduled: why there is no schedule; empty where there is one.
    """

    layers: tuple[LayerCost, ...]
    counts: Counts
    levels: Int64Array
    policy: Policy
    arrays_once: int
    schedule: Schedule | None
    placement: MeshPlacement | None
    left_out: tuple[LeftOut, ...]
    unscheduled: str = ""

    def __repr__(self) -> str:
        return f"<ProgramCost of {len(self.layers):,} layers, copies: {self.policy}>"

    @property
    def alone(self) -> Counts:
        """Counts of an inference that follows no other: what is on stays on for its latency."""
        plan = self.schedule
        longer = plan.latency_ps / plan.interval_ps if plan and plan.interval_ps else 1.0
        return self.counts.on_for(longer)

    @property
    def crossbars_counted(self) -> bool:
        """Whether any layer on crossbars could be counted, or there is none."""
        return not self.layers or any(layer.positions is not None for layer in self.layers)

    @property
    def digital_counted(self) -> bool:
        """Whether any digital work could be counted, or there is none."""
        return self.counts.digital_macs > 0 or all(
            left.kind == "crossbar" for left in self.left_out
        )

    @property
    def latency_ns(self) -> float | None:
        """From the first input to the last result, layers overlapping."""
        return None if self.schedule is None else self.schedule.latency_ps / PS

    @property
    def interval_ns(self) -> float | None:
        """Time between two inferences at full rate."""
        return None if self.schedule is None else self.schedule.interval_ps / PS


def program_cost(
    program: Program, policy: Policy | None = None, memo: Memo | None = None
) -> ProgramCost:
    """Count a program.

    Args:
        program: what is counted.
        policy: how weights are duplicated; none by default.
        memo: what was found for other programs.

    Raises:
        MappingError: the policy cannot be met.
    """
    target, chosen, known = program.target, policy or Policy(), memo or Memo()
    converters = places_of(program)
    timings = {
        step.name: step_timing(step, target, converters[step.name])
        for step in program.crossbar_steps
    }
    copies = _copies(program, timings, chosen)
    plan = schedule(program, timings, copies)
    allocation = with_copies(allocate(program, converters), program, copies)
    on = _time_on(plan)
    decided = {
        step.name: bits_decided(step, allocation, target, converters[step.name])
        for step in program.crossbar_steps
    }
    layers = tuple(
        _layer(
            step,
            target,
            allocation,
            (timings[step.name], Counts(bit_steps=decided[step.name])),
            (copies[step.name], on.get(step.name, 0.0)),
            known.of(step.cells, "levels", partial(count_levels, step.cells)),
        )
        for step in program.crossbar_steps
    )
    # After copies: each has tiles of its own.
    places = placement(program, copies, known)
    # Bytes and hops together: a router is paid for each that a byte passes.
    layers = _count_routed(layers, places)
    macs = sum(step.macs or 0 for step in program.digital_steps)
    happened = reduce(add, (layer.counts for layer in layers), Counts(digital_macs=macs))
    levels = np.zeros(1 << target.cell.bits, dtype=np.int64)
    for layer in layers:
        levels += layer.levels
    return ProgramCost(
        layers=layers,
        counts=_with_hardware(happened, allocation.total),
        levels=levels,
        policy=chosen,
        arrays_once=program.arrays,
        schedule=plan,
        placement=places,
        left_out=(*_layers_left_out(layers), *_digital_left_out(program)),
        unscheduled="" if plan is not None else why_unscheduled(program),
    )


def program_runs(program: Program, cost: ProgramCost) -> tuple[LayerRun, ...]:
    """What each layer does in one inference, round by round; nothing where there is no schedule.

    Args:
        program: what was counted.
        cost: of it, with the copies that were chosen.
    """
    timings = {layer.step.name: layer.timing for layer in cost.layers}
    return layer_runs(program, timings, {layer.step.name: layer.copies for layer in cost.layers})


def _count_routed(
    layers: tuple[LayerCost, ...], places: MeshPlacement | None
) -> tuple[LayerCost, ...]:
    """What routers carry by the places of tiles, where those are known."""
    if places is None:
        return layers
    carried = places.byte_hops
    return tuple(
        replace(layer, counts=replace(layer.counts, router_bytes=carried[layer.step.name]))
        for layer in layers
    )


def _copies(program: Program, timings: dict[str, Timing], policy: Policy) -> dict[str, int]:
    layers = stands(program, timings)
    if layers is None:
        return {step.name: 1 for step in program.crossbar_steps}
    found = copies_for(layers, policy, program.arrays)
    return {step.name: found.get(step.name, 1) for step in program.crossbar_steps}


def _time_on(plan: Schedule | None) -> dict[str, float]:
    """The interval at full rate, shared out over the layers by the time that each works.

    What is always on serves one inference an interval: that is its share of the energy.
    """
    if plan is None:
        return {}
    work = sum(layer.busy_ps for layer in plan.layers)
    # By work and not by arrays: a layer that works all the time keeps the chip awake.
    share = plan.interval_ps / work / PS if work else 0.0
    return {layer.name: layer.busy_ps * share for layer in plan.layers}


def _layer(
    step: CrossbarStep,
    target: Target,
    allocation: Allocation,
    found: tuple[Timing, Counts],
    stands_and_on: tuple[int, float],
    levels: Int64Array,
) -> LayerCost:
    (timing, decided), (copies, on) = found, stands_and_on
    vector = vector_counts(step, target) + decided
    count = input_vectors(step)
    latency = None if count is None else -(-count // copies) * timing.vector_ns
    total = allocation.total
    held = replace(
        share_of(step, allocation, copies),
        cells_written=step.cells.count * copies,
        array_time_ns=total.arrays * on,
        macro_time_ns=total.macros * on,
        tile_time_ns=total.tiles * on,
        chip_time_ns=total.chips * on,
        link_time_ns=total.linked_chips * on,
    )
    # Unknown positions count nothing here, and `left_out` says so; a guess would look like a
    # figure.
    counts = held + vector.times(count or 0)
    return LayerCost(step, count, copies, vector, counts, timing, latency, levels)


def input_vectors(step: CrossbarStep) -> int | None:
    """Input vectors of one inference, None where the shape does not tell."""
    if step.input_shape is None:
        return None
    try:
        return positions(step.geometry, step.input_shape)
    # A shape with an open axis has no count.
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


def _layers_left_out(layers: tuple[LayerCost, ...]) -> Iterator[LeftOut]:
    for layer in layers:
        if layer.positions is None:
            reason = layer.step.uncounted or "the shape of its input is not known"
            yield LeftOut(layer.step.name, "crossbar", reason)


def _digital_left_out(program: Program) -> Iterator[LeftOut]:
    for step in program.digital_steps:
        reasons = step.uncounted
        if step.macs is None and not reasons:
            reasons = ("its multiply-accumulates are not known",)
        yield from (LeftOut(step.name, "digital", reason) for reason in reasons)
