"""Work that goes on where one item of it is too much for every worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from xbarc.errors import WorkerError
from xbarc.workers import WorkerMap

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def try_each(
    share: WorkerMap, function: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[_Result | WorkerError]:
    """Results in the order of the items; in place of one at which workers died, the error.

    Args:
        share: does the work.
        function: what is done.
        items: are taken as workers come to them.
    """
    rest, again = iter(items), deque[_Item]()
    while True:
        handed_out = deque[_Item]()
        try:
            for result in share(function, _hand_out(again, rest, handed_out)):
                handed_out.popleft()
                yield result
        except WorkerError as error:
            if not handed_out:  # of nothing that was asked for
                raise
            handed_out.popleft()
            yield error
        else:
            return
        # Without a result yet: what was in flight when a worker died.
        again.extendleft(reversed(handed_out))


def _hand_out(again: deque[_Item], rest: Iterator[_Item], taken: deque[_Item]) -> Iterator[_Item]:
    """What is to be done again, then the rest; all of it joins what was taken."""
    while again:
        taken.append(again.popleft())
        yield taken[-1]
    for item in rest:
        taken.append(item)
        yield item
