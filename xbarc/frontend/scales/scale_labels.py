"""Numbers of scales on the elements of a tensor, and which of them turned out to be the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.numerics import Int64Array

ONE = 0
"""Number of the scale that is one and stays it."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The number of the scale of each element.

    Attributes:
        ids: as many axes as `shape`; an axis of length 1 holds for all of that axis.
        shape: of the tensor.
    """

    ids: Int64Array
    shape: tuple[int, ...]

    @property
    def full(self) -> Int64Array:
        """One number an element."""
        return np.broadcast_to(self.ids, self.shape)

    def with_rank(self, rank: int) -> Int64Array:
        """`ids` with axes of length 1 in front, up to this rank."""
        return self.ids.reshape((1,) * (rank - self.ids.ndim) + self.ids.shape)


def compress_labels(ids: Int64Array, shape: tuple[int, ...]) -> Labels:
    """Labels whose axes have length 1 where nothing changes along them."""
    for axis in range(ids.ndim):
        first = ids.take([0], axis=axis)
        if ids.shape[axis] > 1 and np.array_equal(ids, np.broadcast_to(first, ids.shape)):
            ids = first
    return Labels(ids, shape)


class Joins:
    """Scales that must be equal: sets of numbers, each known by its smallest."""

    def __init__(self) -> None:
        self._parent: list[int] = [ONE]

    def fresh(self, count: int) -> Int64Array:
        """Numbers that nobody has yet."""
        first = len(self._parent)
        self._parent.extend(range(first, first + count))
        return np.arange(first, first + count, dtype=np.int64)

    def join(self, left: Int64Array, right: Int64Array) -> None:
        """Say that two arrays of scales are equal, element by element; they broadcast."""
        pairs = np.stack([side.reshape(-1) for side in np.broadcast_arrays(left, right)])
        # Each pair once: tensors have millions of elements and a few hundred different scales.
        for a, b in np.unique(pairs, axis=1).T.tolist():
            # The smaller number stands for the set, so that 0, the scale that is one, always wins.
            first, second = sorted((self._find(a), self._find(b)))
            self._parent[second] = first

    def pin(self, ids: Int64Array) -> None:
        """Say that scales are one."""
        self.join(np.unique(ids), np.array([ONE]))

    def merge(self, ids: Int64Array, axes: Iterable[int]) -> Int64Array:
        """Say that scales are equal along some axes; these keep length 1."""
        for axis in axes:
            first = ids.take([0], axis=axis)
            if ids.shape[axis] > 1:
                self.join(first, ids)
            ids = first
        return ids

    def roots(self, ids: Int64Array) -> Int64Array:
        """The smallest number of each set."""
        distinct, places = np.unique(ids, return_inverse=True)
        found = np.array([self._find(int(number)) for number in distinct], dtype=np.int64)
        return found[places].reshape(ids.shape)

    def are_one(self, ids: Int64Array) -> bool:
        """Whether every scale is known to be one."""
        return not self.roots(ids).any()

    def _find(self, number: int) -> int:
        while self._parent[number] != number:
            # Path halving keeps chains short without recursion.
            self._parent[number] = self._parent[self._parent[number]]
            number = self._parent[number]
        return number


def renumber(arrays: Sequence[Int64Array]) -> tuple[list[Int64Array], int]:
    """The same sets, numbered 1, 2, ... without gaps; 0 stays 0."""
    used = np.unique(np.concatenate([np.zeros(1, dtype=np.int64), *arrays]))
    return [np.searchsorted(used, array) for array in arrays], used.size - 1
