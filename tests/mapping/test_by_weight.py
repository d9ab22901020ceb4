"""Cells packed from a table of weights are those that encodings give cell by cell."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import Case, cases
from xbarc.errors import MappingError
from xbarc.mapping import layer
from xbarc.mapping.encodings import ByWeight, Differential, Offset, find_encoding
from xbarc.mapping.job import make_job
from xbarc.numerics import WeightCodes, cell_loops, pack_cells, packed_bytes, packing
from xbarc.options import MapOptions

NAMES = ("differential", "differential-analog", "unipolar", "twos-complement", "centre")


@given(st.data(), st.sampled_from(NAMES), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_table_packs_what_the_encoding_gives(
    data: st.DataObject, name: str, cell_bits: int, seed: int
) -> None:
    """Two runs of outputs, so that codes begin at any bit; -128 and the widest codes included."""
    encoding = find_encoding(name)
    assert isinstance(encoding, ByWeight)
    dtype = data.draw(st.sampled_from([np.int8, np.int16, np.int32]))
    low = (
        0
        if name == "unipolar"
        else -(1 << data.draw(st.integers(0, 10 if dtype != np.int8 else 7)))
    )
    high = max(-low - 1, data.draw(st.integers(1, 127)))
    slices = encoding.slices(low, high, 12, cell_bits)
    first, second = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    weights = np.random.default_rng(seed).integers(low, high + 1, (2, 3, first + second))
    weights[0, 0, 0] = low
    weights = weights.astype(dtype)
    bounds = np.array([0, 2, 3])
    cells = encoding.encode(weights[:, :, None], bounds, 12, cell_bits, slices).cells[:, :, 0]
    columns = cells.shape[2]
    codes = encoding.codes(low, high, 12, cell_bits, slices)
    if codes is None:
        assert columns // (first + second) * cell_bits > 56
        return
    packed = np.full((2, 3, packed_bytes(columns, cell_bits)), 255, dtype=np.uint8)
    with patch.object(packing, "is_worth_loops", return_value=data.draw(st.booleans())):
        codes.pack(weights[:, :, :first], 0, packed)
        codes.pack(weights[:, :, first:], first * codes.width, packed)
    assert np.array_equal(packed, pack_cells(cells, cell_bits).data)


@pytest.mark.parametrize("columns", [8, 5])
@pytest.mark.parametrize(
    ("kind", "low"),
    [
        (np.int8, -128),
        (np.uint8, 0),
        (np.int16, -128),
        (np.int32, 1 << 15),  # beyond 16 bits
        (np.int64, -128),
        (np.float64, -128),
    ],
)
def test_weights_of_all_types_and_layouts_share_few_loops(
    kind: type[np.number[Any]], low: int, columns: int
) -> None:
    """Codes of whole bytes and others; chunks end between rows."""
    cells = np.random.default_rng(columns).integers(0, 2, (256, columns)).astype(np.uint8)
    codes = WeightCodes.of(low, cells, 1)
    assert codes is not None
    chosen = np.arange(5 * 40 * 30).reshape(5, 40, 30) * 7 % 256
    wanted = pack_cells(cells[chosen].reshape(5, 40, -1), 1).data
    weights = (chosen + low).astype(kind)
    doubled = np.repeat(weights, 2, axis=2)
    for layout in (weights, np.asfortranarray(weights), doubled[:, :, ::2]):
        packed = np.zeros_like(wanted)
        with patch.object(packing, "_COPIED", 100):
            codes.pack(layout, 0, packed)
        assert np.array_equal(packed, wanted)
    for loop in (cell_loops.look_up, cell_loops.append_codes):
        kinds = {str(signature[0]) for signature in loop.signatures}
        assert kinds <= {f"readonly array({name}, 2d, C)" for name in ("int16", "int64")}


@given(cases(), st.sampled_from(["offset", "offset-unflipped", None]), st.booleans())
def test_layers_packed_by_tables_are_those_packed_cell_by_cell(
    case: Case, name: str | None, loops: bool
) -> None:
    """Cells and entries of `R`: blocks that begin at any bit, groups, cut rows, flipped columns."""
    options = MapOptions(**{**case.options, **({} if name is None else {"encoding": name})})
    try:
        job = make_job(case.layer, case.target, options, None)
    except MappingError:
        return
    with patch.object(packing, "is_worth_loops", return_value=loops):
        found, entries = layer._encode(job)
    with patch.object(layer, "pack_by_weight", return_value=None):
        wanted, others = layer._encode(job)
    assert np.array_equal(found.data, wanted.data)
    assert (found.bits, found.columns) == (wanted.bits, wanted.columns)
    for entry, other in zip(entries, others, strict=True):
        assert entry.shape == other.shape
        assert np.array_equal(entry, other)


@pytest.mark.parametrize("cell_bits", [1, 2, 3, 4])
def test_offset_has_a_table_of_each_weight(cell_bits: int) -> None:
    codes = Offset().codes(-128, 127, 8, cell_bits, -(-8 // cell_bits))
    assert codes is not None
    assert codes.codes.tolist() == list(range(256))
    assert Offset().codes(-(1 << 15), 1 << 15, 17, 8, 3) is None


def test_too_many_weights_or_cells_have_no_table() -> None:
    pairs = Differential()
    assert pairs.codes(-(1 << 15), (1 << 15) - 1, 16, 8, 2) is not None
    assert pairs.codes(-(1 << 15), 1 << 15, 16, 8, 3) is None
    assert WeightCodes.of(0, np.zeros((1, 57), dtype=np.uint8), 1) is None


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_an_empty_layer_packs_nothing(bits: int) -> None:
    codes = WeightCodes.of(-1, np.zeros((3, 2), dtype=np.uint8), bits)
    assert codes is not None
    codes.pack(np.zeros((1, 0, 5), dtype=np.int8), 0, np.zeros((1, 0, 8), dtype=np.uint8))
