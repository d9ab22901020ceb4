from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.nets import Builder
from tests.cost.timing.simulator import Needs, Unit, same, simulate, window
from tests.frontend.onnx_models import model_file, normal
from tests.report.programs import dense_step, grouped_step, program_of, small_program, small_target
from xbarc.api import compile as compile_program
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import Schedule, program_cost, step_timing
from xbarc.cost.timing.layer_schedule import schedule
from xbarc.cost.timing.ready_times import most_alive, run_rounds
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import StaticInput

SIZE = 8


@dataclass(frozen=True)
class Part:
    """A convolution, a pool, two pools side by side, or a residual block; and how many copies."""

    kind: str
    kernel: int
    stride: int
    copies: int


@dataclass(frozen=True)
class Net:
    program: Program
    units: list[Unit]
    copies: dict[str, int]


PARTS = st.builds(
    Part,
    kind=st.sampled_from(["conv", "conv", "pool", "pool", "pools", "residual"]),
    kernel=st.sampled_from([1, 2, 3]),
    stride=st.sampled_from([1, 2]),
    copies=st.integers(1, 5),
)


def extent(size: int, kernel: int, stride: int, pad: int) -> int:
    return (size + 2 * pad - kernel) // stride + 1


def _pools(net: Builder, name: str, source: str, size: int, stride: int, units: list[Unit]) -> str:
    """The sum of two pools that reach differently far."""
    sides, units_of = [], []
    for kernel in (3, 5):
        pad = kernel // 2
        shape = {"kernel_shape": [kernel] * 2, "pads": [pad] * 4, "strides": [stride] * 2}
        sides.append(net.simple("MaxPool", name, **shape))
        out, needs = extent(size, kernel, stride, pad), window(kernel, stride, pad, size)
        units_of.append(Unit(sides[-1], out, [(source, needs)]))
    total = net.simple("Add", *sides)
    both: list[tuple[str, Needs]] = [(side, same) for side in sides]
    units += [*units_of, Unit(total, units_of[0].size, both)]
    return total


def build(parts: Sequence[Part], folder: Path, fill: float) -> Net:
    """An ONNX model of these parts, compiled, and the same as units of the simulator."""
    net, units, copies = Builder(seed=3), [], {}
    name, size, channels, source = "x", SIZE, 2, "input"

    def conv(x: str, before: str, size: int, part: Part) -> tuple[str, int]:
        nonlocal channels
        pad = part.kernel // 2
        done = net.conv(x, channels, 4, part.kernel, part.stride)
        channels = 4
        copies[done] = part.copies
        out = extent(size, part.kernel, part.stride, pad)
        needs = window(part.kernel, part.stride, pad, size)
        units.append(Unit(done, out, [(before, needs)], copies=part.copies))
        return done, out

    for part in parts:
        if part.kind == "pool" and size >= 2:
            pad = 1 if part.kernel == 3 else 0
            pads, kernel = [pad] * 4, [max(2, part.kernel)] * 2
            name = net.simple(
                "MaxPool", name, kernel_shape=kernel, strides=[part.stride] * 2, pads=pads
            )
            out = extent(size, kernel[0], part.stride, pad)
            units.append(Unit(name, out, [(source, window(kernel[0], part.stride, pad, size))]))
            size, source = out, name
        elif part.kind == "pools":
            source = name = _pools(net, name, source, size, part.stride, units)
            size = units[-1].size
        elif part.kind == "residual" and channels == 4:
            odd = replace(part, kernel=3, stride=1)
            first, _ = conv(name, source, size, odd)
            second, _ = conv(net.simple("Relu", first), first, size, replace(odd, copies=1))
            short, _ = conv(name, source, size, replace(odd, kernel=1))
            name = net.simple("Add", second, short)
            units.append(Unit(name, size, [(second, same), (short, same)]))
            source = name
        else:
            name, size = conv(name, source, size, part)
            source = name
            name = net.simple("Relu", name)
    path = folder / "net.onnx"
    flat = net.simple("Flatten", net.simple("GlobalAveragePool", name))
    net.dense(flat, channels, 3, "fc")
    net.save(path, [1, 2, SIZE, SIZE], 3)
    options = CompileOptions(weight_bits=2, activation_bits=2)
    target = small_target("array.active_rows=4", "array.rows=8", f"costs.fill={fill}")
    program = with_static_ranges(compile_model(path, target, options=options))
    times = {s.name: step_timing(s, program.target) for s in program.crossbar_steps}
    for unit in units:
        if unit.name in times:
            unit.time = round(times[unit.name].vector_ns * 1000)
            unit.fill = round(times[unit.name].fill_ns * 1000)
    return Net(program, units, {**copies, "fc": 1})


def with_static_ranges(program: Program) -> Program:
    """What calibration would give, without running anything."""
    fixed = StaticInput(bits=2, scale=1.0, zero_point=0)
    steps = (
        replace(step, quantizer=fixed) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    )
    return replace(program, steps=tuple(steps))


def planned(net: Net) -> Schedule:
    times = {s.name: step_timing(s, net.program.target) for s in net.program.crossbar_steps}
    plan = schedule(net.program, times, net.copies)
    assert plan is not None
    return plan


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example([Part("conv", 1, 1, 1), Part("pool", 3, 1, 1), Part("conv", 3, 2, 1)], 0.0)
@example([Part("pool", 2, 2, 1), Part("pool", 3, 2, 1), Part("conv", 1, 1, 1)], 70.0)
@example([Part("conv", 3, 1, 1), Part("pools", 3, 1, 1), Part("conv", 3, 2, 1)], 0.0)
@given(
    st.lists(PARTS, min_size=1, max_size=4),
    st.sampled_from([0.0, 70.0, 1234.5]),
)
def test_a_simulation_confirms_every_start_and_end(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Part], fill: float
) -> None:
    net = build(parts, tmp_path_factory.mktemp("net"), fill)
    plan = planned(net)
    seen = simulate(net.units)
    layers = {layer.name: layer for layer in plan.layers}
    units = {unit.name: unit for unit in net.units}
    for name, layer in layers.items():
        if name == "fc":
            continue
        times = seen[name].values()
        assert layer.end_ps == max(times), name
        assert layer.start_ps == min(times) - units[name].time - units[name].fill, name
        assert not layer.waits_for_all
    last = max(seen[net.units[-1].name].values())
    assert layers["fc"].start_ps == last
    assert plan.latency_ps == layers["fc"].end_ps


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(PARTS, min_size=1, max_size=3))
def test_a_simulation_of_many_inferences_confirms_the_rate(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Part]
) -> None:
    net = build([Part("conv", 3, 1, 1), *parts], tmp_path_factory.mktemp("net"), 0.0)
    plan, images = planned(net), 6
    seen = simulate(net.units, images)
    ends = [
        max(t for done in seen.values() for (k, _), t in done.items() if k == image)
        for image in range(images)
    ]
    steps = [after - before for before, after in pairwise(ends[2:])]
    assert steps == [max(layer.busy_ps for layer in plan.layers[:-1])] * len(steps)
    assert plan.interval_ps == max(steps[0], plan.layers[-1].busy_ps)


def test_the_critical_path_has_no_gaps(tmp_path: Path) -> None:
    parts = [Part("conv", 3, 1, 1), Part("residual", 3, 1, 2), Part("pool", 3, 2, 1)]
    plan = planned(build(parts, tmp_path, 70.0))
    assert plan.path[0].begin_ps == 0
    assert plan.path[-1].end_ps == plan.latency_ps
    for before, after in pairwise(plan.path):
        assert before.end_ps == after.begin_ps


def test_a_window_buffer_is_that_of_isaac(tmp_path: Path) -> None:
    """`W (K - 1) + K` positions, while the layers before and after keep step."""
    parts = [Part("conv", 3, 1, 1), Part("conv", 3, 1, 1)]
    plan = planned(build(parts, tmp_path, 0.0))
    assert plan.layers[1].buffer_positions == SIZE * 2 + 3
    assert plan.layers[1].buffer_bytes == plan.layers[1].buffer_positions * 1


def test_ranges_taken_at_run_time_wait_for_the_whole_input() -> None:
    program = small_program()
    plan = program_cost(program).schedule
    assert plan is not None
    assert plan.layers[1].waits_for_all == "its range is taken from the whole input at run time"
    assert plan.layers[1].start_ps == plan.layers[0].end_ps


def test_layers_that_share_an_array_take_turns() -> None:
    step = grouped_step(
        input="x", tiling=replace(grouped_step().tiling, array=np.full((2, 1, 1), 3))
    )
    plan = program_cost(program_of(dense_step(), step, target=small_target(), arrays=4)).schedule
    assert plan is not None
    assert plan.layers[1].start_ps == plan.layers[0].end_ps
    assert plan.interval_ps == plan.latency_ps
    assert plan.bottleneck == "arrays that layers share"


def test_links_and_digital_units_count_where_the_target_times_them(tmp_path: Path) -> None:
    net = build([Part("conv", 3, 1, 1), Part("conv", 3, 1, 1)], tmp_path, 0.0)
    before = planned(net)
    slow = net.program.target.model_copy(
        update={"costs": small_target("costs.link_rate=0.0001", "costs.hop=5.0").costs}
    )
    after = planned(replace(net, program=replace(net.program, target=slow)))
    assert after.bottleneck.startswith("link of conv")
    assert after.interval_ps > before.interval_ps
    assert after.latency_ps > before.latency_ps
    busy = net.program.target.model_copy(
        update={"costs": small_target("costs.digital_rate=0.0001").costs}
    )
    assert planned(replace(net, program=replace(net.program, target=busy))).bottleneck.startswith(
        "digital"
    )


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30),
    st.integers(1, 7),
    st.integers(0, 9),
    st.integers(0, 5),
)
def test_rounds_follow_the_rule_one_by_one(
    gaps: list[int], copies: int, interval: int, fill: int
) -> None:
    ready = np.cumsum(np.array(gaps, dtype=np.int64))
    found, free = run_rounds(ready, copies, interval, fill), 0
    for number in range(-(-len(gaps) // copies)):
        members = ready[number * copies : (number + 1) * copies]
        begin = max(free, int(members.max()))
        free = begin + interval
        assert found.start[number] == begin
        assert (found.finish[number * copies : (number + 1) * copies] == free + fill).all()


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=6),
    st.integers(1, 20),
)
def test_items_alive_are_counted_over_all_inferences(
    items: list[tuple[int, int]], period: int
) -> None:
    arrive = np.array([a for a, _ in items], dtype=np.int64)
    leave = arrive + np.array([d for _, d in items], dtype=np.int64)
    most = 0
    for now in range(100 * period, 101 * period):
        alive = sum(
            1 for k in range(102) for a, d in items if a + k * period <= now < a + d + k * period
        )
        most = max(most, alive)
    assert most_alive(arrive, leave, period) == most


def test_a_transposed_convolution_of_nothing_takes_no_time(tmp_path: Path) -> None:
    """Its result has positions, which no vector completes."""
    graph = """g (float[1,2,0] x) => (float[] y) {
        h = ConvTranspose <strides = [2]> (x, w)
        y = Conv (h, v) }"""
    path = model_file(tmp_path, graph, w=normal(2, 3, 3), v=normal(4, 3, 1))
    cost = program_cost(compile_program(path).program)
    assert cost.schedule is not None
    first, second = cost.schedule.layers
    assert (first.rounds, first.end_ps, second.rounds, second.start_ps) == (0, 0, 1, 0)


def test_an_empty_batch_takes_no_time() -> None:
    program = program_of(dense_step(input_shape=(0, 5)), target=small_target(), arrays=4)
    cost = program_cost(program)
    assert cost.schedule is not None
    assert (cost.schedule.latency_ps, cost.schedule.path) == (0, ())
    assert cost.counts.all_conversions == 0
