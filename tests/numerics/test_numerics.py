"""Properties of the integer arithmetic that everything rests on."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import integers_of
from xbarc.errors import say_count
from xbarc.numerics import (
    IntFormat,
    bits_for,
    count_levels,
    exact_matmul,
    magnitude_bits,
    pack_cells,
    packing,
    round_to_int,
    shift_add,
    slice_count,
    slice_inputs,
    slice_weights,
    sum_columns,
)


@given(st.data(), st.integers(1, 8), st.integers(1, 7))
def test_slices_join_back(data: st.DataObject, cell_bits: int, slices: int) -> None:
    weights = data.draw(integers_of((3, 4), 0, (1 << (cell_bits * slices)) - 1))
    parts = slice_weights(weights, cell_bits, slices)
    assert parts.max(initial=0) < 1 << cell_bits
    assert np.array_equal(shift_add(parts, cell_bits), weights)


@given(st.data(), st.integers(1, 8), st.integers(1, 4))
def test_input_slices_join_back(data: st.DataObject, dac_bits: int, slices: int) -> None:
    values = data.draw(integers_of((5,), 0, (1 << (dac_bits * slices)) - 1))
    assert np.array_equal(shift_add(slice_inputs(values, dac_bits, slices), dac_bits), values)


@pytest.mark.parametrize("value", [-1, 16])
def test_slices_refuse_what_does_not_fit(value: int) -> None:
    with pytest.raises(ValueError, match="do not fit 2 slices of 2 bits"):
        slice_weights(np.array([value]), 2, 2)


@given(st.data(), st.integers(1, 8), st.integers(0, 20))
def test_packing_round_trips(data: st.DataObject, bits: int, columns: int) -> None:
    cells = data.draw(integers_of((2, 3, columns), 0, (1 << bits) - 1)).astype(np.uint8)
    packed = pack_cells(cells, bits)
    assert packed.data.shape[-1] == -(-columns * bits // 8)
    assert packed.shape == cells.shape
    assert np.array_equal(packed.unpack(), cells)
    assert np.array_equal(packed.unpack((1, slice(1, 3))), cells[1, 1:3])
    for dtype in (np.float32, np.float64, np.int32, np.int64):
        found = packed.unpack_as(dtype, (slice(None), slice(1, 3)))
        assert found.dtype == dtype
        assert np.array_equal(found, cells[:, 1:3])


@given(
    *(st.integers(1, 8), st.integers(1, 9), st.integers(1, 30), st.integers(0, 2**32 - 1)),
    st.booleans(),
)
def test_levels_are_counted_on_packed_bytes(
    bits: int, rows: int, columns: int, seed: int, loops: bool
) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 1 << bits, (2, rows, columns)).astype(np.uint8)
    with patch.object(packing, "is_worth_loops", return_value=loops):
        found = count_levels(pack_cells(cells, bits))
    assert found.tolist() == np.bincount(cells.ravel(), minlength=1 << bits).tolist()


@given(
    *(st.integers(1, 8), st.integers(1, 30), st.integers(0, 2**32 - 1)),
    *(st.booleans(), st.booleans()),
)
def test_columns_are_summed_on_packed_bytes(
    bits: int, columns: int, seed: int, nonzero: bool, loops: bool
) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 1 << bits, (2, 7, columns)).astype(np.uint8)
    with patch.object(packing, "is_worth_loops", return_value=loops):
        found = sum_columns(pack_cells(cells, bits), np.array([0, 3, 4, 7]), nonzero=nonzero)
    counted = cells > 0 if nonzero else cells
    assert np.array_equal(found, np.add.reduceat(counted, [0, 3, 4], axis=1, dtype=np.int64))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_tall_and_wide_columns_do_not_overflow(bits: int) -> None:
    """More rows than a 16-bit sum bears at the top level, more bytes than one tile."""
    rows = 2 * 65535 // ((1 << bits) - 1) + 1 if bits > 2 else 300
    top = np.full((1, rows, 1030 * 8 // bits), (1 << bits) - 1, dtype=np.uint8)
    found = sum_columns(pack_cells(top, bits), np.array([0, rows]))
    assert (found == rows * ((1 << bits) - 1)).all()


def test_packing_refuses_levels_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="level 4 does not fit a cell of 2 bits"):
        pack_cells(np.array([[4]], dtype=np.uint8), 2)


@given(st.data(), st.integers(1, 40))
def test_exact_matmul_equals_int64(data: st.DataObject, inner: int) -> None:
    top = data.draw(st.sampled_from([1, 7, 1000, 2**20]))
    left = data.draw(integers_of((4, inner), -top, top))
    right = data.draw(integers_of((inner, 3), -top, top))
    assert np.array_equal(exact_matmul(left, right, top * top * inner), left @ right)


def test_exact_matmul_is_exact_at_its_limits() -> None:
    for bits in (24, 53):
        largest = (1 << bits) - 1
        left, right = np.array([[largest - 1, 1]]), np.array([[1], [1]])
        assert exact_matmul(left, right, largest)[0, 0] == largest
    with pytest.raises(ValueError, match="do not fit 64 bits"):
        exact_matmul(np.ones((1, 1)), np.ones((1, 1)), 1 << 63)


def test_minus_128_needs_eight_bits() -> None:
    assert magnitude_bits(np.array([-128, 127], dtype=np.int8)) == 8
    assert magnitude_bits(np.array([-127, 127], dtype=np.int8)) == 7
    assert magnitude_bits(np.zeros(0, dtype=np.int8)) == 1


def test_formats() -> None:
    assert (IntFormat(8, signed=True).min, IntFormat(8, signed=True).max) == (-128, 127)
    assert (IntFormat(8, signed=False).min, IntFormat(8, signed=False).max) == (0, 255)
    assert IntFormat(4, signed=True).contains(np.array([-8, 7]))
    assert not IntFormat(4, signed=True).contains(np.array([8]))
    assert str(IntFormat(4, signed=False)) == "uint4"
    with pytest.raises(ValueError, match="1 to 62 bits"):
        IntFormat(0, signed=True)


@given(st.integers(0, 2**60))
def test_bits_for(largest: int) -> None:
    bits = bits_for(largest)
    assert largest < 1 << bits
    assert bits == 1 or largest >= 1 << (bits - 1)


def test_slice_count_rounds_up() -> None:
    assert [slice_count(7, b) for b in (1, 2, 3, 7, 8)] == [7, 4, 3, 1, 1]


SAMPLES = np.array([-2.5, -1.5, -0.5, -0.2, 0.0, 0.2, 0.5, 1.5, 2.5])
ROUNDED = {
    "half_even": [-2, -2, 0, 0, 0, 0, 0, 2, 2],
    "half_up": [-2, -1, 0, 0, 0, 0, 1, 2, 3],
    "half_down": [-3, -2, -1, 0, 0, 0, 0, 1, 2],
    "half_away": [-3, -2, -1, 0, 0, 0, 1, 2, 3],
    "ceil": [-2, -1, 0, 0, 0, 1, 1, 2, 3],
    "floor": [-3, -2, -1, -1, 0, 0, 0, 1, 2],
    "down": [-2, -1, 0, 0, 0, 0, 0, 1, 2],
    "up": [-3, -2, -1, -1, 0, 1, 1, 2, 3],
}


@pytest.mark.parametrize("mode", sorted(ROUNDED))
def test_rounding_by_name(mode: str) -> None:
    assert np.array_equal(round_to_int(SAMPLES, mode), ROUNDED[mode])  # type: ignore[arg-type]


def test_unknown_rounding_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown rounding 'nearest'"):
        round_to_int(SAMPLES, "nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 bits"), (1, "1 bit"), (2, "2 bits"), (1234, "1,234 bits")]
)
def test_numbers_agree_with_their_noun(count: int, text: str) -> None:
    assert say_count(count, "bit") == text
