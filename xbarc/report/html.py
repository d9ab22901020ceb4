"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xbarc.cost import CostPart
from xbarc.report import page
from xbarc.report.cited import citations
from xbarc.report.pictures import pictures
from xbarc.report.tables import report_tables, settings_line
from xbarc.rows.format import number
from xbarc.rows.table import TableData

if TYPE_CHECKING:  # Report prints itself through this file
    from xbarc.report.model import Report

_MOST_BARS = 60


def render_html(report: Report) -> str:
    """The whole report as a document."""
    return page.page(f"{report.name} on {report.target.name}", render_fragment(report))


def render_fragment(report: Report) -> str:
    """The report as a part of a document, for notebooks."""
    totals, *rest = report_tables(report)
    return page.fragment(
        *_head(report),
        page.table(totals),
        *pictures(report),
        _layer_bars(report),
        _part_bars("Energy by component, pJ an inference", report.components.energy),
        _part_bars("Area by component, um2", report.components.area),
        *(page.table(table) for table in rest),
        page.table(_citation_table(report)),
        page.heading("Notes"),
        page.bullets(report.notes),
    )


def _head(report: Report) -> tuple[str, ...]:
    target = report.target
    chip = f"{target.description} ({target.kind}, {target.node_nm} nm, {target.technology})"
    return (
        page.heading(f"{report.name} on {target.name}", 1),
        page.paragraph(chip, quiet=True),
        page.paragraph(f"Settings: {settings_line(report)}", quiet=True),
    )


def _layer_bars(report: Report) -> str:
    known = [row for row in report.layers if row.energy_uj is not None]
    shown = sorted(known, key=lambda row: -(row.energy_uj or 0.0))[:_MOST_BARS]
    names = {row.name for row in shown}
    values = [
        (row.name, row.energy_uj or 0.0, f"{number(row.energy_uj)} uJ")
        for row in report.layers
        if row.name in names
    ]
    return page.bars("Energy by layer", values)


def _part_bars(title: str, parts: Sequence[CostPart]) -> str:
    values = [(part.name, part.total or 0.0, number(part.total)) for part in parts if part.total]
    return page.bars(title, values)


def _citation_table(report: Report) -> TableData:
    return TableData("Sources", ("id", "text", "address"), citations(report.sources))
