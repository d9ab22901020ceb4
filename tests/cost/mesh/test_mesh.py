from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cost.mesh.best_places import best_places
from xbarc.cost.mesh.places import (
    Item,
    Link,
    best_of_parts,
    distances,
    fill_tiles,
    lower_bound,
    mesh_grid,
    place,
    snake,
    tile_traffic,
)
from xbarc.cost.mesh.tabu_search import improve_places
from xbarc.numerics.types import Float64Array

ITEMS = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(
    lambda sizes: [Item(f"l{i}", n, 10.0 * i) for i, n in enumerate(sizes)]
)


def total(traffic: Float64Array, places: object, grid: tuple[int, int]) -> float:
    at = np.asarray(places)
    return float((traffic * distances(grid)[np.ix_(at, at)]).sum() / 2)


@given(ITEMS, st.integers(1, 7))
def test_tiles_hold_every_array_once_and_no_room_is_lost(items: list[Item], capacity: int) -> None:
    tiles = fill_tiles(items, capacity)
    assert all(sum(tile.values()) <= capacity for tile in tiles)
    for item in items:
        assert sum(tile.get(item.name, 0) for tile in tiles) == item.arrays
    assert len(tiles) == -(-sum(item.arrays for item in items) // capacity)


def test_meshes_are_filled_rectangles_or_squares() -> None:
    assert mesh_grid(168) == (12, 14)
    assert mesh_grid(64) == (8, 8)
    assert mesh_grid(138) == (12, 12)
    assert mesh_grid(1) == (1, 1)
    assert mesh_grid(7) == (3, 3)
    order = snake((3, 4))
    hops = distances((3, 4))
    assert sorted(order) == list(range(12))
    assert all(hops[a, b] == 1 for a, b in pairwise(order))


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 5), st.integers(0, 2**32 - 1))
def test_the_solver_finds_the_best_places_and_bounds_hold(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = np.triu(rng.integers(0, 50, (count, count)), 1).astype(np.float64)
    traffic, grid = half + half.T, (2, 3)
    best = min(total(traffic, at, grid) for at in permutations(range(6), count))
    found = best_places(traffic, grid)
    assert found.total == pytest.approx(best)
    assert total(traffic, found.places, grid) == pytest.approx(best)
    assert found.bound <= best + 1e-6
    assert lower_bound(traffic) <= best + 1e-6
    ours = improve_places(traffic, distances(grid), snake(grid)[:count])
    assert len(set(ours.tolist())) == count
    start = total(traffic, snake(grid)[:count], grid)
    assert total(traffic, ours, grid) == pytest.approx(best)
    assert best <= start + 1e-6
    searched = best_of_parts(traffic, grid)
    assert total(traffic, searched, grid) == pytest.approx(best)


@settings(max_examples=15, deadline=None)
@given(st.integers(6, 30), st.integers(0, 2**32 - 1))
def test_a_search_never_ends_worse_and_gives_every_tile_a_place(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    half = np.triu(rng.integers(0, 50, (count, count)) * (rng.random((count, count)) < 0.2), 1)
    traffic, grid = (half + half.T).astype(np.float64), (6, 6)
    start = snake(grid)[:count]
    found = improve_places(traffic, distances(grid), start, patience=50)
    assert len(set(found.tolist())) == count
    assert total(traffic, found, grid) <= total(traffic, start, grid) + 1e-6
    assert total(traffic, best_of_parts(traffic, grid), grid) >= lower_bound(traffic) - 1e-6


def test_a_chain_of_layers_is_placed_without_detours() -> None:
    items = [Item(f"l{i}", 4, 0.0) for i in range(6)]
    links = [Link(f"l{i}", f"l{i + 1}", 100.0) for i in range(5)]
    found = place(items, links, capacity=4, chip_tiles=9)
    assert found.total == found.bound == 500.0
    assert found.gap == 0.0
    assert found.byte_hops["l0"] == 0
    assert found.byte_hops["l3"] == 100.0


def test_what_lies_in_one_tile_crosses_no_router() -> None:
    items = [Item("a", 3, 50.0), Item("b", 5, 50.0)]
    found = place(items, [Link("a", "b", 100.0)], capacity=8, chip_tiles=4)
    assert found.total == 0.0
    assert found.tiles == {"a": ((0, 3),), "b": ((0, 5),)}


def test_sums_travel_to_the_first_tile_of_their_layer() -> None:
    found = place([Item("a", 8, 60.0)], [], capacity=4, chip_tiles=4)
    assert found.byte_hops["a"] == 30.0  # half of them lie one hop away


def test_traffic_counts_both_ways_once() -> None:
    items = [Item("a", 2, 0.0), Item("b", 2, 0.0)]
    traffic = tile_traffic(fill_tiles(items, 2), items, [Link("a", "b", 7.0)])
    assert traffic.tolist() == [[0, 7], [7, 0]]
