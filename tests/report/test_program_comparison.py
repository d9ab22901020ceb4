from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chromium import needs_chromium, rendered_dom
from tests.report.programs import dense_step, program_of, small_program, small_target
from tests.report.test_report import plain
from xbarc.cost import LEVELS, Policy
from xbarc.mapping.whole_chip import full_load
from xbarc.report import (
    ProgramComparison,
    Report,
    chip_report,
    collect,
    compare,
    render_chip_json,
    render_chip_text,
    render_comparison_csv,
    render_comparison_html,
    render_comparison_json,
    render_comparison_text,
    source_rows,
)
from xbarc.rows import number
from xbarc.target import load_target, target_names


def two() -> ProgramComparison:
    program = small_program()
    reports = [collect(program), collect(program, Policy("budget", 9))]
    return compare(reports, ["a", "b"])


def test_totals_stand_side_by_side() -> None:
    found = two()
    rows = {row.name: row for row in found.totals}
    assert rows["arrays"].values == (5, 9)
    assert rows["arrays"].ratios == (1.0, 1.8)
    assert rows["write_energy_uj"].ratios == (None, None)
    assert rows["inferences_per_s"].ratios[1] == pytest.approx(2.0)
    assert found.differences == {"duplicate": ("none", "budget=9")}


def test_only_common_layers_are_compared() -> None:
    other = program_of(dense_step(), target=small_target(), arrays=4)
    found = compare([collect(small_program()), collect(other)], ["a", "b"])
    assert {row.name.split()[0] for row in found.layers} == {"dense"}
    assert found.programs == ("a on rram128", "b on rram128")


def test_programs_of_different_nets_are_named_and_share_no_layer_of_another_matrix() -> None:
    mine = collect(small_program())
    other = mine.model_copy(
        update={
            "name": "other",
            "model_sha256": "f" * 64,
            "layers": tuple(replace(row, inputs=999) for row in mine.layers),
        }
    )
    found = compare([mine, other], ["a", "b"])
    assert found.layers == ()
    assert found.differences == {"model": (f"small {'0' * 12}", f"other {'f' * 12}")}


def test_every_format_of_a_comparison() -> None:
    found = two()
    assert ProgramComparison.model_validate_json(render_comparison_json(found)) == found
    lines = list(csv.reader(io.StringIO(render_comparison_csv(found))))
    assert lines[0] == ["name", "unit", "a on rram128", "b on rram128"]
    assert lines[1][:2] == ["arrays", "count"]
    assert [float(cell) for cell in lines[1][2:]] == [5, 9]
    text = plain(render_comparison_text(found))
    assert "9 (1.8x)" in text
    assert "budget=9" in text


def test_programs_are_drawn_side_by_side() -> None:
    program = small_program()
    reports = [collect(program), collect(program, Policy("budget", 9))]
    found = compare(reports, ["a <b>", "b"])
    html = render_comparison_html(found, reports)
    assert "a <b>" not in html
    assert "1: a &lt;b&gt; on rram128" in html
    assert html.count("<svg") == 5  # totals, energy, area, energy and latency of layers
    links = re.findall(r'href="#([^"]*)"', html)
    assert set(links) <= set(re.findall(r'id="([^"]*)"', html))
    for value in (reports[0].totals.energy_uj, reports[1].totals.energy_uj):
        assert f"{number(value)} uJ</text>" in html
    assert len(found._repr_html_()) <= 4096
    assert repr(found) == "<ProgramComparison of a <b> on rram128, b on rram128>"


@needs_chromium
def test_a_browser_shows_the_comparison(tmp_path: Path) -> None:
    reports = [collect(small_program())] * 2
    page = render_comparison_html(compare(reports, ["a", "b"]), reports)
    assert 'data-ready="yes"' in rendered_dom(page, tmp_path)


@pytest.mark.parametrize("name", target_names())
def test_every_target_rolls_up(name: str) -> None:
    target = load_target(name)
    report = chip_report(target, source_rows(target), full_load(target))
    assert [row.level for row in report.levels] == list(LEVELS)
    for row, parts in zip(report.levels, report.parts, strict=True):
        power = sum(part.total or 0.0 for part in parts.energy) / parts.vector_ns
        assert row.power_mw == pytest.approx(power)
        assert row.area_mm2 == pytest.approx(sum(part.total or 0.0 for part in parts.area) / 1e6)
        assert row.gops > 0
    areas = [row.area_mm2 or 0.0 for row in report.levels]
    assert areas == sorted(areas)
    assert json.loads(render_chip_json(report))["name"] == name
    assert "Power of the chip" in plain(render_chip_text(report))


def test_a_roll_up_says_which_figures_were_given_for_another_array() -> None:
    for sets, shown in ((["array.columns=256"], True), ([], False)):
        target = load_target("isaac", sets)
        text = plain(render_chip_text(chip_report(target, source_rows(target))), width=200)
        assert ("30 pJ given for columns 128 x 1.992" in text) == shown
        assert ("Given for another array" in text) == shown


def test_more_copies_can_be_asked_of_a_compiled_program() -> None:
    report = collect(small_program(), Policy("throughput", 1e9 / 1200))
    assert report.schedule is not None
    assert report.schedule.interval_us == 1.2
    assert report.totals.arrays == 9
    assert report.totals.arrays_once == 5
    assert report.totals.arrays_missing == 1
    assert isinstance(report, Report)
