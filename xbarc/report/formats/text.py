"""A report for a terminal: rich tables, which become plain text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from xbarc.report.escaping import text_lines
from xbarc.report.model import Report
from xbarc.report.notes import specific
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import (
    SOLVER,
    chosen_table,
    citations,
    layers_table,
    plain_line,
    stayed_table,
)


def render_text(report: Report, *, full: bool = True) -> Group:
    """The report as something that `rich` prints.

    Args:
        report: what to print.
        full: everything; otherwise only what the network costs and what stayed digital.
    """
    if not full:
        return _brief(report)
    tables = (rich_table(table) for table in report.tables())
    return Group(_head(report), *tables, _sources(report), _notes(report.notes))


def _brief(report: Report) -> Group:
    """Totals, layers, what stayed digital, and notes on this program alone."""
    stayed, notes = stayed_table(report.digital), specific(report.notes)
    tables = (
        report.totals_table(),
        layers_table(report.layers),
        chosen_table(report.layers),
        *SOLVER.tables(report.solver),
        stayed,
        report.unknown_table(),
    )
    parts: list[RenderableType] = [_head(report)]
    parts += [rich_table(table) for table in tables if table.rows]
    if report.digital and not stayed.rows:
        parts.append(Text(text_lines([plain_line(report.digital), ""])))
    if notes:
        parts.append(_notes(notes))
    return Group(*parts)


def _head(report: Report) -> Text:
    target = report.target
    lines = [
        f"{report.name} on {target.name} ({target.origin})",
        target.description,
        f"settings: {report.settings_line}",
        "",
    ]
    return Text(text_lines(lines))


def _sources(report: Report) -> Text:
    lines = [
        f"  {name}: {cite}{f', {url}' if url else ''}"
        for name, cite, url in citations(report.sources)
    ]
    return Text(text_lines(["Sources", *lines, ""]))


def _notes(notes: Sequence[str]) -> Text:
    return Text(text_lines(["Notes", *(f"  - {note}" for note in notes)]))
