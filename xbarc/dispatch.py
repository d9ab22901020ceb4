"""Which worker gets which item: those of one lane the same one, since they share work there.

A worker is a place that does one item after another. Who speaks to places (processes, a cluster)
is a `Places`; the order in which they get items is decided here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

_Item = TypeVar("_Item")

# Items that a place has, the one at work among them: it finds its next one there.
_QUEUED = 2

# Items a place that are looked at, of which results wait until their turn comes: with fewer a place
# idles while another is at a long item.
_AHEAD = 4


@dataclass(eq=False)
class HandedItem(Generic[_Item]):
    """An item, and who works at it.

    Attributes:
        item: what is worked at.
        lane: its lane; None: any place will do.
        place: who has it; None: nobody.
        work: its result to come, with a method `done`; None: nobody has it.
        deaths: places that ended while they worked at it.
    """

    item: _Item
    lane: int | None
    place: Any = None
    work: Any = None
    deaths: int = 0

    @property
    def is_done(self) -> bool:
        """Whether there is a result, or an error."""
        return self.work is not None and self.work.done()

    @property
    def is_at_work(self) -> bool:
        """Whether a place has it, and is not done with it."""
        return self.work is not None and not self.work.done()

    def take_back(self) -> None:
        """Let another place have it, or the same one again."""
        self.place = self.work = None


class Places(Protocol):
    """Speaks to workers."""

    def names(self) -> Sequence[Any]:
        """Those that are there now, in an order that stays; empty where there are none yet."""

    def submit(self, place: Any, function: Callable[[Any], Any], item: Any) -> Any:
        """Give a place an item; the result to come."""

    def wait(self, works: Sequence[Any]) -> None:
        """Until one of them is done."""

    def settle(self, waiting: Sequence[HandedItem[Any]]) -> None:
        """Take back tasks of places that are gone, before anybody reads their results."""

    def drop(self, works: Sequence[Any]) -> None:
        """What nobody waits for any more."""


def dispatch(
    places: Places, function: Callable[[_Item], Any], items: Iterable[_Item]
) -> Iterator[HandedItem[_Item]]:
    """Tasks that are done, in the order of their items.

    Args:
        places: who works.
        function: what is done.
        items: those with an attribute `lane`, a number, go to the same place as others of that
            lane, unless another place would idle; are taken as places come to them.
    """
    left, waiting = iter(items), deque[HandedItem[_Item]]()
    try:
        while True:
            names = places.names()
            room = max(1, _AHEAD * len(names)) - len(waiting)
            waiting.extend(
                HandedItem(item, getattr(item, "lane", None)) for item in islice(left, max(0, room))
            )
            if not waiting:
                return
            places.settle(waiting)
            for task, place in _choose_places(names, waiting):
                task.place, task.work = place, places.submit(place, function, task.item)
            if waiting[0].is_done:
                # A place that died in between is known by the error, and settled above.
                places.settle(waiting)
                if waiting[0].is_done:
                    yield waiting.popleft()
                continue
            places.wait([task.work for task in waiting if task.is_at_work])
    finally:
        places.drop([task.work for task in waiting if task.work is not None])


def _choose_places(
    names: Sequence[Any], waiting: Sequence[HandedItem[_Item]]
) -> list[tuple[HandedItem[_Item], Any]]:
    """Who gets which of the items that nobody has."""
    load = _Load(names, waiting)
    for task in [*load.free]:
        load.give_home(task)
    for place in names:
        if load.free and not load.busy[place]:
            load.give(load.free[-1], place)  # the one that its own place would come to last
    return load.chosen


class _Load:
    """How many items each place has, the items that nobody has, and who gets which of them."""

    def __init__(self, names: Sequence[Any], waiting: Sequence[HandedItem[Any]]) -> None:
        at_work = Counter(task.place for task in waiting if task.is_at_work)
        self.busy = {place: at_work[place] for place in names}
        self.free = [task for task in waiting if task.work is None]
        self.chosen: list[tuple[HandedItem[Any], Any]] = []

    def give_home(self, task: HandedItem[Any]) -> None:
        """Give an item to the place of its lane, or to the one with the least to do."""
        if not self.busy:
            return
        least = min(self.busy, key=self.busy.__getitem__)
        home = least if task.lane is None else [*self.busy][task.lane % len(self.busy)]
        # Near the end the last items wait for whoever is free first.
        queued = _QUEUED if len(self.free) > len(self.busy) else 1
        if self.busy[home] < queued:
            self.give(task, home)

    def give(self, task: HandedItem[Any], place: Any) -> None:
        """Give an item to a place."""
        self.busy[place] += 1
        self.free.remove(task)
        self.chosen.append((task, place))
