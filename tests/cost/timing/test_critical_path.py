"""The critical path beside networkx: the longest path through all that waits for something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import networkx
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.cost.timing.test_schedule import PARTS, Part, build, planned
from xbarc.cost import Schedule
from xbarc.cost.timing import layer_schedule
from xbarc.cost.timing.critical_path import PathPart, ScheduledStep, critical_path

Makers = Mapping[str, ScheduledStep]


def waits(makers: Makers, fill: int) -> Any:
    """What waits for what: rounds of layers, and positions of values; edges say for how long."""
    graph = networkx.DiGraph()
    for value, step in makers.items():
        for position in range(step.out.ready.size):
            _add_position(graph, makers, value, position, fill)
        for turn in range(0 if step.rounds is None else step.rounds.start.size):
            _add_round(graph, makers, value, turn)
    return graph


def _add_position(graph: Any, makers: Makers, value: str, position: int, fill: int) -> None:
    step, node = makers[value], (value, "out", position)
    if step.rounds is not None:
        turn = (position if step.vector is None else int(step.vector[position])) // step.copies
        graph.add_edge((value, "round", turn), node, time=step.rounds.interval + fill)
        return
    for source, need in step.sources:
        for at in _positions(makers, source, need, [position]):
            graph.add_edge((source, "out", at), node, time=0)


def _add_round(graph: Any, makers: Makers, value: str, turn: int) -> None:
    step = makers[value]
    assert step.rounds is not None
    if turn:
        before = (value, "round", turn - 1)
        graph.add_edge(before, (value, "round", turn), time=step.rounds.interval)
    (source, need), vectors = step.sources[0], range(step.rounds.finish.size)
    members = list(vectors[turn * step.copies : (turn + 1) * step.copies])
    for at in _positions(makers, source, need, members):
        graph.add_edge((source, "out", at), (value, "round", turn), time=0)


def _positions(makers: Makers, source: str, need: Any, wanted: list[int]) -> list[int]:
    """Positions of a value that others need; none of an input of the network, which is there."""
    if source not in makers:
        return []
    if need is None:
        return list(range(makers[source].out.ready.size))
    return sorted({int(need[position]) for position in wanted})


def watched_plan(parts: list[Part], folder: Any, fill: float) -> tuple[Schedule, Makers]:
    seen: list[Makers] = []

    def watch(makers: Makers, latency: int) -> tuple[PathPart, ...]:
        seen.append(dict(makers))
        return critical_path(makers, latency)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layer_schedule, "critical_path", watch)
        plan = planned(build(parts, folder, fill))
    return plan, seen[0]


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@example([Part("conv", 1, 1, 1), Part("conv", 1, 2, 1)], 0)
@given(st.lists(PARTS, min_size=1, max_size=3), st.sampled_from([0, 70]))
def test_networkx_finds_no_longer_path(
    tmp_path_factory: pytest.TempPathFactory, parts: list[Part], fill: int
) -> None:
    plan, makers = watched_plan(parts, tmp_path_factory.mktemp("net"), float(fill))
    graph = waits(makers, 1000 * fill)
    assert networkx.is_directed_acyclic_graph(graph)
    ends = [node for node in graph if node[0] == list(makers)[-1] and node[1] == "out"]
    awaited = set(ends).union(*(networkx.ancestors(graph, end) for end in ends))
    # strides leave positions that nobody awaits, so the network may be done before a layer is
    wanted = graph.subgraph(awaited)
    assert networkx.dag_longest_path_length(wanted, weight="time") == plan.latency_ps

    # the layers that we name explain the latency by themselves: no other one is needed
    named = {part.name for part in plan.path}
    kept = [n for n in awaited if makers[n[0]].rounds is None or makers[n[0]].name in named]
    alone = graph.subgraph(kept)
    assert networkx.dag_longest_path_length(alone, weight="time") == plan.latency_ps
    assert sum(part.end_ps - part.begin_ps for part in plan.path) == plan.latency_ps

    # a stretch is rounds that follow each other at once, so nothing else could have made it later
    each = {layer.name: layer.round_ps for layer in plan.layers}
    for part in plan.path:
        assert part.end_ps - part.begin_ps == part.rounds * each[part.name] + 1000 * fill

    # and every position is ready when the longest path to it says
    for value, step in makers.items():
        ready = [_longest_to(graph, (value, "out", at)) for at in range(step.out.ready.size)]
        assert np.array_equal(step.out.ready, ready)


def _longest_to(graph: Any, node: Any) -> int:
    ends = graph.graph.setdefault("ends", {})
    if not ends:
        for one in networkx.topological_sort(graph):
            before = graph.pred[one].items()
            ends[one] = max((ends[other] + edge["time"] for other, edge in before), default=0)
    return int(ends.get(node, 0))
