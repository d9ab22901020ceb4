"""The trace of a schedule keeps the rules of trace events, and has what the schedule has.

No parser of Perfetto comes with a package index (its wheel fetches one), so that the rules stand
here: Duval, Sinclair, "Trace Event Format", 2016.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import digital_step, program_of, small_program, small_target
from xbarc.cost import LayerRun, Policy, program_runs
from xbarc.cost.timing.ready_times import most_alive, run_rounds
from xbarc.report import Subject, render_perfetto, subject_of
from xbarc.report.viewers.perfetto import _MOST_CHANGES, _counter, _held, _slices

POLICIES = (None, Policy("budget", 9), Policy("balance", 0))


def subject(policy: Policy | None = None) -> Subject:
    return subject_of(small_program(), policy)


def checked(text: str) -> list[dict[str, Any]]:
    """Events of a trace that keeps the rules."""
    trace = json.loads(text)
    assert trace["displayTimeUnit"] in ("ms", "ns")
    assert all(isinstance(value, str) for value in trace["otherData"].values())
    events: list[dict[str, Any]] = trace["traceEvents"]
    named, spans = set(), defaultdict(list)
    for event in events:
        assert {"ph", "name", "pid", "tid"} <= event.keys()
        assert isinstance(event["name"], str)
        match event["ph"]:
            case "M":
                assert event["name"] in ("process_name", "thread_name", "thread_sort_index")
                named.add((event["name"], event["pid"], event["tid"]))
            case "X":
                assert event["ts"] >= 0
                assert event["dur"] >= 0
                spans[event["pid"], event["tid"]].append((event["ts"], event["dur"]))
            case "C":
                assert event["ts"] >= 0
                assert all(isinstance(v, int) and v >= 0 for v in event["args"].values())
            case other:
                pytest.fail(f"no rule for events '{other}'")
    for (process, thread), found in spans.items():
        assert ("thread_name", process, thread) in named
        assert ("process_name", process, 0) in named
        assert found == sorted(found)
        ends = [round(1000 * (ts + dur)) for ts, dur in found]
        assert all(end <= round(1000 * ts) for end, (ts, _) in zip(ends, found[1:], strict=False))
    return events


def values(events: list[dict[str, Any]], name: str) -> list[tuple[float, int]]:
    found = [e for e in events if e["ph"] == "C" and e["name"] == name]
    return [(event["ts"], next(iter(event["args"].values()))) for event in found]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_thread_is_a_copy_of_a_layer(policy: Policy | None) -> None:
    seen = subject(policy)
    plan = seen.cost.schedule
    assert plan is not None
    events = checked(render_perfetto(seen))
    threads = [e for e in events if e["name"] == "thread_name" and e["pid"] == 1]
    assert len(threads) == sum(layer.copies for layer in plan.layers)
    for layer, run in zip(plan.layers, program_runs(seen.program, seen.cost), strict=True):
        own = [e for e in events if e["ph"] == "X" and e["pid"] == 1 and e["name"] == layer.name]
        assert sum(event["args"]["vectors"] for event in own) == run.vectors
        worked = sum(event["dur"] for event in own)
        assert worked == pytest.approx(run.vectors * layer.round_ps / 1e6)
        assert min(event["ts"] for event in own) == pytest.approx(layer.start_ps / 1e6)
        assert {event["args"]["arrays"] for event in own} == {run.arrays}
    path = [e for e in events if e["ph"] == "X" and e["pid"] == 2]
    assert [event["name"] for event in path] == [part.name for part in plan.path]
    assert path[-1]["ts"] + path[-1]["dur"] == pytest.approx(plan.latency_ps / 1e6)


@pytest.mark.parametrize("policy", POLICIES)
def test_counters_say_what_works_and_what_is_held(policy: Policy | None) -> None:
    seen = subject(policy)
    events = checked(render_perfetto(seen))
    runs = program_runs(seen.program, seen.cost)
    working = values(events, "arrays at work")
    assert working[-1][1] == 0
    assert 0 < max(count for _, count in working) <= seen.cost.counts.arrays
    area = sum(count * (after - at) for (at, count), (after, _) in pairwise(working))
    spent = sum(run.vectors * run.arrays * run.rounds.interval for run in runs)
    assert area == pytest.approx(spent / 1e6)
    for run in runs:
        held = values(events, f"buffer of {run.name}")
        most = most_alive(run.arrive, run.leave, 0) * run.position_bytes
        assert max(count for _, count in held) == most
        assert held[-1][1] == 0


def test_a_program_without_a_schedule_is_an_empty_trace_that_says_so() -> None:
    program = program_of(digital_step(), target=small_target(), arrays=0)
    assert [e for e in checked(render_perfetto(subject_of(program))) if e["ph"] == "X"] == []


@st.composite
def layer_run(draw: st.DrawFn) -> LayerRun:
    """A layer whose vectors come at any times."""
    times = draw(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
    ready = np.sort(np.array(times, dtype=np.int64))
    rounds = run_rounds(ready, draw(st.integers(1, 9)), draw(st.integers(1, 10**8)), 0)
    leave = ready + draw(st.integers(0, 10**9))
    return LayerRun("a", 3, ready.size, rounds, ready, leave, 5)


@given(layer_run(), st.integers(1, 30))
def test_slices_have_every_vector_of_a_copy_once(run: LayerRun, most: int) -> None:
    firsts = []
    for copy in range(run.rounds.copies):
        own = list(_slices(run, copy, 1, most))
        expected = len(range(copy, run.vectors, run.rounds.copies))
        assert sum(event["args"]["vectors"] for event in own) == expected
        assert len(own) <= most
        firsts += [event["args"]["first vector"] for event in own[:1]]
        ends = [(event["ts"], event["ts"] + event["dur"]) for event in own]
        assert all(a[1] <= b[0] + 1e-9 for a, b in pairwise(ends))
        waited = sum(event["args"].get("waits_us", 0.0) for event in own)
        busy = expected * run.rounds.interval / 1e6
        # Ends are rounded to whole nanoseconds, half of one each.
        assert sum(end - begin for begin, end in ends) - waited == pytest.approx(
            busy, abs=1e-3 * len(own) + 1e-9
        )
    assert firsts == list(range(len(firsts)))


@given(layer_run())
def test_a_counter_ends_at_nothing_and_keeps_its_peak(run: LayerRun) -> None:
    held = [event["args"]["bytes"] for event in _counter("c", "bytes", *_held(run))]
    assert held[-1] == 0
    assert max(held) == 5 * most_alive(run.arrive, run.leave, 0)


def test_a_long_counter_is_sampled_by_its_largest_values() -> None:
    arrive = np.arange(10_000, dtype=np.int64) * 1_000_000
    leave = arrive + 2_500_000
    run = LayerRun("a", 1, 10_000, run_rounds(arrive, 1, 10, 0), arrive, leave, 7)
    found = list(_counter("c", "bytes", *_held(run)))
    assert len(found) <= _MOST_CHANGES + 1
    assert max(event["args"]["bytes"] for event in found) == 3 * 7
    assert found[-1]["args"]["bytes"] == 0
    assert len(list(_slices(run, 0, 1, 500))) <= 500
