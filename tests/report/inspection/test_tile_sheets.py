"""Tile maps: cells under their names, marks of columns, a legend, as PNG and as SVG."""

from __future__ import annotations

import string
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.inspection.test_inspect import blocks, read_png
from tests.report.programs import dense_step, grouped_step
from tests.strategies import CHARACTERS
from tests.viewer.programs import conv_program, with_factors
from xbarc.ir import CrossbarStep, conversion_matrix, output_matrix
from xbarc.numerics import pack_cells
from xbarc.report import (
    PLUS,
    block_picture,
    block_sheet,
    inspect_block,
    layer_picture,
    layer_sheet,
    tile_map,
)
from xbarc.report.inspection import lettering
from xbarc.report.inspection.marks import column_marks
from xbarc.report.inspection.names import name_input, name_output
from xbarc.report.inspection.sheet import Patch, Picture, Sheet, TextLine
from xbarc.report.inspection.tile_sheets import shorten, wrap


def texts(sheet: Sheet) -> list[str]:
    return [part.text for part in sheet.parts if isinstance(part, TextLine)]


def largest(sheet: Sheet) -> Picture:
    return max((p for p in sheet.parts if isinstance(p, Picture)), key=lambda p: p.pixels.size)


def sheets(step: CrossbarStep) -> list[Sheet]:
    return [layer_sheet(step), *(block_sheet(step, view) for view in blocks(step))]


@pytest.mark.parametrize("step", [dense_step(), grouped_step()], ids=["dense", "grouped"])
def test_a_file_shows_what_its_sheet_says(step: CrossbarStep) -> None:
    for sheet in sheets(step):
        pixels = read_png(sheet.png())
        assert pixels.shape == (sheet.height, sheet.width, 3)
        cells = largest(sheet)
        height, width = cells.pixels.shape[:2]
        shown = pixels[cells.y : cells.y + height, cells.x : cells.x + width]
        assert np.array_equal(shown, cells.pixels)
        root = ET.fromstring(sheet.svg())  # noqa: S314  # our own text
        found = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
        assert found == texts(sheet)


def test_cells_are_those_of_the_pictures() -> None:
    step = dense_step()
    view = inspect_block(step, 0, 0, 1)
    assert np.array_equal(largest(block_sheet(step, view)).pixels, block_picture(view))
    assert np.array_equal(largest(layer_sheet(step)).pixels, layer_picture(step, 800))


def test_every_kind_of_file(tmp_path: Path) -> None:
    step = dense_step()
    for drawn in (tile_map(step), tile_map(step, (0, 1))):
        for kind in (".png", ".svg", ".html", ".json"):
            drawn.save(tmp_path / f"map{kind}")
            assert (tmp_path / f"map{kind}").read_bytes() == drawn.encode(kind)
        assert drawn.svg().startswith("<svg xmlns=")


def test_axes_have_names() -> None:
    step = dense_step()
    found = texts(block_sheet(step, inspect_block(step, 0, 0, 0)))
    assert found[0] == "dense, block 0,0,0: cell levels"
    assert {"wordline, input", "output", "bitline", "sign, slice"} <= set(found)
    assert {"0  in 0", "out 0", "level 3", "adds to its output", "subtracts"} <= set(found)
    whole = texts(layer_sheet(step))
    assert whole[0] == "dense: cell levels of 4 blocks"
    assert {"row block 0", "inputs 0 to 3", "row block 1", "inputs 4", "0 to 1", "2"} <= set(whole)
    assert "no cell: between blocks, or beside a smaller one" in whole


def test_blocks_in_lines_say_so() -> None:
    cells = np.zeros((1, 3000, 64), dtype=np.uint8)
    bounds = np.append(np.arange(0, 3000, 128), 3000)
    count = len(bounds) - 1
    tiling = grouped_step().tiling
    step = grouped_step(
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
    found = texts(layer_sheet(step))
    assert any(text.startswith("Blocks follow each other line by line") for text in found)
    assert "from 0,0,0 on" in found


@pytest.mark.parametrize(
    "options",
    [{"encoding": "differential"}, {"encoding": "offset"}, {"encoding": "differential-analog"}],
    ids=lambda case: case["encoding"],
)
@pytest.mark.parametrize("factors", [False, True])
def test_marks_are_those_of_r_and_a(options: dict[str, Any], factors: bool, tmp_path: Path) -> None:
    program = conv_program(tmp_path, **options)
    for step in (with_factors(program) if factors else program).crossbar_steps:
        a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
        plain = next(one for one in program.crossbar_steps if one.name == step.name)
        for group, i, j in np.ndindex(step.tiling.array.shape):
            marks = column_marks(inspect_block(step, group, i, j))
            part = slice(*step.tiling.column_bounds[j : j + 2])
            joined, own = (
                (
                    output_matrix(one.periphery, group, i, step.outputs, step.conversions) @ a
                ).toarray()[:, part]
                for one in (step, plain)
            )
            for column, entries in enumerate(joined.T):
                used = entries[entries != 0]
                if not used.size:
                    assert (marks.output[column], marks.sign[column], marks.exponent[column]) == (
                        -1,
                        0,
                        -1,
                    )
                    continue
                assert abs(entries[marks.output[column]]) == abs(used).max()
                assert marks.sign[column] == (
                    0 if len(set(np.sign(used))) > 1 else np.sign(used[0])
                )
                if abs(own[:, column]).max() in (1, 4, 16, 64):
                    assert 1 << marks.exponent[column] == abs(own[marks.output[column], column])


def test_marks_are_drawn_over_their_columns() -> None:
    step = dense_step()
    sheet = block_sheet(step, inspect_block(step, 0, 0, 0))
    cells = largest(sheet)
    strips = [p for p in sheet.parts if isinstance(p, Picture) and p is not cells]
    assert [strip.pixels.shape[1] for strip in strips] == [cells.pixels.shape[1]] * 2
    assert tuple(strips[0].pixels[0, 0]) == PLUS
    signs = strips[0].pixels[0, :: cells.pixels.shape[1] // 4]
    assert (signs[0] == signs[2]).all()
    assert (signs[0] != signs[1]).any()


def test_moved_columns_stand_at_their_bitlines() -> None:
    """Four columns of two outputs, turned round on the chip."""
    plain = dense_step()
    order = np.array([3, 2, 1, 0, 0, 1]).reshape(1, 1, 6)
    step = dense_step(tiling=replace(plain.tiling, column_order=order))
    straight, moved = (block_sheet(one, inspect_block(one, 0, 0, 0)) for one in (plain, step))
    assert np.array_equal(largest(moved).pixels, largest(straight).pixels[:, ::-1])
    strips = [
        [p.pixels for p in sheet.parts if isinstance(p, Picture) and p is not largest(sheet)]
        for sheet in (straight, moved)
    ]
    assert all(np.array_equal(a[:, ::-1], b) for a, b in zip(*strips, strict=True))
    assert "out 1" in texts(moved)
    assert any("order of the layer" in text for text in texts(layer_sheet(step)))


def test_names_of_inputs_and_outputs() -> None:
    assert name_input(dense_step(), 0, 3) == "in 3"
    assert name_output(dense_step(), 0, 2) == "out 2"
    assert name_input(grouped_step(), 1, 1) == "c1 1"
    assert name_output(grouped_step(), 1, 0) == "out 1"


def test_nothing_lies_outside_its_sheet() -> None:
    step = dense_step(name="a name that is far too long for one line " * 20)
    for sheet in sheets(step):
        for part in sheet.parts:
            match part:
                case TextLine():
                    long = lettering.text_width(part.text, part.size)
                    x, y = part.start
                    assert x >= 0
                    assert (y if part.turned else x + long) <= (
                        sheet.height if part.turned else sheet.width
                    )
                case Patch():
                    assert part.x >= 0
                    assert part.y + part.height <= sheet.height
                case Picture():
                    assert part.x + part.pixels.shape[1] <= sheet.width


@given(st.text(CHARACTERS, max_size=60), st.floats(20, 400))
def test_any_text_fits(text: str, room: float) -> None:
    cut = shorten(text, room, 11)
    assert lettering.text_width(cut, 11) <= room or cut == "…"
    words = [word for line in wrap(text, room) for word in line.split()]
    assert words == text.split()


def test_every_letter_is_its_own() -> None:
    seen: dict[bytes, str] = {}
    for letter in (*string.digits, *string.ascii_letters, *string.punctuation, "…", "é"):
        pixels = np.full((40, 40, 3), 255, dtype=np.uint8)
        lettering.draw_text(pixels, letter, (6, 28), 18, colour=(0, 0, 0))
        assert pixels.min() < 128, letter
        assert pixels.tobytes() not in seen, (letter, seen.get(pixels.tobytes()))
        seen[pixels.tobytes()] = letter
        turned = np.full((40, 40, 3), 255, dtype=np.uint8)
        lettering.draw_text(turned, letter, (28, 34), 18, colour=(0, 0, 0), turned=True)
        assert int((255 - turned).sum()) == pytest.approx(int((255 - pixels).sum()), rel=0.02)


def test_text_beyond_the_edge_is_cut() -> None:
    pixels = np.full((10, 10, 3), 255, dtype=np.uint8)
    for place in ((-30, 5), (5, -30), (8, 30), (40, 5)):
        lettering.draw_text(pixels, "edge", place, 9, colour=(0, 0, 0))
        lettering.draw_text(pixels, "edge", place, 9, colour=(0, 0, 0), turned=True)
