"""What notebooks show of objects, and what Python users take out of programs and reports."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xbarc
from docs import notebook
from tests.explore.test_page import result as study_result
from tests.report.programs import grouped_step, program_of, small_program, small_target
from tests.strategies import CHARACTERS
from xbarc.api import CompiledProgram
from xbarc.encoding_comparison import Comparison, EncodingRow
from xbarc.errors import InputError
from xbarc.evaluate import Evaluation
from xbarc.explore import make_study
from xbarc.frontend import read_network
from xbarc.ir import Trace, effective_weights
from xbarc.report import TableName, inspect_block, render_block_json, render_csv, subject_of
from xbarc.rows import TableData, render_card
from xbarc.session import InferenceSession
from xbarc.target import load_target

LARGEST = 4096  # bytes of what a notebook keeps of an object
NAME = st.text(CHARACTERS, max_size=300)
SHOWN = ("program", "layer", "session", "target", "comparison", "study", "answer", "evaluation")


def small() -> CompiledProgram:
    return CompiledProgram(small_program())


@cache
def shown_objects() -> dict[str, Any]:
    program = small()
    question = {"models": ["a.onnx"], "knobs": {"adc": [4, 5]}, "objectives": {"energy_uj": "min"}}
    rows = (
        EncodingRow(encoding="acm", columns=4, energy_uj=1.5),
        EncodingRow(encoding="x<b>", problem="no"),
    )
    return {
        "program": program,
        "layer": program["dense"],
        "session": InferenceSession(program_of(grouped_step(), target=small_target(), arrays=5)),
        "target": load_target("isaac"),
        "comparison": Comparison("net.onnx", "rram128", 7, None, "normal", rows),
        "study": make_study(question),
        "answer": study_result(500),
        "evaluation": Evaluation(7, None, 0.5, 0.5, 30.0, False, ()),
    }


@pytest.mark.parametrize("name", SHOWN)
def test_objects_are_small_in_a_notebook(name: str) -> None:
    assert tuple(shown_objects()) == SHOWN
    made = shown_objects()[name]
    html, text = made._repr_html_(), repr(made)
    assert len(html.encode()) <= LARGEST
    assert len(text) < 200
    assert text.startswith(f"<{type(made).__name__} ")
    assert "\n" not in text
    assert "<b>" not in html
    ElementTree.fromstring(f"<page>{html}</page>")  # noqa: S314  # our own text


def parts_of(made: Any, seen: dict[int, Any]) -> dict[int, Any]:
    """Every dataclass that can be reached from another one."""
    if id(made) in seen:
        return seen
    if isinstance(made, tuple | list):
        for item in made:
            parts_of(item, seen)
    elif is_dataclass(made) and not isinstance(made, type):
        seen[id(made)] = made
        for item in fields(made):
            parts_of(getattr(made, item.name), seen)
    return seen


def test_data_structures_do_not_fill_a_screen() -> None:
    program = small()
    network = read_network(Path(notebook.ROOT) / "models" / "fashion-vgg.onnx")
    trace = Trace(keep_codes=True)
    for name in map(str, range(100)):
        trace.layer(name).codes += [np.zeros((100, 100), np.int64)] * 20
    view = program["dense"].block(0, 0)
    whole = [program, program.report(), subject_of(program.program), network, trace, view]
    whole.append(Evaluation(7, None, 0.5, 0.5, 30.0, False, ()))
    large = np.zeros((1000, 1000), np.int32)
    tiling = replace(program.program.crossbar_steps[0].tiling, row_input=large)
    assert "int32[1000, 1000]" in repr(tiling)
    found = parts_of([*whole, tiling, trace.layer("0")], {}).values()
    assert len(found) > 40
    long = {type(part).__name__: len(repr(part)) for part in found if len(repr(part)) > 1200}
    assert long == {}


@given(NAME, st.lists(NAME, max_size=2), st.lists(st.tuples(NAME, NAME, NAME), max_size=60))
def test_a_card_is_small_whatever_names_are(
    title: str, lines: list[str], rows: list[tuple[str, str, str]]
) -> None:
    data = TableData("t", ("a", "b>", "c"), tuple(rows))
    html = render_card(title, lines, (data, data))
    assert len(html.encode()) <= LARGEST
    ElementTree.fromstring(f"<page>{html}</page>")  # noqa: S314  # our own text


def test_layers_are_found_by_name() -> None:
    program = small()
    assert list(program) == [layer.name for layer in program.layers] == ["dense", "grouped <b>&"]
    assert "dense" in program
    assert "mixed" not in program
    assert program._ipython_key_completions_() == list(program)
    layer = program["dense"]
    step = layer.step
    assert layer.costs == program.report().layers[0]
    assert np.array_equal(layer.cells, step.cells.unpack())
    assert np.array_equal(layer.weights, effective_weights(step))
    with pytest.raises(InputError, match="'x' is not a layer of the program; hint: one of dense"):
        program["x"]


def test_a_tile_map_has_the_cells_of_its_block(tmp_path: Path) -> None:
    program = small()
    groups, down, across = program["grouped <b>&"].step.tiling.array.shape
    for place in [(g, i, j) for g in range(groups) for i in range(down) for j in range(across)]:
        found = program.tile_map("grouped <b>&", block=place)
        view = inspect_block(program["grouped <b>&"].step, *place)
        assert np.array_equal(found.levels, view.cells)
        assert found.json() == render_block_json(view)
    whole = program.tile_map("dense")
    assert np.array_equal(whole.levels, program["dense"].cells)
    assert np.array_equal(
        program.tile_map("dense", (0, 0)).levels, program["dense"].block(0, 0).cells
    )
    for made in (whole, program.tile_map("dense", block=(0, 0))):
        assert made._repr_png_().startswith(b"\x89PNG")
        for kind in ("png", "html", "json"):
            made.save(tmp_path / f"map.{kind}")
        assert (tmp_path / "map.png").read_bytes() == made.png()
        assert json.loads((tmp_path / "map.json").read_text())["layer"] == "dense"
    with pytest.raises(InputError, match=r"'.bmp' is no kind of tile map"):
        whole.save(tmp_path / "map.bmp")
    with pytest.raises(InputError, match="names no block"):
        program.tile_map("dense", block=(0,))
    with pytest.raises(InputError, match="no row block 9 of"):
        program.tile_map("dense", block=(9, 0))


def test_a_frame_has_what_the_csv_has() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    report = small().report()
    frame = report.to_frame()
    lines = [line.split(",") for line in render_csv(report).splitlines()]
    assert list(frame.columns) == lines[0]
    assert list(frame["name"]) == [row.name for row in report.layers]
    assert frame["energy_uj"].sum() == pytest.approx(sum(r.energy_uj or 0.0 for r in report.layers))
    for name in get_args(TableName):
        assert isinstance(report.to_frame(name), pandas.DataFrame)
    assert report.to_frame("totals")["arrays"].tolist() == [report.totals.arrays]
    assert len(report.to_frame("sources")) == len(report.sources)
    assert report.to_frame("energy")["total"].sum() == pytest.approx(
        (report.totals.energy_uj or 0.0) * 1e6
    )
    with pytest.raises(InputError, match="no table 'layer'; hint: did you mean layers"):
        report.to_frame("layer")  # type: ignore[arg-type]  # what a user may type


def test_frames_without_rows_have_their_columns() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    empty = CompiledProgram(program_of(grouped_step(), target=small_target(), arrays=5)).report()
    assert "macs" in empty.to_frame("digital").columns
    assert len(empty.to_frame("digital")) == 0


def test_a_frame_without_pandas_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match=r"needs pandas; hint: pip install 'xbarc\[tables\]'"):
        small().report().to_frame()


def test_a_failing_report_does_not_hide_the_program() -> None:
    broken = CompiledProgram(small_program(), cost_law="no_such_package:Law")
    assert "no_such_package" in broken._repr_html_()


def test_names_of_the_package_are_there() -> None:
    assert {"CompiledLayer", "TileMap", "Drawing", "Report", "Target"} <= set(xbarc.__all__)
    assert all(getattr(xbarc, name) is not None for name in xbarc.__all__)


def test_the_notebook_of_the_tutorial_is_that_of_a_run() -> None:
    pytest.importorskip("pandas", reason="pandas is not installed")
    kept = notebook.read()
    again = notebook.run(kept)
    assert len(kept["cells"]) == len(again["cells"]) > 15
    for old, new in zip(kept["cells"], again["cells"], strict=True):
        for before, after in zip(old.get("outputs", []), new.get("outputs", []), strict=True):
            assert before.keys() == after.keys()
            was, found = before.get("data", {}), after.get("data", {})
            assert was.keys() == found.keys()
            # What xbarc shows is the same on every machine. Bytes of a PNG file are the library's,
            # tables those of pandas, and a float layer may round otherwise on another processor.
            if "xbarc" in "".join(found.get("text/html", found.get("image/svg+xml", ()))):
                assert was == found


def test_every_cell_of_the_notebook_stands_on_its_page() -> None:
    page = notebook.page()
    for cell in notebook.read()["cells"]:
        assert "".join(cell["source"]) in page
    assert page.count("<img") == 1
    assert page.count("<svg") == 2


def test_the_reference_has_every_public_name() -> None:
    page = (Path(notebook.ROOT) / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert [name for name in xbarc.__all__ if f"xbarc.{name}" not in page] == []
