"""The lesson of the architect: its study can be read, and its designs cost what it prints."""

from __future__ import annotations

import re
import tomllib

import pytest

import xbarc
from tests.models.places import MODELS, ROOT, calibration
from xbarc.target import load_target

PAGE = (ROOT / "docs" / "tutorial" / "which-array.md").read_text(encoding="utf-8")
STUDY = tomllib.loads((ROOT / "examples" / "studies" / "which-array.toml").read_text("utf-8"))
_ROW = r"^ +\d+ +(\d+) +(\d+) +(\S+) +[\d.]+ % +([\d.]+) +([\d.]+)"
ROWS = re.findall(_ROW, PAGE.partition("## ResNet-20")[0], re.MULTILINE)


def test_the_lesson_shows_designs_of_its_study() -> None:
    assert len(ROWS) == 3
    for rows, columns, adc, *_ in ROWS:
        assert int(rows) in STUDY["knobs"]["array.rows"]
        assert int(columns) in STUDY["knobs"]["array.columns"]
        assert adc in map(str, STUDY["knobs"]["adc"])


@pytest.mark.parametrize("row", [row for row in ROWS if row[2].isdigit()], ids=str)
def test_a_design_costs_what_the_lesson_prints(row: tuple[str, ...]) -> None:
    rows, columns, adc, energy, area = row
    changes = [f"array.rows={rows}", f"array.active_rows={rows}", f"array.columns={columns}"]
    program = xbarc.compile(
        MODELS / "fashion-vgg.onnx",
        load_target("rram128", changes),
        calibration=calibration(),
        adc=int(adc),
    )
    totals = program.report().totals
    assert float(f"{totals.energy_uj:.5g}") == float(energy)
    assert float(f"{totals.area_mm2:.5g}") == float(area)
