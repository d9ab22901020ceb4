"""A report for a terminal: rich tables, which become plain text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xbarc.errors import visible
from xbarc.report.escaping import text_lines
from xbarc.report.model import Report
from xbarc.report.notes import specific
from xbarc.report.sections import (
    SOLVER,
    chosen_table,
    citations,
    layers_table,
    plain_line,
    stayed_table,
)
from xbarc.rows import TableData


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
    )
    parts: list[RenderableType] = [_head(report)]
    parts += [rich_table(table) for table in tables if table.rows]
    if report.digital and not stayed.rows:
        parts.append(Text(text_lines([plain_line(report.digital), ""])))
    if notes:
        parts.append(_notes(notes))
    return Group(*parts)


def rich_table(data: TableData) -> RenderableType:
    """One table, its names and numbers taken literally."""
    table = Table(
        # `Text` and not str: rich would read `[bold]` in the name of a layer as markup.
        title=Text(visible(data.title)),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_header=any(data.headings),
    )
    for heading in data.headings:
        right = heading.endswith(">")
        table.add_column(
            Text(visible(heading.removesuffix(">"))),
            justify="right" if right else "left",
            # Numbers are compared down a column, so they stay on one line; names are folded where a
            # terminal is narrow.
            no_wrap=right,
            overflow="fold",
        )
    for row in data.rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    return table


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
