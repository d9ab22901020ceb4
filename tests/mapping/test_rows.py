"""Cells of single rows are those of the whole layer, and give the row's weights back."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import int_layer, small_target
from xbarc.circuit.layer_matrix import real_weights
from xbarc.ir.effective import effective_weights
from xbarc.mapping import ArrayPool, map_layer
from xbarc.mapping.chains import arrange, plain_arrangement
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.rows import KeptPlaces, row_cells, stands_alone
from xbarc.options import MapOptions

ALONE = ("differential", "differential-analog", "acm", "acm-analog", "segmented:2", "bias-column")
TOGETHER = ("offset", "unipolar", "one-signed", "twos-complement", "centre")


def test_which_rows_stand_alone() -> None:
    assert all(stands_alone(find_encoding(name)) for name in ALONE)
    assert not any(stands_alone(find_encoding(name)) for name in TOGETHER)


@pytest.mark.parametrize("encoding", ALONE)
@pytest.mark.parametrize("slices", [1, 2])
def test_row_by_row_is_the_whole_layer(encoding: str, slices: int) -> None:
    target = small_target(cell__bits=3, array__rows=8, array__columns=12, array__active_rows=8)
    options = MapOptions(encoding=encoding, weight_slices=slices)
    rng = np.random.default_rng(7)
    weights = rng.integers(-1, 2, (2, 19, 10))
    layer = int_layer(weights)
    chained = encoding.startswith(("acm", "segmented"))
    places = (
        arrange(weights.reshape(-1, 10).astype(float), 5)
        if chained
        else plain_arrangement(np.arange(10))
    )
    pool = ArrayPool(target.array, "layer")
    step = map_layer(layer, target, options, pool, places)
    rows = row_cells(layer, target, options, places)
    cells = step.cells.unpack((slice(None),)).astype(np.int64)
    for row in range(19):
        found = rows.cells(weights[:, row])
        assert np.array_equal(found, cells[:, row])
        assert np.array_equal(rows.weights(found.astype(float)), weights[:, row])


def test_real_weights_of_whole_levels_are_the_effective_weights() -> None:
    target = small_target(cell__bits=2, array__rows=8, array__columns=16, array__active_rows=8)
    rng = np.random.default_rng(8)
    for encoding in (*ALONE, *TOGETHER):
        layer = int_layer(rng.integers(-7, 8, (2, 19, 6)))
        options = MapOptions(encoding=encoding)
        step = map_layer(layer, target, options, ArrayPool(target.array, "layer"))
        levels = step.cells.unpack((slice(None),)).astype(np.float64)
        assert np.array_equal(real_weights(step, levels), effective_weights(step)), encoding


def test_a_layer_keeps_its_places() -> None:
    target = small_target(array__rows=8, array__columns=16, array__active_rows=8)
    rng = np.random.default_rng(9)
    options = MapOptions()
    pool = ArrayPool(target.array, "layer", used=5)
    first = map_layer(int_layer(rng.integers(-100, 101, (3, 19, 6))), target, options, pool)
    kept = KeptPlaces(first.tiling, pool)
    again = map_layer(int_layer(rng.integers(-100, 101, (3, 19, 6))), target, options, kept)
    for name in ("array", "row_offset", "column_offset"):
        assert np.array_equal(getattr(first.tiling, name), getattr(again.tiling, name))
    with pytest.raises(ValueError, match="another size"):
        map_layer(int_layer(rng.integers(-100, 101, (3, 20, 6))), target, options, kept)


def test_a_copied_pool_leaves_the_first_alone() -> None:
    target = small_target()
    pool = ArrayPool(target.array, "network")
    map_layer(int_layer(np.ones((1, 4, 4), int)), target, MapOptions(pack="network"), pool)
    before = (pool.used, [list(item) for item in pool.free])
    other = pool.copy()
    map_layer(int_layer(np.ones((1, 4, 4), int)), target, MapOptions(pack="network"), other)
    assert (pool.used, pool.free) == before != (other.used, other.free)
    pool.adopt(other)
    assert (pool.used, pool.free) == (other.used, other.free)
