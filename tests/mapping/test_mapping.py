"""Blocks, encodings, converters and places."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.strategies import Case, cases
from xbarc.errors import MappingError
from xbarc.ir.effective import effective_weights
from xbarc.ir.geometry import Window
from xbarc.ir.network import MatrixLayer
from xbarc.mapping import ArrayPool, encoding_names
from xbarc.mapping.converters.adc import range_bits
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.tiling import row_bounds, segment_bounds
from xbarc.options import CompileOptions
from xbarc.plan import make_plan


def _random(rows: int, outputs: int, groups: int = 1, seed: int = 0) -> MatrixLayer:
    rng = np.random.default_rng(seed)
    return int_layer(rng.integers(-127, 128, (groups, rows, outputs)))


def test_differential_counts_by_hand() -> None:
    """300 x 37 int8 weights, 2-bit cells: 4 slices, 8 columns per output, 16 outputs an array."""
    step = mapped(_random(300, 37), small_target())
    assert step.weight_slices == 4
    assert step.tiling.row_bounds.tolist() == [0, 128, 256, 300]
    assert step.tiling.column_bounds.tolist() == [0, 128, 256, 37 * 8]
    assert step.tiling.array.shape == (1, 3, 3)
    assert np.unique(step.tiling.array).size == 9


def test_even_tiles_are_of_like_size() -> None:
    step = mapped(_random(300, 37), small_target(), tile="even")
    assert step.tiling.row_bounds.tolist() == [0, 100, 200, 300]
    assert step.tiling.column_bounds.tolist() == [0, 104, 208, 37 * 8]


def test_isaac_keeps_its_unit_column_beside_the_array() -> None:
    step = mapped(_random(128, 64), small_target("isaac"), encoding="offset")
    widths = np.diff(step.tiling.column_bounds)
    assert widths.tolist() == [129, 129]
    assert int(step.adc.bits.max()) <= 8  # flipped columns halve the largest sum


def test_minus_128_survives_one_bit_cells() -> None:
    layer = int_layer(np.full((1, 3, 2), -128, dtype=np.int8))
    step = mapped(layer, small_target(cell__bits=1))
    assert step.weight_slices == 8
    assert np.all(effective_weights(step) == -128)


def test_depthwise_is_not_expanded() -> None:
    rng = np.random.default_rng(0)
    layer = int_layer(
        rng.integers(-127, 128, (64, 9, 1)),
        geometry=Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
    )
    step = mapped(layer, small_target())
    assert step.cells.count == 64 * 9 * 8
    assert np.unique(step.tiling.array).size == 5  # 14 groups of 9 rows on a diagonal


def test_groups_alone_without_packing() -> None:
    step = mapped(_random(9, 1, groups=64), small_target(), pack="none")
    assert np.unique(step.tiling.array).size == 64


def test_small_layers_share_an_array_across_layers() -> None:
    target = small_target()
    pool = ArrayPool(target.array, "network")
    steps = [mapped(_random(50, 5, seed=s), target, pool=pool, pack="network") for s in range(3)]
    assert pool.used == 1
    assert [int(step.tiling.column_offset[0, 0, 0]) for step in steps] == [0, 40, 80]


@given(cases())
def test_every_weight_is_placed_once(case: Case) -> None:
    try:
        step = mapped(case.layer, case.target, **case.options)
    except MappingError:
        return
    array, tiling = case.target.array, step.tiling
    heights, widths = np.diff(tiling.row_bounds), np.diff(tiling.column_bounds)
    assert heights.max() <= array.rows
    assert widths.max() <= array.columns + array.spare_columns
    assert heights.sum() == step.inputs
    taken: set[tuple[int, int, int]] = set()
    for g, i, j in np.ndindex(tiling.array.shape):
        for column in range(widths[j]):
            place = (int(tiling.array[g, i, j]), int(tiling.column_offset[g, i, j]) + column)
            key = (*place, 0)
            assert key not in taken
            taken.add(key)


@given(st.integers(1, 400), st.integers(1, 130), st.sampled_from(["fill", "even"]))
def test_row_bounds_leave_no_row_out(rows: int, active: int, tile: str) -> None:
    array = small_target(array__active_rows=min(active, 128)).array
    bounds = row_bounds(rows, array, tile)  # type: ignore[arg-type]
    assert bounds[0] == 0
    assert bounds[-1] == rows
    assert np.diff(bounds).min() >= 1
    segments = segment_bounds(bounds, array.active_rows)
    assert np.diff(segments).max() <= array.active_rows
    assert set(bounds.tolist()) <= set(segments.tolist())


def test_worst_case_bits_of_published_designs() -> None:
    """Rows, DAC bits, cell bits -> exact bits, from the hardware figures' check values."""
    table = {
        (128, 1, 2): 9,
        (128, 1, 1): 8,
        (256, 1, 4): 12,
        (256, 3, 4): 15,
        (64, 1, 2): 8,
        (9, 2, 1): 5,
    }
    for (rows, dac_bits, cell_bits), bits in table.items():
        target = small_target(
            array__rows=256,
            array__active_rows=256,
            cell__bits=cell_bits,
            input__dac_bits=dac_bits,
            adc__max_bits=16,
        )
        step = mapped(_random(rows, 2), target, adc="worst-case")
        assert int(step.adc.bits.max()) == int(step.adc.bits.min()) == bits


def test_lossless_bits_have_no_extra_factor() -> None:
    """128 rows of ones read 129 outcomes: 8 bits, and one row fewer fits 7."""
    assert range_bits(np.array([128, 127, 1, 0])).tolist() == [8, 7, 1, 0]


def test_neighbours_on_one_converter_take_the_widest() -> None:
    weights = np.zeros((1, 128, 2), dtype=np.int64)
    weights[0, :, 1] = 3
    alone = mapped(int_layer(weights), small_target(adc__columns_per_adc=1, cell__bits=2))
    shared = mapped(int_layer(weights), small_target(adc__columns_per_adc=8, cell__bits=2))
    assert alone.adc.bits.reshape(-1).tolist() == [0, 0, 9, 0]
    assert shared.adc.bits.reshape(-1).tolist() == [9]


def test_capped_bits() -> None:
    step = mapped(_random(128, 4), small_target(), adc="5")
    assert int(step.adc.bits.max()) == 5
    assert int(mapped(_random(128, 4), small_target(), adc="worst-case").adc.bits.max()) == 9


def test_a_converter_that_is_too_narrow_is_refused_with_remedies() -> None:
    target = small_target(adc__max_bits=5)
    with pytest.raises(MappingError, match=r"need \d bits, the ADC of rram128 has 5") as caught:
        mapped(_random(128, 4), target)
    assert str(caught.value).startswith("layer: lossless conversions of 128 rows need")
    assert "--adc 5" in caught.value.hint
    assert re.search(r"array.active_rows=32 \(4 times the cycles\)", caught.value.hint)


def test_a_setting_wider_than_the_converter_is_named_as_it_was_given() -> None:
    with pytest.raises(MappingError, match=r"conversions with --adc 6 of 128 rows need 6 bits"):
        mapped(_random(128, 4), small_target(adc__max_bits=5), adc="6")


def test_a_wide_output_is_cut_over_arrays() -> None:
    target = small_target(array__columns=6, cell__bits=1)
    step = mapped(int_layer(np.full((1, 2, 1), 255), weight_bits=9), target)
    assert np.diff(step.tiling.column_bounds).tolist() == [6, 6, 4]
    assert np.all(effective_weights(step) == 255)


def test_a_pair_needs_two_columns() -> None:
    with pytest.raises(MappingError, match="needs 2 neighbouring columns, an array has 1"):
        mapped(_random(4, 1), small_target(array__columns=1), encoding="differential-analog")


@pytest.mark.parametrize("name", encoding_names())
def test_encodings_know_their_name(name: str) -> None:
    assert find_encoding(name).name == name


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("encoding", "acme", "one of differential"),
        ("adc", "calibrated:x", "one of lossless, worst-case, .* bits, or package:Name"),
        ("adc", "lossless:x", "'lossless:x' is not available"),
        ("adc", "0", "expected 1 to 16"),
        ("tile", "odd", "one of fill, even"),
        ("pack", "all", "one of layer, network, none"),
        ("placement", "acme", "one of none"),
    ],
)
def test_unknown_options_are_refused(option: str, value: str, words: str) -> None:
    with pytest.raises(MappingError, match=words):
        make_plan(CompileOptions(**{option: value}), small_target())  # type: ignore[arg-type]
