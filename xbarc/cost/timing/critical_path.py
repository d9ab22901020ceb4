"""The critical path of a schedule: from the last result back to the first input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xbarc.cost.timing.ready_times import Rounds, Stream
from xbarc.numerics import IntArray
from xbarc.rows import Picosecond, Row, fact


class PathPart(Row, form="PathRow", title="Critical path"):
    """A stretch of the critical path."""

    name: str = fact("name of the layer or fragment", head="on the critical path")
    begin_ps: Picosecond = fact("when it begins, {unit}", head="begin us>")
    end_ps: Picosecond = fact(
        "when the result is there that the next one awaits, {unit}", head="end us>"
    )
    rounds: int = fact("rounds in this stretch, count", head="rounds>")


@dataclass(frozen=True, eq=False)
class ScheduledStep:
    """A step that has been scheduled: what it waited for, and when it was done.

    Attributes:
        sources: values that it reads; for each output position the input position that it needs
            last, or None where it needs all.
        rounds: None for a digital fragment.
        copies: vectors of one round.
        vector: the vector that completes each position of the result; None: its own.
        out: the result.
    """

    name: str
    sources: tuple[tuple[str, IntArray | None], ...]
    rounds: Rounds | None
    copies: int
    vector: IntArray | None
    out: Stream


def critical_path(makers: Mapping[str, ScheduledStep], latency: int) -> tuple[PathPart, ...]:
    """Walk back from the last result: each wait ends when something else was done.

    Args:
        makers: the step that made each value.
        latency: when the last result is there.
    """
    made = (node for node in makers.values() if node.out.ready.size)  # none of an empty batch
    # Any of several that end together: each is a longest path.
    last = [node for node in made if node.out.last == latency]
    parts: list[PathPart] = []
    node: ScheduledStep | None = last[0] if last else None
    position = int(np.argmax(node.out.ready)) if node else 0
    while node is not None:
        back = _through_digital if node.rounds is None else _through_crossbar
        node, position = back(node, position, makers, parts)
    return tuple(reversed(parts))


def _through_crossbar(
    node: ScheduledStep, position: int, makers: Mapping[str, ScheduledStep], parts: list[PathPart]
) -> tuple[ScheduledStep | None, int]:
    """Back to the round that had to wait for its input, and to what it waited for."""
    rounds = node.rounds
    if rounds is None or not rounds.start.size:
        return None, 0
    vector = position if node.vector is None else int(node.vector[position])
    at = vector // node.copies
    # a round that starts when its input comes waited for it; later ones waited for the arrays
    waited = np.flatnonzero(rounds.start[: at + 1] == rounds.ready[: at + 1])
    first = int(waited[-1])
    end = int(node.out.ready[position])
    parts.append(PathPart(node.name, int(rounds.start[first]), end, at - first + 1))
    name, need = node.sources[0]
    if name not in makers or not makers[name].out.ready.size:
        return None, 0
    ready = makers[name].out.ready
    if need is None:
        return makers[name], int(np.argmax(ready))
    # A round starts when the last of its vectors is there, so the path goes through that one.
    members = need[first * node.copies : (first + 1) * node.copies]
    return makers[name], int(members[np.argmax(ready[members])])


def _through_digital(
    node: ScheduledStep, position: int, makers: Mapping[str, ScheduledStep], parts: list[PathPart]
) -> tuple[ScheduledStep | None, int]:
    """Back to the input that came last."""
    best: tuple[int, str, int] | None = None
    for name, need in node.sources:
        if name not in makers or not makers[name].out.ready.size:
            continue
        ready = makers[name].out.ready
        index = int(np.argmax(ready)) if need is None else int(need[position])
        # Strictly later: of inputs that come together the first one is named, whatever the order of
        # a set would be.
        if best is None or ready[index] > best[0]:
            best = (int(ready[index]), name, index)
    if best is None:
        return None, 0
    end = int(node.out.ready[position])
    # Digital work that takes no time is no stretch of the path.
    if end > best[0]:
        parts.append(PathPart(node.name, best[0], end, 0))
    return makers[best[1]], best[2]
