"""A discrete-event simulation of a pipelined network, written without the code it checks.

Windows are enumerated pixel by pixel, a layer is a server that takes the next `copies` vectors when
every pixel of their windows is there, and nothing is known of rounds, streams or running maxima.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

Pixel = tuple[int, ...]
Needs = Callable[[Pixel], list[Pixel]]


def window(kernel: int, stride: int, pad: int, size: int) -> Needs:
    """Pixels of a square window that lie inside the picture."""

    def needs(pixel: Pixel) -> list[Pixel]:
        spans = [range(o * stride - pad, o * stride - pad + kernel) for o in pixel]
        return [p for p in product(*spans) if all(0 <= at < size for at in p)]

    return needs


def same(pixel: Pixel) -> list[Pixel]:
    return [pixel]


@dataclass
class Unit:
    """A layer (`time` > 0) or a digital operator (no time, results at once)."""

    name: str
    size: int
    sources: list[tuple[str, Needs]]
    time: int = 0
    fill: int = 0
    copies: int = 1
    served: int = 0
    free_at: int = 0
    done: dict[tuple[int, Pixel], int] = field(default_factory=dict)

    @property
    def pixels(self) -> list[Pixel]:
        return list(product(range(self.size), repeat=2))


def simulate(units: list[Unit], images: int = 1) -> dict[str, dict[tuple[int, Pixel], int]]:
    """Run until everything is done; gives the time of every result of every image."""
    table = {unit.name: unit for unit in units}
    order = {u.name: [(k, p) for k in range(images) for p in u.pixels] for u in units}
    events = [0]
    while events:
        now = heapq.heappop(events)
        while events and events[0] == now:
            heapq.heappop(events)
        moved = True
        while moved:
            moved = False
            for unit in units:
                while _serve(unit, order[unit.name], table, now, events):
                    moved = True
    return {unit.name: unit.done for unit in units}


def _serve(
    unit: Unit, order: list[tuple[int, Pixel]], table: dict[str, Unit], now: int, events: list[int]
) -> bool:
    if unit.served == len(order) or unit.free_at > now:
        return False
    image = order[unit.served][0]
    batch = [job for job in order[unit.served : unit.served + unit.copies] if job[0] == image]
    for job, (source, needs) in product(batch, unit.sources):
        if source == "input":
            continue
        ready = table[source].done
        if any(ready.get((image, pixel), now + 1) > now for pixel in needs(job[1])):
            return False
    unit.served += len(batch)
    unit.free_at = now + unit.time
    for job in batch:
        unit.done[job] = now + unit.time + unit.fill
    heapq.heappush(events, now + unit.time)
    heapq.heappush(events, now + unit.time + unit.fill)
    return True
