"""A new section of a report is a row, what gathers it, and one field."""

from __future__ import annotations

import json

from tests.report.programs import small_program, subject
from tests.report.test_report import plain
from xbarc.ir.program import Program
from xbarc.report import Report, render_html, render_json, render_text
from xbarc.report.collector import gather
from xbarc.report.section import Section, Subject, reading_order, section, sections_of
from xbarc.rows import Picojoule, Row, fact, percent, shows
from xbarc.rows.form import Rows


class SparsityRow(Row, title="Cells at level 0"):
    """How empty a layer is."""

    layer: str = fact("name of the layer", head="layer")
    empty: float = fact("share of its cells at level 0, 0 to 1", head="empty>", text=percent)
    saved_pj: Picojoule = fact("energy that they leave unused, {unit}", head="saved uJ>")


def sparsity_rows(subject: Subject) -> tuple[SparsityRow, ...]:
    """A row per layer."""
    return tuple(
        SparsityRow(layer.step.name, float(layer.levels[0] / layer.levels.sum()), 5e5)
        for layer in subject.cost.layers
    )


def sparsity_notes(program: Program) -> tuple[str, ...]:
    return (f"Empty cells of {program.name} were counted.",)


SPARSITY = Section(sparsity_rows, shows(SparsityRow), sparsity_notes, after="layers")


class LongerReport(Report):
    """A report with one more section."""

    sparsity: Rows[SparsityRow] = section("how empty each layer is", SPARSITY, default=())


def test_a_section_is_one_field_and_comes_out_of_every_format() -> None:
    report = gather(LongerReport, subject(small_program()))
    data = json.loads(render_json(report))
    assert [sorted(row) for row in data["sparsity"]] == [["empty", "layer", "saved_uj"]] * 2
    assert data["sparsity"][0]["saved_uj"] == 0.5
    assert LongerReport.model_validate_json(render_json(report)) == report
    schema = LongerReport.model_json_schema(mode="serialization")
    meaning = schema["$defs"]["SparsityRow"]["properties"]["saved_uj"]["description"]
    assert meaning == "energy that they leave unused, uJ"
    for shown in (plain(render_text(report)), render_html(report)):
        assert "Cells at level 0" in shown
        assert "saved uJ" in shown
        assert "Empty cells of small were counted." in shown
    titles = [table.title for table in report.tables()]
    assert (
        titles.index("Cells at level 0")
        == titles.index("Converters, as set and by other rules") - 1
    )


def test_fields_without_a_place_of_their_own_are_read_in_the_order_of_the_json() -> None:
    sections = sections_of(Report)
    moved = {"digital": "schedule", "components": "digital"}
    assert {name: said.after for name, said in sections.items() if said.after} == moved
    order = [name for name in reading_order(sections) if name not in moved]
    assert order == [name for name in Report.model_fields if name in order]
    assert reading_order(sections)[-4:] == ["adc_models", "chip", "device", "sources"]
