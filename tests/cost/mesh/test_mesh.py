from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cost.mesh.best_places import best_places
from xbarc.cost.mesh import exchange_arrays, exchange_loop, tabu_search
from xbarc.cost.mesh import places as mesh_places
from xbarc.cost.mesh.places import (
    best_of_parts,
    distances,
    fill_tiles,
    lower_bound,
    mean_hops,
    mesh_grid,
    place,
    snake,
)
from xbarc.cost.mesh.tabu_search import improve_places
from xbarc.cost.mesh.tile_traffic import Item, Link, TileTraffic
from xbarc.numerics.types import Float64Array

ITEMS = st.lists(st.integers(1, 9), min_size=1, max_size=6).map(
    lambda sizes: [Item(f"l{i}", n, 10.0 * i) for i, n in enumerate(sizes)]
)


def total(traffic: Float64Array, places: object, grid: tuple[int, int]) -> float:
    at = np.asarray(places)
    return float((traffic * distances(grid)[np.ix_(at, at)]).sum() / 2)


def traffic_of(items: Sequence[Item], links: Sequence[Link], capacity: int) -> TileTraffic:
    return TileTraffic.between(fill_tiles(items, capacity), items, links)


def flows_between_tiles(half: Float64Array) -> TileTraffic:
    """Traffic of a table above its diagonal, each tile an item of its own."""
    items = [Item(f"l{i}", 1, 0.0) for i in range(len(half))]
    links = [Link(f"l{i}", f"l{j}", half[i, j]) for i, j in zip(*np.nonzero(half), strict=True)]
    traffic = traffic_of(items, links, 1)
    assert np.array_equal(traffic.rows(0, len(half)), half + half.T)
    return traffic


@st.composite
def chips(draw: st.DrawFn) -> tuple[list[Item], list[Link], int]:
    """Items, what flows between them, and arrays of a tile."""
    items = draw(ITEMS)
    ends = st.sampled_from([item.name for item in items])
    sizes = st.floats(0, 1e6, allow_subnormal=False)
    links = draw(st.lists(st.builds(Link, ends, ends, sizes), max_size=8))
    return items, links, draw(st.integers(1, 7))


@given(ITEMS, st.integers(1, 7))
def test_tiles_hold_every_array_once_and_no_room_is_lost(items: list[Item], capacity: int) -> None:
    tiles = fill_tiles(items, capacity)
    held = np.zeros(-(-sum(item.arrays for item in items) // capacity), dtype=np.int64)
    for item in items:
        own = tiles[item.name]
        assert own.total == item.arrays
        assert (own.arrays > 0).all()
        held[own.first : own.end] += own.arrays
    assert (held[:-1] == capacity).all()
    assert 0 < held[-1] <= capacity


@given(chips(), st.integers(1, 30))
def test_traffic_is_that_of_every_pair_of_tiles(
    chip: tuple[list[Item], list[Link], int], block: int
) -> None:
    """Every pair by itself, in the order of flows; blocks of tiles change no bit."""
    items, links, capacity = chip
    traffic, tiles = traffic_of(items, links, capacity), fill_tiles(items, capacity)
    part = np.zeros((len(items), traffic.count))
    for row, item in zip(part, items, strict=True):
        row[tiles[item.name].first : tiles[item.name].end] = tiles[item.name].arrays / item.arrays
    share = {item.name: row for item, row in zip(items, part, strict=True)}
    total = np.zeros((traffic.count, traffic.count))
    for link in links:
        total += link.size * np.outer(share[link.source], share[link.target])
    for item in items:
        total[:, tiles[item.name].first] += item.sums * share[item.name]
    total += total.T.copy()
    begins = range(0, traffic.count, block)
    ends = [min(begin + block, traffic.count) for begin in begins]
    rows = [traffic.rows(begin, end) for begin, end in zip(begins, ends, strict=True)]
    assert np.array_equal(np.concatenate(rows), total)
    # The bound as it is defined: the largest first, four times one hop, eight times two.
    np.fill_diagonal(total, 0.0)
    near = np.repeat(np.arange(1, 50), 4 * np.arange(1, 50))[: traffic.count - 1]
    wanted = (-np.sort(-total, axis=1)[:, : len(near)] * near).sum() / 2
    assert lower_bound(traffic) == wanted
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mesh_places, "_BLOCK", block)
        assert lower_bound(traffic) == pytest.approx(wanted, rel=1e-14)


@given(chips(), st.integers(0, 2**32 - 1))
def test_hops_are_those_of_every_pair_of_arrays(
    chip: tuple[list[Item], list[Link], int], seed: int
) -> None:
    traffic = traffic_of(*chip)
    grid = mesh_grid(traffic.count + 3)
    places = np.random.default_rng(seed).permutation(grid[0] * grid[1])[: traffic.count]
    apart = distances(grid)
    for flow in traffic.flows:
        at, to = (
            np.repeat(places[held.first : held.end], held.arrays)
            for held in (flow.source, flow.target)
        )
        hops = apart[np.ix_(at, to)]
        assert mean_hops(flow, places, grid) == float(Fraction(int(hops.sum()), hops.size))


def test_hops_of_the_largest_items_are_whole() -> None:
    """Arrays of two items, times hops, exceed 64 bits."""
    items = [Item("a", 4 << 40, 0.0), Item("b", 4 << 40, 0.0)]
    (flow, *_) = traffic_of(items, [Link("a", "b", 1.0)], 1 << 40).flows
    assert mean_hops(flow, np.arange(8), (1, 8)) == 4.0


def test_memory_does_not_grow_with_pairs_of_tiles() -> None:
    """6,000 tiles: a table of all pairs is 0.29 GB, and there were several."""
    items = [Item(f"l{i}", 8 * 1000, 7.0) for i in range(6)]
    links = [Link(f"l{i}", f"l{i + 1}", 100.0) for i in range(5)]
    tracemalloc.start()
    try:
        found = place(items, links, capacity=8, chip_tiles=64)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sum(len(tiles) for tiles in found.tiles.values()) == 6000
    assert found.bound < found.total
    assert peak < 64 << 20


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
    bound = lower_bound(flows_between_tiles(half))
    best = min(total(traffic, at, grid) for at in permutations(range(6), count))
    found = best_places(traffic, grid)
    assert found.total == pytest.approx(best)
    assert total(traffic, found.places, grid) == pytest.approx(best)
    assert found.bound <= best + 1e-6
    assert bound <= best + 1e-6
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
    drawn = rng.integers(0, 50, (count, count)) * (rng.random((count, count)) < 0.2)
    half: Float64Array = np.triu(drawn, 1).astype(np.float64)
    traffic, grid = half + half.T, (6, 6)
    start = snake(grid)[:count]
    found = improve_places(traffic, distances(grid), start, patience=50)
    assert len(set(found.tolist())) == count
    assert total(traffic, found, grid) <= total(traffic, start, grid) + 1e-6
    bound = lower_bound(flows_between_tiles(half))
    assert total(traffic, best_of_parts(traffic, grid), grid) >= bound - 1e-6


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
    traffic = traffic_of(items, [Link("a", "b", 7.0)], 2).rows(0, 2)
    assert traffic.tolist() == [[0, 7], [7, 0]]


@pytest.mark.parametrize("count", [13, 60])
def test_compiled_rounds_take_the_same_way(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(count)
    # Thirds: sums that are rounded, so that another order of adding would show.
    sent = rng.integers(0, 900, (count, count)) * (rng.random((count, count)) < 0.3) / 3
    traffic, grid = sent + sent.T, mesh_grid(count + 3)
    found = []
    for rounds in (exchange_arrays, exchange_loop):
        monkeypatch.setattr(tabu_search._Search, "rounds", rounds)
        found.append(improve_places(traffic, distances(grid), snake(grid)[:count]))
    assert found[0].tolist() == found[1].tolist()
    assert found[0].tolist() != snake(grid)[:count].tolist()
