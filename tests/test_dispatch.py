"""Which worker gets which item, with workers that are only pretended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xbarc.dispatch import HandedItem, dispatch


@dataclass(frozen=True)
class _Item:
    number: int
    lane: int | None
    time: int


@dataclass
class _Pretended:
    """Places on a clock: each does its items one after another, as long as each takes."""

    count: int
    now: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    works: list[tuple[int, Future[Any], Any]] = field(default_factory=list)
    done_by: dict[int, int] = field(default_factory=dict)
    most: int = 0

    def names(self) -> Sequence[int]:
        return range(self.count)

    def submit(self, place: int, function: Callable[[Any], Any], item: _Item) -> Future[Any]:
        end = self.ends[place] = max(self.now, self.ends.get(place, 0)) + item.time
        work: Future[Any] = Future()
        self.works.append((end, work, function(item)))
        self.done_by[item.number] = place
        self.most = max(self.most, sum(not one.done() for _, one, _ in self.works))
        return work

    def wait(self, works: Sequence[Future[Any]]) -> None:
        assert works, "nobody works, and somebody waits"
        self.now = min(end for end, work, _ in self.works if not work.done())
        for end, work, result in self.works:
            if end <= self.now and not work.done():
                work.set_result(result)

    def settle(self, waiting: Sequence[HandedItem[Any]]) -> None:
        """Nobody dies."""

    def drop(self, works: Sequence[Future[Any]]) -> None:
        assert all(work.done() for work in works)


items = st.lists(st.tuples(st.none() | st.integers(0, 9), st.integers(1, 5)), max_size=40)


@given(items, st.integers(1, 4))
def test_results_come_in_order_and_no_place_is_given_more_than_two(
    drawn: list[tuple[int | None, int]], count: int
) -> None:
    asked = [_Item(number, lane, time) for number, (lane, time) in enumerate(drawn)]
    places = _Pretended(count)
    found = [task.work.result() for task in dispatch(places, lambda item: item.number, asked)]
    assert found == list(range(len(asked)))
    assert places.most <= 2 * count
    # No place idles while another has more than its share: within one round of items.
    whole = sum(item.time for item in asked)
    assert places.now <= whole / count + 5 * 4


@given(st.integers(2, 4), st.integers(1, 12))
def test_items_of_a_lane_stay_together_while_nobody_idles(count: int, each: int) -> None:
    asked = [_Item(turn * count + lane, lane, 1) for turn in range(each) for lane in range(count)]
    places = _Pretended(count)
    assert len(list(dispatch(places, lambda item: item, asked))) == len(asked)
    assert places.done_by == {item.number: item.lane for item in asked}


def test_a_place_that_would_idle_takes_what_is_anothers() -> None:
    asked = [_Item(number, 0, 1) for number in range(9)]
    places = _Pretended(2)
    assert len(list(dispatch(places, lambda item: item, asked))) == 9
    assert set(places.done_by.values()) == {0, 1}
    assert places.now == 5
