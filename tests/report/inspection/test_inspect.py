from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import dense_step, grouped_step, small_program
from tests.report.test_report import plain
from xbarc.errors import InputError
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep
from xbarc.numerics import pack_cells
from xbarc.numerics.types import UInt8Array
from xbarc.report import (
    BlockView,
    block_picture,
    find_layer,
    inspect_block,
    inspect_layer,
    layer_picture,
    png_bytes,
    render_block_html,
    render_block_json,
    render_block_text,
    render_layer_html,
    render_layer_json,
    render_layer_text,
)
from xbarc.report.inspection.heat_map import shrink
from xbarc.report.inspection.text import heat_map

Golden = Callable[[str, str], None]


def blocks(step: CrossbarStep) -> list[BlockView]:
    return [inspect_block(step, *place) for place in np.ndindex(step.tiling.array.shape)]


def read_png(data: bytes) -> UInt8Array:
    """A PNG of three bytes a pixel without line filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert checksum == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape(height, width, 3)


def test_layer_text(golden: Golden) -> None:
    golden("layer.txt", plain(render_layer_text(inspect_layer(dense_step()))))


def test_layer_json(golden: Golden) -> None:
    golden("layer.json", render_layer_json(inspect_layer(grouped_step())))


def test_block_text(golden: Golden) -> None:
    golden("block.txt", plain(render_block_text(inspect_block(dense_step(), 0, 0, 1))))


def test_block_json(golden: Golden) -> None:
    golden("block.json", render_block_json(inspect_block(grouped_step(), 1, 0, 0)))


@pytest.mark.parametrize("step", [dense_step(), grouped_step()], ids=["dense", "grouped"])
def test_the_blocks_together_are_the_layer(step: CrossbarStep) -> None:
    """Cells, A, R and the row map of the JSON give the weights that the layer multiplies by."""
    weights = np.zeros((step.groups, step.inputs, step.outputs), dtype=np.int64)
    for view in blocks(step):
        data = json.loads(render_block_json(view))
        cells = np.array(data["cells"])
        sums = np.zeros((len(cells), view.bits.shape[1]), dtype=np.int64)
        for conversion, column, sign in data["A"]["entries"]:
            sums[:, conversion] += sign * cells[:, column]
        for output, conversion, value in data["R"]["entries"]:
            weights[view.group, data["row_input"], output] += value * sums[:, conversion]
    assert np.array_equal(weights, effective_weights(step))


def test_a_block_is_written_out() -> None:
    view = inspect_block(dense_step(), 0, 0, 1)
    assert view.cells.tolist() == [[0, 1], [2, 3], [0, 1], [2, 3]]
    assert view.row_input.tolist() == [0, 1, 2, 3]
    assert view.segments.tolist() == [0, 2, 4]
    assert view.a.tolist() == [[0, 0, 1], [1, 1, 1]]
    assert view.r.tolist() == [[2, 0, 1], [2, 1, -1]]
    assert view.bits.shape == (2, 2, 3)
    assert view.bits[0, :, 0].tolist() == [1, 2]
    assert (view.array, view.outputs.tolist()) == (1, [2])


def test_factors_of_columns_are_written_out_and_are_part_of_r() -> None:
    step = dense_step()
    scale = np.arange(2 * step.conversions, dtype=np.uint8).reshape(1, 2, -1)
    scaled = replace(step, periphery=replace(step.periphery, column_scale=scale))
    first = 0
    for j in range(len(step.tiling.column_bounds) - 1):
        plain, view = inspect_block(step, 0, 1, j), inspect_block(scaled, 0, 1, j)
        assert view.column_scale is not None
        count = len(view.column_scale)
        assert np.array_equal(view.column_scale, scale[0, 1, first : first + count])
        wanted = plain.r[:, 2] * view.column_scale[plain.r[:, 1]]
        assert np.array_equal(view.r[:, 2], wanted[wanted != 0])
        assert json.loads(render_block_json(view))["column_scale"] == view.column_scale.tolist()
        assert "column_scale" not in json.loads(render_block_json(plain))
        first += count
    assert first == step.conversions


def test_widest_conversion_of_each_block() -> None:
    assert inspect_layer(dense_step()).block_bits.tolist() == [[[4, 2], [4, 2]]]


def test_unknown_layers_name_those_there_are() -> None:
    program = small_program()
    assert find_layer(program, "dense").name == "dense"
    with pytest.raises(InputError, match="not a layer of the program; hint: one of dense, grouped"):
        find_layer(program, "dens")
    with pytest.raises(InputError, match="'rest' is a digital fragment"):
        find_layer(program, "rest")


@pytest.mark.parametrize("place", [(1, 0, 0), (0, 2, 0), (0, 0, -1)])
def test_unknown_blocks_say_how_many_there_are(place: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="groups 0 to 0, row blocks 0 to 1, column blocks 0 to 1"):
        inspect_block(dense_step(), *place)


def test_heat_maps() -> None:
    view = inspect_block(dense_step(), 0, 0, 0)
    assert heat_map(view, 80, terminal=False) == "0123\n2301\n0123\n2301"
    assert heat_map(view, 80, terminal=True).splitlines()[0] == " ░▓█"
    narrow = heat_map(view, 2, terminal=True)
    assert len(narrow.splitlines()[0]) == 2
    assert narrow.endswith(
        "(each character is the mean level of 2 x 2 cells; --json has every level)"
    )


def test_pages_are_small_escaped_and_self_contained() -> None:
    cells = np.random.default_rng(0).integers(0, 4, (2, 700, 900)).astype(np.uint8)
    tiling = grouped_step().tiling
    step = grouped_step(cells=pack_cells(cells[:, :2, :2], 2), tiling=tiling)
    for html in (render_layer_html(inspect_layer(step)), render_block_html(step, blocks(step)[0])):
        assert "grouped &lt;b&gt;&amp;" in html
        assert "<b>" not in html
        assert 'href="data:image/png;base64,' in html
        assert len(html) < 2_000_000


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_png_round_trip(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    assert np.array_equal(read_png(png_bytes(pixels)), pixels)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_shrinking_keeps_the_mean_of_each_square(
    rows: int, columns: int, factor: int, seed: int
) -> None:
    cells = np.random.default_rng(seed).integers(0, 16, (rows, columns)).astype(np.uint8)
    small = shrink(cells, factor)
    for y, x in np.ndindex(small.shape):
        square = cells[y * factor : (y + 1) * factor, x * factor : (x + 1) * factor]
        assert small[y, x] == pytest.approx(square.mean())


def test_pictures_show_levels_and_blocks() -> None:
    view = inspect_block(dense_step(), 0, 0, 0)
    pixels = block_picture(view, side=64)
    assert pixels.shape == (64, 64, 3)
    shades = [int(pixels[0, 16 * level].sum()) for level in range(4)]
    assert shades == sorted(shades, reverse=True)
    sheet = layer_picture(dense_step(), side=256)
    assert max(sheet.shape) <= 256 + 2 * 2
    assert np.array_equal(read_png(png_bytes(sheet)), sheet)


def test_an_empty_picture_is_a_picture() -> None:
    assert read_png(png_bytes(np.zeros((0, 5, 3), dtype=np.uint8))).shape == (1, 1, 3)


def test_large_layers_become_small_pictures() -> None:
    cells = np.random.default_rng(0).integers(0, 4, (1, 3000, 64)).astype(np.uint8)
    bounds = np.append(np.arange(0, 3000, 128), 3000)
    tiling = grouped_step().tiling
    count = len(bounds) - 1
    large = grouped_step(
        cells=pack_cells(cells, 2),
        tiling=type(tiling)(
            row_input=np.arange(3000),
            row_bounds=bounds,
            segment_bounds=bounds,
            column_bounds=np.array([0, 64]),
            conversion_bounds=np.array([0, 1]),
            array=np.arange(count).reshape(1, count, 1),
            row_offset=np.zeros((1, count, 1), dtype=np.int64),
            column_offset=np.zeros((1, count, 1), dtype=np.int64),
        ),
    )
    picture = layer_picture(large, side=300)
    assert max(picture.shape) <= 300 + 2 * count
    assert min(picture.shape[:2]) > 100  # not long and thin
