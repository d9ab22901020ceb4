"""A report for a terminal: rich tables, which become plain text in a pipe."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from xbarc.report.model import Report
from xbarc.report.tables import TableData, citations, report_tables


def render_text(report: Report, *, full: bool = True) -> Group:
    """The report as something that `rich` prints.

    Args:
        report: what to print.
        full: with figures, sources and device estimates; without them only what a network costs.
    """
    tables = report_tables(report)
    shown = tables if full else tables[:4]
    sources = [_sources(report)] if full else []
    return Group(_head(report), *(rich_table(table) for table in shown), *sources, _notes(report))


def rich_table(data: TableData) -> RenderableType:
    """One table, its names and numbers taken literally."""
    table = Table(title=Text(data.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in data.headings:
        right = heading.endswith(">")
        table.add_column(
            Text(heading.removesuffix(">")),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    for row in data.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _head(report: Report) -> Text:
    target = report.target
    settings = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    lines = [
        f"{report.name} on {target.name} ({target.kind}, {target.node_nm} nm, {target.technology})",
        target.description,
        f"settings: {settings or 'defaults'}",
        "",
    ]
    return Text("\n".join(lines))


def _sources(report: Report) -> Text:
    lines = [
        f"  {name}: {cite}{f', {url}' if url else ''}"
        for name, cite, url in citations(report.sources)
    ]
    return Text("\n".join(["Sources", *lines, ""]))


def _notes(report: Report) -> Text:
    return Text("\n".join(["Notes", *(f"  - {note}" for note in report.notes)]))
