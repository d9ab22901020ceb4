"""When positions of a tensor become ready, in whole picoseconds, so that equal means equal.

A layer takes its input vectors in the order of memory, `copies` at a time, and never overtakes. So
times never fall along a stream, and a window is ready when its last position is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost.timing.position_needs import Reaches
from xbarc.numerics import Int64Array, IntArray


@dataclass(frozen=True, eq=False)
class Stream:
    """Times at which the positions of a value are ready.

    Attributes:
        grid: extent along each axis, batch first; empty where only the whole is known.
        ready: picoseconds; axis: position. One entry where the grid is empty.
    """

    grid: tuple[int, ...]
    ready: Int64Array

    @property
    def last(self) -> int:
        """When all of it is ready."""
        return int(self.ready.max(initial=0))


def whole(time: int) -> Stream:
    """A value that comes all at once."""
    return Stream((), np.array([time], dtype=np.int64))


@dataclass(frozen=True, eq=False)
class Rounds:
    """What a layer does: so many vectors at a time, one round after the other.

    Attributes:
        start: when each round begins; axis: round.
        ready: when the inputs of each round are there; axes as `start`.
        finish: when the result of each vector is there; axis: vector.
        interval: time that a round keeps the arrays.
        copies: vectors of a round.
    """

    start: Int64Array
    ready: Int64Array
    finish: Int64Array
    interval: int
    copies: int


def run_rounds(ready: Int64Array, copies: int, interval: int, fill: int) -> Rounds:
    """Start each round when its vectors are ready and the round before is over.

    Args:
        ready: when each vector is ready; never falls.
        copies: vectors of one round.
        interval: time of a round on the arrays.
        fill: time from the end of a round to its results.
    """
    firsts = np.arange(0, ready.size, copies)
    needed = np.maximum.reduceat(ready, firsts) if ready.size else ready
    # start[i] = max(needed[i], start[i-1] + interval); less `turn` it is a running maximum
    turn = interval * np.arange(needed.size, dtype=np.int64)
    start = turn + np.maximum.accumulate(needed - turn) if needed.size else needed
    finish = np.repeat(start + interval + fill, copies)[: ready.size]
    return Rounds(start, needed, finish, interval, copies)


def needed_position(
    grid: tuple[int, ...], source: tuple[int, ...], reaches: Reaches
) -> IntArray | None:
    """The last input position that each output position needs.

    Args:
        grid: output positions, batch first.
        source: input positions, batch first.
        reaches: a reach for each axis but the batch; empty: position by position.

    Returns:
        Indices into the flattened input, or None where all of it is needed.
    """
    if not isinstance(reaches, tuple) or len(grid) != len(source) or grid[:1] != source[:1]:
        return None
    if not reaches:
        return np.arange(int(np.prod(grid))) if grid == source else None
    if len(reaches) != len(grid) - 1:
        return None
    index = np.arange(grid[0]).reshape(-1, *([1] * len(reaches)))
    for axis, reach in enumerate(reaches):
        last = np.arange(grid[axis + 1]) * reach.stride + reach.after
        last = np.clip(last, 0, source[axis + 1] - 1)
        shape = [1] * len(grid)
        shape[axis + 1] = -1
        index = index * source[axis + 1] + last.reshape(shape)
    return np.broadcast_to(index, grid).reshape(-1)


def last_user(grid: tuple[int, ...], source: tuple[int, ...], reaches: Reaches) -> IntArray | None:
    """The last output position that needs each input position; None where all need all."""
    if not isinstance(reaches, tuple) or len(grid) != len(source) or grid[:1] != source[:1]:
        return None
    if not reaches:
        return np.arange(int(np.prod(grid))) if grid == source else None
    if len(reaches) != len(grid) - 1:
        return None
    index = np.arange(grid[0]).reshape(-1, *([1] * len(reaches)))
    for axis, reach in enumerate(reaches):
        last = (np.arange(source[axis + 1]) + reach.before) // reach.stride
        last = np.clip(last, 0, grid[axis + 1] - 1)
        shape = [1] * len(grid)
        shape[axis + 1] = -1
        index = index * grid[axis + 1] + last.reshape(shape)
    return np.broadcast_to(index, source).reshape(-1)


def most_alive(arrive: Int64Array, leave: Int64Array, period: int) -> int:
    """Most items alive at once when the same items come again every `period`.

    Args:
        arrive: when each item comes.
        leave: when it is no longer needed, not before it came.
        period: time between two inferences; 0: there is only one.
    """
    if not arrive.size:
        return 0
    stay = np.maximum(leave - arrive, 0)
    if period <= 0:
        return _sweep(arrive, arrive + stay)
    # one that stays k periods and a rest is alive k times at any moment, and once more in the rest
    always = int((stay // period).sum())
    begin = arrive % period
    end = begin + stay % period
    wraps = end > period
    begins = np.concatenate([begin, np.zeros(int(wraps.sum()), dtype=np.int64)])
    ends = np.concatenate([np.minimum(end, period), end[wraps] - period])
    return always + _sweep(begins, ends)


def _sweep(begin: Int64Array, end: Int64Array) -> int:
    """Most intervals, closed at their begin and open at their end, that overlap."""
    begins, ends = np.sort(begin), np.sort(end)
    # "right": what leaves at t has left when another comes at t, as a buffer reuses its place
    gone = np.searchsorted(ends, begins, side="right")
    return int((np.arange(1, begins.size + 1) - gone).max())
