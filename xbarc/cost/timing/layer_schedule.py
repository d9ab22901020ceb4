"""When each layer works: the exact schedule of one inference, and the rate of many.

A layer takes an input vector as soon as its window is there, in the order of memory. Digital
fragments pass positions on as far as their operators allow. Times are whole picoseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from xbarc.cost.hardware import arrays_of_step
from xbarc.cost.timing.critical_path import PathPart, ScheduledStep, critical_path
from xbarc.cost.timing.digital_nodes import Flow, fragment_flows, last_need
from xbarc.cost.timing.position_grids import (
    Grid,
    channels,
    input_grid,
    positions_held,
    result_grid,
    vector_grid,
)
from xbarc.cost.timing.position_needs import Reaches
from xbarc.cost.timing.ready_times import (
    Rounds,
    Stream,
    last_user,
    most_alive,
    needed_position,
    run_rounds,
    whole,
)
from xbarc.cost.timing.vector_timing import Timing
from xbarc.ir import CrossbarStep, Dense, DigitalFragment, DynamicInput, Program
from xbarc.numerics import (
    ANOTHER_LIMIT,
    Int64Array,
    limit_in_words,
    memory_limit,
    short_repr,
    show_size,
)
from xbarc.rows import Picosecond, RoundPicosecond, Row, Share, fact
from xbarc.target import Target

# Picoseconds in a nanosecond. Times are whole numbers: sums are exact, and equal means equal.
PS = 1000
_DIGITAL = "digital "
_EMPTY: Int64Array = np.zeros(0, dtype=np.int64)


class LayerSchedule(Row, form="ScheduledRow"):
    """One layer in the schedule of one inference."""

    name: str = fact("name of the layer", head="layer")
    copies: int = fact("input vectors at a time, count", head="copies>")
    rounds: int = fact("how often its arrays work, one after the other, count", head="rounds>")
    round_ps: RoundPicosecond = fact("time of one round on the arrays, {unit}", head="round ns>")
    start_ps: Picosecond = fact("begin of its first round, {unit}", head="begin us>")
    end_ps: Picosecond = fact("when its last result is there, {unit}", head="end us>")
    busy_ps: Picosecond = fact("time that its arrays work in one inference, {unit}")
    utilization: Share = fact("busy time over the interval of inferences, 0 to 1", head="works>")
    buffer_positions: int = fact("most input positions held at once, count")
    buffer_bytes: int = fact("bytes of those, count", head="buffer bytes>")
    waits_for_all: str = fact(
        "why it waits for its whole input; empty: it does not",
        head="waits for its whole input because",
    )


@dataclass(frozen=True)
class Schedule:
    """The schedule of a program.

    Attributes:
        layers: in execution order.
        latency_ps: from the first input to the last result of an idle chip.
        interval_ps: time between two inferences that follow each other at full rate.
        bottleneck: what decides the interval.
        path: the critical path, in the order of time, without gaps.
        utilization: share of the arrays' time that is work, at full rate.
        digital_ps: time that digital units work in one inference; None where the target has no rate
            for them, and then it is no part of latency and interval.
    """

    layers: tuple[LayerSchedule, ...]
    latency_ps: int
    interval_ps: int
    bottleneck: str
    path: tuple[PathPart, ...]
    utilization: float
    digital_ps: int | None = None

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class LayerRun:
    """What a layer does in one inference, round by round, and what its buffer holds.

    Attributes:
        arrays: of one copy.
        vectors: input vectors; each takes one copy for one round.
        arrive, leave: when each input position comes, and when it is no longer needed, ps; axis:
            position.
        position_bytes: of one position.
    """

    name: str
    arrays: int
    vectors: int
    rounds: Rounds
    arrive: Int64Array
    leave: Int64Array
    position_bytes: int


@dataclass(eq=False)
class _State:
    """Values that are ready, arrays that are free, and what was learnt on the way."""

    target: Target
    free: Int64Array
    grids: Mapping[str, Grid]
    streams: dict[str, Stream] = field(default_factory=dict)
    makers: dict[str, ScheduledStep] = field(default_factory=dict)
    layers: list[LayerSchedule] = field(default_factory=list)
    runs: list[LayerRun] = field(default_factory=list)
    loads: list[tuple[str, int]] = field(default_factory=list)
    busy: Int64Array = field(default_factory=lambda: _EMPTY)


MOST_POSITIONS = 1 << 25
"""Of one layer: times of 33 million vectors, a picture of 5,800 x 5,800, take a minute."""
_BYTES_A_POSITION = 96
"""Of each layer: begins, ends and needs as int64, and copies of them; 89 were measured."""


def schedule(
    program: Program, timings: Mapping[str, Timing], copies: Mapping[str, int] | None = None
) -> Schedule | None:
    """Schedule a program; None where `why_unscheduled` says why there is no schedule.

    A layer whose input shape is not known takes no time: its results are there with its input.

    Args:
        program: what runs.
        timings: time of one input vector, by the name of the layer.
        copies: how often each layer's weights stand there; once by default.
    """
    state = _run(program, timings, copies)
    return None if state is None else _finish_schedule(program, state)


def layer_runs(
    program: Program, timings: Mapping[str, Timing], copies: Mapping[str, int]
) -> tuple[LayerRun, ...]:
    """What each layer of a schedule does, round by round; nothing where there is no schedule.

    Args:
        program: what runs.
        timings: as for `schedule`.
        copies: as for `schedule`.
    """
    state = _run(program, timings, copies)
    return () if state is None else tuple(state.runs)


def _run(
    program: Program, timings: Mapping[str, Timing], copies: Mapping[str, int] | None
) -> _State | None:
    """One inference, step by step; None where there is no schedule."""
    # Before anything of the size of a feature map is made.
    if why_unscheduled(program):
        return None
    found = {step.name: positions_held(step) for step in program.crossbar_steps}
    none = np.zeros(program.arrays, dtype=np.int64)
    grids = {step.input: input_grid(step) or () for step in program.crossbar_steps}
    state = _State(program.target, none.copy(), grids, busy=none.copy())
    for step in program.steps:
        if isinstance(step, DigitalFragment):
            _digital(step, state)
        elif found[step.name] is None:
            _pass_on(step, state)
        else:
            _crossbar(step, timings[step.name], (copies or {}).get(step.name, 1), state)
    return state


def why_unscheduled(program: Program) -> str:
    """Why there is no schedule; empty where there is one."""
    found = {step.name: positions_held(step) for step in program.crossbar_steps}
    sizes = {name: size for name, size in found.items() if size is not None}
    if found and not sizes:
        return "the input shape of no layer is known"
    large = [name for name, size in sizes.items() if size > MOST_POSITIONS]
    if large:
        return f"{large[0]} has {sizes[large[0]]:,} positions, a schedule holds {MOST_POSITIONS:,}"
    need = _BYTES_A_POSITION * sum(sizes.values())
    if need <= memory_limit():
        return ""
    return (
        f"a schedule of {sum(sizes.values()):,} positions takes {show_size(need)},"
        f" {limit_in_words()}; {ANOTHER_LIMIT}"
    )


def _crossbar(step: CrossbarStep, timing: Timing, copies: int, state: _State) -> None:
    source = input_grid(step) or ()
    grid, reaches = vector_grid(step, source)
    stream = state.streams.get(step.input, whole(0))
    why = _why_all(step, stream, source, reaches)
    lined_up = not why and stream.grid == source
    need = needed_position(grid, source, reaches) if lined_up else None
    total = int(np.prod(grid))
    ready = np.full(total, stream.last) if need is None else stream.ready[need]
    arrays = arrays_of_step(step)
    # Layers that share arrays take turns: the later one in the file waits until the earlier one is
    # through.
    ready = np.maximum(ready, state.free[arrays].max(initial=0))
    rounds = run_rounds(ready, copies, round(timing.vector_ns * PS), round(timing.fill_ns * PS))
    sent = _sent(step, rounds.finish, copies, arrays.size, state)
    out, vector = result_grid(step, source, grid)
    if total:
        made = Stream(out, sent if vector is None else sent[vector])
    else:  # a transposed convolution of nothing may have a result: its biases
        made = Stream(out, np.full(int(np.prod(out)), stream.last))
    node = ScheduledStep(step.name, ((step.input, need),), rounds, copies, vector, made)
    state.streams[step.output], state.makers[step.output] = made, node
    _occupy(step, stream, source, (grid, reaches if lined_up else None), rounds, state)
    state.layers.append(_layer(step, node, rounds, why))


def _pass_on(step: CrossbarStep, state: _State) -> None:
    """A layer that is left out: its result is there when its whole input is."""
    made = whole(state.streams[step.input].last if step.input in state.streams else 0)
    state.streams[step.output] = made
    state.makers[step.output] = ScheduledStep(step.name, ((step.input, None),), None, 1, None, made)


def _occupy(
    step: CrossbarStep,
    stream: Stream,
    source: Grid,
    vectors: tuple[Grid, Reaches],
    rounds: Rounds,
    state: _State,
) -> None:
    """Arrays until the last round, and the buffer until the last use of each position."""
    arrays = arrays_of_step(step)
    end = int(rounds.start[-1]) + rounds.interval if rounds.start.size else 0
    state.free[arrays] = np.maximum(state.free[arrays], end)
    state.busy[arrays] += rounds.interval * rounds.start.size
    arrive, leave = _held(stream, source, vectors, rounds)
    size = -(-channels(step, source) * step.input_bits // 8)
    total = rounds.finish.size
    state.runs.append(LayerRun(step.name, arrays.size, total, rounds, arrive, leave, size))


def _why_all(step: CrossbarStep, stream: Stream, source: tuple[int, ...], reaches: Reaches) -> str:
    """Why a layer waits for its whole input; empty where it does not."""
    if isinstance(step.quantizer, DynamicInput) and not isinstance(step.geometry, Dense):
        return "its range is taken from the whole input at run time"
    if stream.grid != source:
        return "" if not stream.last else "what comes before gives its results all at once"
    return "" if reaches is not None else "its matrices change from position to position"


def _sent(
    step: CrossbarStep, finish: Int64Array, copies: int, arrays: int, state: _State
) -> Int64Array:
    """Results after the link of the layer's tiles, where the target gives links a time."""
    costs, tree = state.target.costs, state.target.hierarchy
    hop = 0 if costs.hop is None else round(costs.hop.value * PS)
    if costs.link_rate is None or tree.network == "none":
        return finish + hop
    # More tiles send side by side: each has a link of its own.
    tiles = max(1, copies * arrays // (tree.arrays_per_macro * tree.macros_per_tile))
    size = step.groups * step.outputs * -(-step.input_bits // 8)
    each = round(PS * size / (costs.link_rate.value * tiles))
    state.loads.append((f"link of {step.name}", each * finish.size))
    return run_rounds(finish, 1, each, hop).finish


def _held(
    stream: Stream, source: Grid, vectors: tuple[Grid, Reaches], rounds: Rounds
) -> tuple[Int64Array, Int64Array]:
    """When each input position comes, and when it is no longer needed."""
    count = int(np.prod(source))
    arrive = stream.ready if stream.grid == source else np.full(count, stream.last)
    end = int(rounds.start[-1]) + rounds.interval if rounds.start.size else 0
    users = last_user(vectors[0], source, vectors[1])
    # Where nothing says who needs a position last, it is held until the layer is done.
    if users is None or not rounds.start.size:
        return arrive, np.full(count, end)
    return arrive, rounds.start[users // rounds.copies] + rounds.interval


def _layer(step: CrossbarStep, node: ScheduledStep, rounds: Rounds, why: str) -> LayerSchedule:
    return LayerSchedule(
        name=step.name,
        copies=node.copies,
        rounds=int(rounds.start.size),
        round_ps=rounds.interval,
        start_ps=int(rounds.start[0]) if rounds.start.size else 0,
        end_ps=int(rounds.finish.max(initial=0)),
        busy_ps=rounds.interval * int(rounds.start.size),
        utilization=0.0,
        buffer_positions=0,
        buffer_bytes=0,
        waits_for_all=why,
    )


def _digital(step: DigitalFragment, state: _State) -> None:
    known = {name: state.streams[name].grid for name in step.inputs if name in state.streams}
    for output, flow in fragment_flows(step, known).items():
        _digital_output(step, output, _as_read(output, flow, state), state)


def _as_read(output: str, flow: Flow, state: _State) -> Flow:
    """What comes all at once, where the layer that reads it has other positions than were found."""
    hint = state.grids.get(output, ())
    # Another rank is a reshape that the reader resolves; the same rank with other extents would
    # pair wrong positions.
    same = len(hint) != len(flow.grid) or hint == flow.grid
    return flow if same else Flow((), {name: last_need(need) for name, need in flow.needs.items()})


def _digital_output(step: DigitalFragment, output: str, flow: Flow, state: _State) -> None:
    ready = np.zeros(int(np.prod(flow.grid)) if flow.grid else 1, dtype=np.int64)
    for name, need in flow.needs.items():
        stream = state.streams[name]
        ready = np.maximum(ready, stream.last if need is None else stream.ready[need])
    rate = state.target.costs.digital_rate
    if rate is not None:
        each = round(PS * sum(count for _, count in step.operators) / rate.value)
        state.loads.append((f"{_DIGITAL}{step.name}", each * ready.size))
        ready = run_rounds(ready, 1, each, 0).finish
    made = Stream(flow.grid, ready)
    sources = tuple(flow.needs.items())
    state.makers[output] = ScheduledStep(step.name, sources, None, 1, None, made)
    state.streams[output] = made


def _finish_schedule(program: Program, state: _State) -> Schedule:
    made = [state.streams[v.name].last for v in program.outputs if v.name in state.streams]
    latency = max(made, default=max((layer.end_ps for layer in state.layers), default=0))
    interval, bottleneck = _interval(state)
    layers = tuple(
        _at_full_rate(layer, run, interval)
        for layer, run in zip(state.layers, state.runs, strict=True)
    )
    path = critical_path(state.makers, latency)
    work = _digital_time(state) if program.digital_steps else 0
    share = _utilization(state, interval)
    return Schedule(layers, latency, interval, bottleneck, path, share, work)


def _utilization(state: _State, interval: int) -> float:
    """Share of the time of all arrays, copies included, in which they work."""
    pairs = zip(state.layers, state.runs, strict=True)
    stand = [layer.copies * run.arrays for layer, run in pairs]
    work = sum(all_of * layer.busy_ps for all_of, layer in zip(stand, state.layers, strict=True))
    arrays = sum(stand)
    return work / (arrays * interval) if arrays and interval else 0.0


def _digital_time(state: _State) -> int | None:
    if state.target.costs.digital_rate is None:
        return None
    return sum(time for name, time in state.loads if name.startswith(_DIGITAL))


def _interval(state: _State) -> tuple[int, str]:
    """The busiest of arrays, links and digital units, and its name."""
    found = list(state.loads)
    found += [(layer.name, layer.busy_ps) for layer in state.layers]
    shared = int(state.busy.max(initial=0))
    name, most = max(found, key=lambda item: item[1], default=("", 0))
    # Layers on common arrays load them together: their sum may exceed what any layer takes alone.
    return (shared, "arrays that layers share") if shared > most else (most, name)


def _at_full_rate(layer: LayerSchedule, run: LayerRun, interval: int) -> LayerSchedule:
    """What a layer holds, and how much of the time it works, while inferences follow at once."""
    alive = most_alive(run.arrive, run.leave, interval)
    return replace(
        layer,
        utilization=layer.busy_ps / interval if interval else 0.0,
        buffer_positions=alive,
        buffer_bytes=alive * run.position_bytes,
    )
