from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import get_args

import pytest
from pydantic import BaseModel
from rich.console import Console, RenderableType

from tests.report.programs import (
    dense_step,
    digital_step,
    grouped_step,
    program_of,
    small_program,
    small_target,
)
from xbarc import rows
from xbarc.cost import CostPart
from xbarc.ir.program import Program
from xbarc.report import Report, collect, render_csv, render_html, render_json, render_text
from xbarc.report.document import Document
from xbarc.rows.form import form_of
from xbarc.rows.format import histogram, number, operators, percent
from xbarc.target import figures

Golden = Callable[[str, str], None]


def plain(renderable: RenderableType, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def unknown_program() -> Program:
    steps = (dense_step(input_shape=None), digital_step(None), grouped_step())
    return program_of(*steps, target=small_target(), arrays=5)


def summed(parts: Iterable[CostPart]) -> float:
    for part in parts:
        assert part.unit_cost is not None
        assert part.total == part.count * part.unit_cost
    return math.fsum(part.total or 0.0 for part in parts)


def test_text(golden: Golden) -> None:
    golden("report.txt", plain(render_text(collect(small_program()))))


def test_json(golden: Golden) -> None:
    golden("report.json", render_json(collect(small_program())))


def test_csv(golden: Golden) -> None:
    golden("report.csv", render_csv(collect(small_program())))


def test_html(golden: Golden) -> None:
    golden("report.html", render_html(collect(small_program())))


def test_unknown_shapes_in_text(golden: Golden) -> None:
    golden("unknown.txt", plain(render_text(collect(unknown_program()), full=False)))


def test_settings_are_told_apart() -> None:
    settings = (("activation_ranges", "static (mse)"), ("adc", "lossless, nearly"))
    report = collect(replace(small_program(), settings=settings))
    wanted = "activation_ranges = static (mse); adc = lossless, nearly"
    assert f"settings: {wanted}\n" in plain(render_text(report))
    assert f"Settings: {wanted}<" in render_html(report)


def test_brief_text_leaves_out_what_every_program_has() -> None:
    report = collect(small_program())
    brief, full = plain(render_text(report, full=False)), plain(render_text(report))
    told = ("Input ranges found", "The first axis of")
    own = [note for note in report.notes if note.startswith(told)]
    assert [note for note in report.notes if note in " ".join(brief.split())] == own
    assert all(note in " ".join(full.split()) for note in report.notes)
    assert "MatMul: both operands are data" in brief
    assert "Placement" not in brief


def test_brief_text_counts_operators_without_matrices() -> None:
    step = replace(digital_step(), operators=(("Add", 1), ("Relu", 2)), notes=())
    target = small_target()
    report = collect(program_of(step, replace(step, name="b"), target=target, arrays=0))
    assert "without a matrix operator: Add x2, Relu x4" in plain(render_text(report, full=False))


MODELS = (*Document.__subclasses__(), *map(form_of, rows.Row.__subclasses__()))


@pytest.mark.parametrize("kind", MODELS)
def test_every_field_says_what_it_is(kind: type[BaseModel]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


def test_numbers_have_a_unit() -> None:
    words = ["uJ", "mm2", "us", "ns", "1/s", "TOPS/W", "bits", "0 to 1", "`unit`", "how many"]
    words += ["pJ", "um2", "KiB", "MiB", "mW", "GOPS", "dB", "`top1`", "`measure`", "nm"]
    words += ["real value"]  # of the model's own numbers, which have no unit
    fields = [item for model in MODELS for item in model.model_fields.items()]
    numbers = [(n, f) for n, f in fields if float in (f.annotation, *get_args(f.annotation))]
    assert len(numbers) > 15
    assert [n for n, f in numbers if not any(w in str(f.description) for w in words)] == []


def test_every_total_is_the_sum_of_printed_parts() -> None:
    report = collect(small_program("costs.chip_static=1.0", "hierarchy.tiles_per_chip=1"))
    totals, parts = report.totals, report.components
    assert totals.energy_uj == pytest.approx(summed(parts.energy) / 1e6, rel=1e-15)
    assert totals.area_mm2 == pytest.approx(summed(parts.area) / 1e6, rel=1e-15)
    assert report.chip.area_mm2 == pytest.approx(summed(report.chip.parts) / 1e6, rel=1e-15)


def test_layers_and_fragments_add_up_to_the_totals() -> None:
    report = collect(small_program())
    totals, layers = report.totals, report.layers
    assert totals.cells == sum(row.cells for row in layers)
    assert totals.conversions == sum(row.conversions or 0 for row in layers)
    assert totals.macs_crossbar == sum(row.macs or 0 for row in layers) == 4 * 15 + 3 * 4
    assert totals.macs_digital == 7
    energy = [row.energy_uj or 0.0 for row in layers]
    energy += [row.energy_uj or 0.0 for row in report.digital]
    assert totals.energy_uj == pytest.approx(math.fsum(energy))
    assert totals.area_mm2 == pytest.approx(math.fsum(row.area_mm2 for row in layers))
    assert totals.latency_us == pytest.approx(math.fsum(row.latency_us or 0.0 for row in layers))


def test_totals_by_hand() -> None:
    totals = collect(small_program()).totals
    assert (totals.arrays, totals.arrays_without_packing) == (5, 6)
    assert totals.cell_utilization == 38 / (5 * 16)
    assert totals.latency_us == 3.6
    assert totals.inferences_per_s == pytest.approx(1e9 / 2400)
    assert totals.energy_uj is not None
    assert totals.tops_per_watt == pytest.approx(2 * (72 + 7) / (totals.energy_uj * 1e6))
    assert totals.fits_one_chip
    assert totals.adc_settings == 2 * 6 + 2


def test_unknown_totals_have_a_reason() -> None:
    steps = (dense_step(input_shape=None), digital_step(None), grouped_step(input_shape=None))
    totals = collect(program_of(*steps, target=small_target(), arrays=5)).totals
    missing = {name for name, value in vars(totals).items() if value is None}
    assert missing == set(totals.unknown)
    assert missing >= {"conversions", "energy_uj", "latency_us", "tops_per_watt", "macs_digital"}
    assert all(totals.unknown.values())
    assert totals.area_mm2 is not None


def test_totals_count_what_can_be_counted_and_name_the_rest() -> None:
    """As if the layer that is left out took nothing, and never silently."""
    reason = "what Loop 'l' does depends on its data"
    lost = dense_step(input_shape=None, uncounted=reason)
    report = collect(
        program_of(lost, digital_step(7), grouped_step(), target=small_target(), arrays=5)
    )
    (left,) = report.left_out
    assert (left.name, left.kind, left.reason) == ("dense", "crossbar", reason)
    assert f"Left out of the totals: dense, {reason}." in report.notes
    kept = report.layers[1]
    assert report.totals.macs_crossbar == kept.macs
    assert report.totals.macs_digital == 7
    assert report.totals.conversions == kept.conversions
    assert report.totals.latency_us == kept.latency_us
    assert report.totals.energy_uj == pytest.approx(
        sum(row.total or 0.0 for row in report.components.energy) / 1e6
    )
    assert reason in plain(render_text(report, full=False))
    assert "dense: see the notes" in plain(render_text(report))
    assert json.loads(render_json(report))["left_out"][0]["reason"] == reason


@pytest.mark.parametrize(
    "extra", [(), ("costs.chip_static=2.0", "hierarchy.tiles_per_chip=1"), ("costs.tile_static=0",)]
)
def test_what_is_always_on_is_charged_for_the_interval(extra: tuple[str, ...]) -> None:
    """Power times interval at full rate, power times latency alone: by hand from the schedule."""
    program = small_program(*extra)
    target, report = program.target, collect(program)
    totals, plan = report.totals, report.schedule
    assert plan is not None
    assert plan.interval_us < plan.latency_us
    power = totals.tiles * target.costs.tile_static.value
    if totals.chips > 1 and target.costs.chip_static is not None:
        power += totals.chips * target.costs.chip_static.value
    on = {row.name: row.total for row in report.components.energy if row.name.endswith("ns")}
    assert sum(value or 0.0 for value in on.values()) == pytest.approx(
        power * 1e3 * plan.interval_us
    )
    assert totals.energy_uj is not None
    assert totals.energy_alone_uj is not None
    longer = power * (plan.latency_us - plan.interval_us) / 1e3  # mW us to uJ
    assert totals.energy_alone_uj - totals.energy_uj == pytest.approx(longer)
    assert totals.inferences_per_s is not None
    moved = totals.energy_uj * 1e-6 * totals.inferences_per_s  # watts at full rate
    assert moved >= power / 1e3 - 1e-12


def test_open_axes_are_named_with_their_remedy() -> None:
    without = grouped_step(input_shape=(1, 2, 1))
    program = program_of(dense_step(), without, target=small_target(), arrays=5)
    empty = replace(program, settings=(("open_axes", "x: H, W"),))
    (note,) = [note for note in collect(empty).notes if note.startswith("Open axes")]
    assert "x: H, W" in note
    assert "grouped <b>& has no input vector and costs nothing" in note
    assert "--shape" in note


def test_a_fixed_batch_is_told() -> None:
    program = program_of(dense_step(), target=small_target(), arrays=4)
    (value,) = program.inputs
    for size, settings, told in [
        (1, (), False),
        (None, (), False),
        (4, (), True),
        (None, (("shapes", f"{value.name}=3,20"),), True),
        (None, (("shapes", f"{value.name}=\x1b[31m"),), False),  # a file may hold anything
    ]:
        shaped = replace(value, shape=(size, *(value.shape or (None,))[1:]))
        report = collect(replace(program, inputs=(shaped,), settings=settings))
        assert any(note.startswith("The first axis of") for note in report.notes) is told


def test_a_program_without_crossbars() -> None:
    report = collect(program_of(digital_step(), target=small_target(), arrays=0))
    assert report.totals.arrays == 0
    assert report.totals.area_mm2 == 0
    assert report.totals.unknown["inferences_per_s"] == "no layer runs on a crossbar"
    assert "small on rram128" in plain(render_text(report))
    assert render_html(report)


def test_every_figure_is_in_the_sources_with_its_text() -> None:
    program = small_program()
    report = collect(program)
    assert [row.path for row in report.sources] == [path for path, _ in figures(program.target)]
    assert all(row.cite for row in report.sources if row.source != "assumed")
    unconfirmed = [row.path for row in report.sources if not row.confirmed]
    assert all(any(path in note for note in report.notes) for path in unconfirmed)


def test_json_round_trips_and_repeats() -> None:
    report = collect(small_program())
    text = render_json(report)
    assert Report.model_validate_json(text) == report
    assert render_json(collect(small_program())) == text
    data = json.loads(text)
    assert data["format"] == 3
    assert {"arrays", "cells", "cell_utilization", "conversions"} <= set(data["totals"])


def test_csv_has_a_line_a_layer_and_a_total() -> None:
    lines = list(csv.DictReader(io.StringIO(render_csv(collect(small_program())))))
    assert [line["name"] for line in lines] == ["dense", "grouped <b>&", "total"]
    assert lines[-1]["cells"] == "38"


def test_html_escapes_names_and_needs_no_network() -> None:
    page = render_html(collect(small_program()))
    assert "grouped &lt;b&gt;&amp;" in page
    assert "<b>" not in page
    assert page.count("<script>") == 1  # which sorts tables and opens chapters
    assert "src=" not in page
    assert "href=" not in page.replace('href="#', "")
    assert "default-src 'none'" in page
    assert "<svg" in page


def test_notebooks_show_the_report() -> None:
    html = collect(small_program())._repr_html_()
    assert html.startswith("<style>")
    assert "<html" not in html
    assert "<script" not in html
    assert html.count("<details") == html.count("</details>") > 5
    assert html.count(" open>") == 1


def test_what_the_solver_found_is_in_every_report() -> None:
    step = dense_step()
    found = "column order by CP-SAT: 12 levels, bound 10, gap 16.7 %"
    step = replace(step, adc=replace(step.adc, notes=(found,)))
    report = collect(program_of(step, target=small_target(), arrays=4))
    note = f"Converters of layer dense: {found}"
    assert note in report.notes
    assert note in plain(render_text(report))
    assert note in json.loads(render_json(report))["notes"]


@pytest.mark.parametrize(
    ("policy", "settings", "overrides", "told"),
    [
        ("calibrated:5", {"placement": "none"}, (), True),
        ("budget", {}, (), True),
        ("lossless", {}, (), False),
        ("calibrated", {"compensate": "gain", "placement": "none"}, (), False),
        ("calibrated", {"placement": "rows"}, (), False),
        ("uniform", {"compensate": "gain"}, (), True),
        ("calibrated", {}, ("wires.wordline.value=0.0", "wires.bitline.value=0.0"), False),
    ],
)
def test_converters_that_know_no_wires_are_told(
    policy: str, settings: dict[str, str], overrides: tuple[str, ...], told: bool
) -> None:
    step = dense_step()
    step = replace(step, adc=replace(step.adc, policy=policy))
    program = program_of(step, target=small_target(*overrides), arrays=4)
    report = collect(replace(program, settings=tuple(sorted(settings.items()))))
    found = [note for note in report.notes if note.startswith("Converters were set on ideal cells")]
    assert bool(found) is told
    brief = " ".join(plain(render_text(report, full=False)).split())
    assert all(note in brief for note in found)


@pytest.mark.parametrize(
    ("encoding", "policy", "told"),
    [
        ("acm", "calibrated:5", True),
        ("acm", "calibrated", False),
        ("acm", "budget", False),
        ("differential", "calibrated:5", False),
    ],
)
def test_few_bits_on_adjacent_columns_are_told(encoding: str, policy: str, told: bool) -> None:
    step = dense_step(encoding=encoding)
    step = replace(step, adc=replace(step.adc, policy=policy))
    report = collect(program_of(step, target=small_target(), arrays=4))
    assert any(note.startswith("Adjacent columns with conv") for note in report.notes) is told


@pytest.mark.parametrize(
    ("feedback", "policy", "told"),
    [("on", "calibrated:5", True), ("auto", "calibrated:5", False), ("on", "lossless", False)],
)
def test_forced_feedback_beside_few_bits_is_told(feedback: str, policy: str, told: bool) -> None:
    step = dense_step()
    step = replace(step, adc=replace(step.adc, policy=policy))
    program = program_of(step, target=small_target(), arrays=4)
    report = collect(replace(program, settings=(("feedback", feedback),)))
    found = [note for note in report.notes if note.startswith("Error feedback was forced")]
    assert bool(found) is told
    brief = " ".join(plain(render_text(report, full=False)).split())
    assert all(note in brief for note in found)


def test_names_are_no_markup() -> None:
    step = dense_step(name="[red]x[/red]")
    report = collect(program_of(step, target=small_target(), arrays=4))
    assert "[red]x[/red]" in plain(render_text(report))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0, "0"),
        (1234567, "1,234,567"),
        (12345678, "12.35 M"),
        (0.000123456, "0.0001235"),
        (1234.56, "1,235"),
        (2.5e15, "2.5 P"),
        (3.14159, "3.142"),
    ],
)
def test_numbers_for_people(value: float | None, text: str) -> None:
    assert number(value) == text


def test_other_cells_for_people() -> None:
    assert percent(None) == "unknown"
    assert percent(0.1234) == "12.3 %"
    assert percent(1e-7) == "< 0.01 %"
    assert percent(0.0) == "0 %"
    assert histogram({6: 1000, 8: 2}) == "6: 1,000, 8: 2"
    assert operators({"Add": 1, "Relu": 3}) == "Add, Relu x3"
