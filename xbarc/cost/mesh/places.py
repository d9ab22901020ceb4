"""Where layers lie on the chip, and what that makes the routers carry.

Arrays fill tiles one layer after another, so that no room is left over inside a chip. Tiles then
take their places on the mesh: along a snake in a part of it, from where tabu search lessens the
bytes times hops. Parts of several sizes are tried, and the best is taken (a quadratic assignment,
so no proof of being best, but a bound beside it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, fsum, isqrt, sqrt

import numpy as np

from xbarc.cost.mesh.tabu_search import improve_places
from xbarc.cost.mesh.tile_traffic import Item, ItemTiles, Link, TileFlow, TileTraffic
from xbarc.numerics import Float64Array, Int64Array

_PARTS = (1.0, 1.3, 2.0)  # places a tile, of the parts of the mesh that are tried before all of it
# A round of the search passes over tables of places by places, 0.3 MB each where 200 tiles fill
# the mesh; larger programs keep the snake (docs: schedule).
_MOST_TILES = 200
# Pairs of tiles whose traffic stands at once: 1 << 20 float64 are 8 MiB an array, and all pairs of
# 1,024 tiles, whose bound is then one sum.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class MeshPlacement:
    """Tiles of each item, and what the routers carry.

    Attributes:
        grid: rows and columns of the mesh.
        tiles: place on the mesh and arrays there, of each item.
        byte_hops: bytes times hops of one inference, by the item that they go to.
        total: sum of those.
        bound: no placement of these tiles on this mesh carries less.
    """

    grid: tuple[int, int]
    tiles: Mapping[str, tuple[tuple[int, int], ...]]
    byte_hops: Mapping[str, float]
    total: float
    bound: float

    @property
    def gap(self) -> float:
        """How far the total may be above the best one."""
        return self.total / self.bound - 1 if self.bound else 0.0


def mesh_grid(tiles: int) -> tuple[int, int]:
    """Rows and columns: a rectangle that is filled if it is not long and thin, else a square."""
    for rows in range(isqrt(tiles), 0, -1):
        # A side of twice the other adds few hops, and leaves no place of the mesh unused.
        if tiles % rows == 0 and tiles // rows <= 2 * rows:
            return rows, tiles // rows
    columns = ceil(sqrt(tiles))
    return ceil(tiles / columns), columns


def snake(grid: tuple[int, int]) -> Int64Array:
    """Places in an order in which each is beside the one before."""
    rows, columns = grid
    table = np.arange(rows * columns, dtype=np.int64).reshape(grid)
    # Every second row backwards: the end of one lies beside the beginning of the next.
    table[1::2] = table[1::2, ::-1].copy()
    return table.reshape(-1)


def fill_tiles(items: Sequence[Item], capacity: int) -> dict[str, ItemTiles]:
    """Tiles of each item by its name, one item after another."""
    before = accumulate((item.arrays for item in items), initial=0)
    return {
        item.name: ItemTiles.of_arrays(start, item.arrays, capacity)
        for item, start in zip(items, before, strict=False)
    }


def place(
    items: Sequence[Item], links: Iterable[Link], capacity: int, chip_tiles: int
) -> MeshPlacement:
    """Place items on a mesh; chips beyond the first continue the mesh.

    Args:
        items: in the order in which they run.
        links: what flows between them.
        capacity: arrays of one tile.
        chip_tiles: tiles of one chip.
    """
    tiles = fill_tiles(items, capacity)
    count = max(held.end for held in tiles.values())
    grid = mesh_grid(max(chip_tiles, count))
    traffic = TileTraffic.between(tiles, items, links)
    start = snake(grid)[:count]
    searched = count <= _MOST_TILES and any(flow.size for flow in traffic.flows)
    places = best_of_parts(traffic.rows(0, count), grid) if searched else start
    carried = dict.fromkeys(tiles, 0.0)
    for flow in traffic.flows:
        carried[flow.name] += flow.size * mean_hops(flow, places, grid)
    where = {
        name: tuple(zip(places[held.first : held.end].tolist(), held.arrays.tolist(), strict=True))
        for name, held in tiles.items()
    }
    return MeshPlacement(grid, where, carried, sum(carried.values()), lower_bound(traffic))


def best_of_parts(traffic: Float64Array, grid: tuple[int, int]) -> Int64Array:
    """Places after searches in parts of the mesh of several sizes; the first of equals."""
    count, apart = len(traffic), distances(grid)
    found = []
    for part in _parts(count, grid):
        inside = improve_places(traffic, distances(part), snake(part)[:count])
        row, column = np.divmod(inside, part[1])
        places = row * grid[1] + column
        found.append((float((traffic * apart[np.ix_(places, places)]).sum()), places))
    return min(found, key=lambda item: item[0])[1]


def _parts(count: int, grid: tuple[int, int]) -> list[tuple[int, int]]:
    """Rectangles at a corner that hold so many tiles, and the whole mesh."""
    found = []
    for share in _PARTS:
        rows = min(grid[0], ceil(sqrt(share * count)))
        columns = min(grid[1], ceil(share * count / rows))
        if rows * columns >= count:
            found.append((rows, columns))
    # The whole mesh last: of equal results the compact part wins.
    return list(dict.fromkeys((*found, grid)))


def distances(grid: tuple[int, int]) -> Int64Array:
    """Hops between any two places."""
    row, column = np.divmod(np.arange(grid[0] * grid[1]), grid[1])
    apart: Int64Array = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    return apart


def mean_hops(flow: TileFlow, places: Int64Array, grid: tuple[int, int]) -> float:
    """Hops from an array of the source to one of the target, on average.

    Arrays are whole, and so are hops: one division rounds. Products of shares as floats gave other
    last digits with every BLAS.
    """
    total, source, target = 0, flow.source, flow.target
    ends = [np.divmod(places[held.first : held.end], grid[1]) for held in (source, target)]
    for axis, size in enumerate(grid):
        # As Python's integers: arrays of two large items times hops exceed 64 bits.
        one, other = (
            np.bincount(end[axis], held.arrays, size).astype(np.int64).tolist()
            for end, held in zip(ends, (source, target), strict=True)
        )
        before_one = before_other = 0
        # What lies on both sides of a border between two lines of the mesh crosses it.
        for first, second in zip(one, other, strict=True):
            before_one, before_other = before_one + first, before_other + second
            total += before_one * (target.total - before_other)
            total += (source.total - before_one) * before_other
    return total / (source.total * target.total)


def lower_bound(traffic: TileTraffic) -> float:
    """Every tile has at most four neighbours, eight places two hops away, and so on."""
    count = traffic.count
    # 4 d places lie d hops away on an endless mesh; borders only have fewer.
    rings = np.arange(1, isqrt(count) + 2)
    near = np.repeat(rings, 4 * rings)[: count - 1]
    block = max(1, _BLOCK // count)
    found = []
    for begin in range(0, count, block):
        apart = traffic.rows(begin, min(count, begin + block))
        np.fill_diagonal(apart[:, begin:], 0.0)
        apart.sort(axis=1)
        # Largest first; the tile's own zero is the one that is left over.
        found.append(float((apart[:, :0:-1] * near).sum()))
    return fsum(found) / 2
