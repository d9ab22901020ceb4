"""The schedule of one inference as a trace for Perfetto (ui.perfetto.dev), or chrome://tracing.

The format is that of trace events in JSON: Duval, Sinclair, "Trace Event Format", 2016. A thread is
a copy of a layer, a slice a stretch of rounds without a wait. Counters say how many arrays work and
what buffers hold. Viewers count in whole nanoseconds, so that times are rounded to them here, once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from xbarc.cost import LayerRun, ProgramCost, program_runs
from xbarc.errors import visible
from xbarc.ir import Program
from xbarc.numerics import Int64Array
from xbarc.report.section import Subject
from xbarc.version import VERSION

# Slices of one layer, all copies together, and changes of one counter: about 250 KiB each, so that
# a net of fifty layers stays within what a browser opens at once.
_MOST_SLICES = 2000
_MOST_CHANGES = 2000  # as above
_LAYERS, _PATH, _COUNTERS = 1, 2, 3  # processes: how viewers group what they show
_PS = 1000  # in a nanosecond


def render_perfetto(subject: Subject) -> str:
    """A trace of the schedule; without events where there is no schedule."""
    program, cost = subject.program, subject.cost
    runs = program_runs(program, cost)
    events = [*_layers(program, runs), *_critical_path(cost), *_counters(runs)]
    plan = cost.schedule
    told = {
        "program": visible(program.name),
        "target": visible(program.target.name),
        "xbarc": VERSION,
        "duplicate": str(cost.policy),
        "latency": cost.unscheduled if plan is None else f"{plan.latency_ps / 1e6} us",
        "counters": f"the largest value of each of {_MOST_CHANGES} times, where there are more",
    }
    # A line per event: the file can be read and compared without a viewer.
    lines = ",\n".join(json.dumps(event, ensure_ascii=True) for event in events)
    head = json.dumps({"displayTimeUnit": "ns", "otherData": told}, ensure_ascii=True)
    return f'{head[:-1]}, "traceEvents": [\n{lines}\n]}}\n'


def _layers(program: Program, runs: Sequence[LayerRun]) -> Iterator[dict[str, Any]]:
    """A thread per copy of a layer, in the order of execution."""
    yield _name("process_name", _LAYERS, 0, f"layers of {visible(program.name)}")
    thread = 0
    for run in runs:
        copies = run.rounds.copies
        most = max(1, _MOST_SLICES // copies)
        for copy in range(copies):
            thread += 1
            of = f", copy {copy + 1} of {copies}" if copies > 1 else ""
            yield _name("thread_name", _LAYERS, thread, f"{visible(run.name)}{of}")
            order = {"sort_index": thread}
            yield {"ph": "M", "name": "thread_sort_index", **_at(_LAYERS, thread), "args": order}
            yield from _slices(run, copy, thread, most)


def _slices(run: LayerRun, copy: int, thread: int, most: int) -> Iterator[dict[str, Any]]:
    """Stretches in which a copy works without a wait; joined where there are too many."""
    rounds = run.rounds
    # The last round may leave copies without a vector, and that may be the only one.
    count = len(range(copy, run.vectors, rounds.copies))
    if not count:
        return
    start = rounds.start[:count]
    first = _stretches(start, rounds.interval)
    if first.size > most:
        first = first[:: -(-first.size // most)]
    last = np.append(first[1:], count)
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        span = (int(start[begin]), int(start[end - 1]) + rounds.interval)
        busy = (end - begin) * rounds.interval
        args = {"vectors": end - begin, "first vector": begin * rounds.copies + copy}
        args |= {"arrays": run.arrays}
        waits = {"waits_us": (span[1] - span[0] - busy) / 1e6} if span[1] - span[0] > busy else {}
        yield _slice(_LAYERS, thread, run.name, span, args | waits)


def _stretches(start: Int64Array, interval: int) -> Int64Array:
    """The first round of each stretch of rounds that follow each other at once."""
    waits = np.flatnonzero(np.diff(start) > interval) + 1
    return np.concatenate([np.zeros(1, dtype=np.int64), waits])


def _critical_path(cost: ProgramCost) -> Iterator[dict[str, Any]]:
    if cost.schedule is None:
        return
    yield _name("process_name", _PATH, 0, "critical path")
    yield _name("thread_name", _PATH, 1, "critical path")
    for part in cost.schedule.path:
        span = (part.begin_ps, part.end_ps)
        yield _slice(_PATH, 1, part.name, span, {"rounds": part.rounds})


def _counters(runs: Sequence[LayerRun]) -> Iterator[dict[str, Any]]:
    """How many arrays work, and what each buffer and all of them hold."""
    if not runs:
        return
    yield _name("process_name", _COUNTERS, 0, "arrays and buffers")
    yield from _counter("arrays at work", "arrays", *_join([_arrays(run) for run in runs]))
    held = [_held(run) for run in runs]
    yield from _counter("buffers, all layers", "bytes", *_join(held))
    for run, (times, changes) in zip(runs, held, strict=True):
        yield from _counter(f"buffer of {visible(run.name)}", "bytes", times, changes)


def _arrays(run: LayerRun) -> tuple[Int64Array, Int64Array]:
    """Times, and by how many the arrays at work change."""
    rounds = run.rounds
    if not rounds.start.size:
        return rounds.start, rounds.start
    working = np.full(rounds.start.size, rounds.copies, dtype=np.int64)
    working[-1] = run.vectors - (rounds.start.size - 1) * rounds.copies
    times = np.concatenate([rounds.start, rounds.start + rounds.interval])
    return times, run.arrays * np.concatenate([working, -working])


def _held(run: LayerRun) -> tuple[Int64Array, Int64Array]:
    """Times, and by how many bytes the buffer's content changes."""
    leave = np.maximum(run.arrive, run.leave)
    sizes = np.full(run.arrive.size, run.position_bytes, dtype=np.int64)
    return np.concatenate([run.arrive, leave]), np.concatenate([sizes, -sizes])


def _join(parts: Sequence[tuple[Int64Array, Int64Array]]) -> tuple[Int64Array, Int64Array]:
    times, changes = zip(*parts, strict=True)
    return np.concatenate(times), np.concatenate(changes)


def _counter(
    name: str, unit: str, times: Int64Array, changes: Int64Array
) -> Iterator[dict[str, Any]]:
    """A value wherever it changes; where that is too often, the largest of equal times."""
    # What leaves at a time makes room for what comes then, as in `most_alive`.
    at, place = np.unique(times, return_inverse=True)
    values = np.cumsum(np.bincount(place, weights=changes, minlength=at.size).astype(np.int64))
    if at.size > _MOST_CHANGES:
        first = np.arange(0, at.size, -(-at.size // _MOST_CHANGES))
        values = np.append(np.maximum.reduceat(values[:-1], first[first < at.size - 1]), values[-1])
        at = np.append(at[first[first < at.size - 1]], at[-1])
    same = np.flatnonzero(np.diff(values) == 0) + 1
    for time, value in zip(
        np.delete(at, same).tolist(), np.delete(values, same).tolist(), strict=True
    ):
        event = {"ph": "C", "name": name, **_at(_COUNTERS, 0), "ts": _us(time)}
        yield event | {"args": {unit: value}}


def _slice(
    process: int, thread: int, name: str, span: tuple[int, int], args: dict[str, Any]
) -> dict[str, Any]:
    begin, end = _us(span[0]), _us(span[1])
    head = {"ph": "X", "name": visible(name), **_at(process, thread), "ts": begin}
    # Of rounded ends, so that neighbours touch and never overlap.
    return head | {"dur": round(end - begin, 3), "args": args}


def _name(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": kind, **_at(process, thread), "args": {"name": name}}


def _at(process: int, thread: int) -> dict[str, int]:
    return {"pid": process, "tid": thread}


def _us(time_ps: int) -> float:
    """Microseconds of whole nanoseconds: three digits behind the point."""
    return ((time_ps + _PS // 2) // _PS) / 1000
