"""Which tiles hold a layer, and the bytes between tiles, some tiles at a time.

Tiles fill in order, so a layer's tiles follow one another, and what two tiles exchange is a
product of shares. All tiles by all tiles would be 0.4 GB for 7,000 of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xbarc.numerics import Float64Array, Int64Array


@dataclass(frozen=True)
class Item:
    """What is placed: the arrays of all copies of a layer, and its sums of row blocks.

    Attributes:
        sums: bytes of partial sums that go to the layer's first tile, an inference.
    """

    name: str
    arrays: int
    sums: float


@dataclass(frozen=True)
class Link:
    """Bytes from one item to another in an inference."""

    source: str
    target: str
    size: float


@dataclass(frozen=True, eq=False)
class ItemTiles:
    """Tiles that hold an item: they follow one another.

    Attributes:
        first: number of the first tile.
        arrays: of the item in each tile from there on.
    """

    first: int
    arrays: Int64Array

    @classmethod
    def of_arrays(cls, start: int, count: int, capacity: int) -> ItemTiles:
        """Tiles of so many arrays from a position on, in tiles of `capacity` arrays."""
        first, last = start // capacity, (start + count - 1) // capacity
        borders = np.arange(first, last + 2) * capacity
        return cls(first, np.diff(borders.clip(start, start + count)))

    @property
    def end(self) -> int:
        """Number of the tile after the last one."""
        return self.first + len(self.arrays)

    @cached_property
    def total(self) -> int:
        """Arrays in all tiles."""
        return int(self.arrays.sum())

    @property
    def home(self) -> ItemTiles:
        """The first tile alone."""
        return ItemTiles(self.first, np.ones(1, dtype=np.int64))

    def shares(self, begin: int, end: int) -> tuple[slice, Float64Array]:
        """Its tiles in a range that holds some, and the part in each; counted from `begin`."""
        start, stop = max(begin, self.first), min(end, self.end)
        arrays = self.arrays[start - self.first : stop - self.first]
        return slice(start - begin, stop - begin), arrays / self.total


@dataclass(frozen=True)
class TileFlow:
    """Bytes that all tiles of an item send to others in equal parts.

    Attributes:
        name: of the item that they go to.
    """

    name: str
    source: ItemTiles
    target: ItemTiles
    size: float


@dataclass(frozen=True)
class TileTraffic:
    """Bytes between tiles, where items lie in equal parts.

    Attributes:
        flows: from item to item, then sums of row blocks to an item's first tile.
        count: how many tiles there are.
    """

    flows: tuple[TileFlow, ...]
    count: int

    @classmethod
    def between(
        cls, tiles: Mapping[str, ItemTiles], items: Sequence[Item], links: Iterable[Link]
    ) -> TileTraffic:
        """Traffic of items in their tiles."""
        flows = [
            TileFlow(link.target, tiles[link.source], tiles[link.target], link.size)
            for link in links
        ]
        flows += [
            TileFlow(item.name, tiles[item.name], tiles[item.name].home, item.sums)
            for item in items
        ]
        return cls(tuple(flows), max(held.end for held in tiles.values()))

    def rows(self, begin: int, end: int) -> Float64Array:
        """Bytes between some tiles and all, both ways together.

        Axes: tile from `begin` to `end`, any tile.
        """
        sent, received = (np.zeros((end - begin, self.count)) for _ in range(2))
        for flow in self.flows:
            for total, near, far in (
                (sent, flow.source, flow.target),
                (received, flow.target, flow.source),
            ):
                if near.end <= begin or end <= near.first:
                    continue
                rows, share = near.shares(begin, end)
                columns, others = far.shares(0, self.count)
                total[rows, columns] += flow.size * np.outer(share, others)
        return sent + received
