"""Where layers lie on the chip, and what that makes the routers carry.

Arrays fill tiles one layer after another, so that no room is left over inside a chip. Tiles then
take their places on the mesh: along a snake in a part of it, from where tabu search lessens the
bytes times hops. Parts of several sizes are tried, and the best is taken (a quadratic assignment,
so no proof of being best, but a bound beside it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isqrt, sqrt

import numpy as np

from xbarc.cost.mesh.tabu_search import improve_places
from xbarc.numerics import Float64Array, Int64Array

_PARTS = (1.0, 1.3, 2.0)  # places a tile, of the parts of the mesh that are tried before all of it
# A round of the search passes over tables of places by places, 0.3 MB each where 200 tiles fill
# the mesh; larger programs keep the snake (docs: schedule).
_MOST_TILES = 200


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


def fill_tiles(items: Sequence[Item], capacity: int) -> list[dict[str, int]]:
    """Arrays of each item in each tile, one item after another."""
    tiles: list[dict[str, int]] = []
    room = 0
    for item in items:
        left = item.arrays
        while left:
            if not room:
                tiles.append({})
                room = capacity
            taken = min(room, left)
            tiles[-1][item.name] = taken
            room, left = room - taken, left - taken
    return tiles


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
    grid = mesh_grid(max(chip_tiles, len(tiles)))
    flows = list(links)
    traffic = tile_traffic(tiles, items, flows)
    start = snake(grid)[: len(tiles)]
    searched = traffic.any() and len(tiles) <= _MOST_TILES
    places = best_of_parts(traffic, grid) if searched else start
    return _describe_placement(items, flows, tiles, places, grid, traffic)


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


def tile_traffic(
    tiles: Sequence[Mapping[str, int]], items: Sequence[Item], links: Iterable[Link]
) -> Float64Array:
    """Bytes between any two tiles, both ways together, where items lie in equal parts."""
    share = _shares(tiles, items)
    total: Float64Array = np.zeros((len(tiles), len(tiles)))
    # Only where items lie: all pairs of tiles for each link took minutes for thousands of tiles.
    lies = {name: np.flatnonzero(part) for name, part in share.items()}
    for link in links:
        rows, columns = lies[link.source], lies[link.target]
        pairs = np.outer(share[link.source][rows], share[link.target][columns])
        total[np.ix_(rows, columns)] += link.size * pairs
    for item in items:
        rows = lies[item.name]
        total[rows, rows[0]] += item.sums * share[item.name][rows]
    return total + total.T


def _shares(tiles: Sequence[Mapping[str, int]], items: Sequence[Item]) -> dict[str, Float64Array]:
    return {
        item.name: np.array([tile.get(item.name, 0) / item.arrays for tile in tiles])
        for item in items
    }


def lower_bound(traffic: Float64Array) -> float:
    """Every tile has at most four neighbours, eight places two hops away, and so on."""
    count = len(traffic)
    # 4 d places lie d hops away on an endless mesh; borders only have fewer.
    near = np.repeat(np.arange(1, count + 1), 4 * np.arange(1, count + 1))[: max(0, count - 1)]
    apart = traffic.copy()
    np.fill_diagonal(apart, 0.0)
    ranked = -np.sort(-apart, axis=1)[:, : len(near)]
    return float((ranked * near).sum() / 2)


def _describe_placement(
    items: Sequence[Item],
    links: Sequence[Link],
    tiles: Sequence[Mapping[str, int]],
    places: Int64Array,
    grid: tuple[int, int],
    traffic: Float64Array,
) -> MeshPlacement:
    share = _shares(tiles, items)
    # As floats once: each product below would turn all of them again.
    hops = distances(grid)[np.ix_(places, places)].astype(np.float64)
    carried = dict.fromkeys((item.name for item in items), 0.0)
    for link in links:
        carried[link.target] += link.size * float(share[link.source] @ hops @ share[link.target])
    for item in items:
        home = int(np.flatnonzero(share[item.name])[0])
        carried[item.name] += item.sums * float(share[item.name] @ hops[:, home])
    where = {
        item.name: tuple(
            (int(place), tile[item.name])
            for place, tile in zip(places, tiles, strict=True)
            if item.name in tile
        )
        for item in items
    }
    return MeshPlacement(grid, where, carried, sum(carried.values()), lower_bound(traffic))
