"""A report for a terminal: rich tables, which become plain text in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
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

# Letters between two columns, as box.SIMPLE_HEAD draws them.
_GAP = 3
# A column of texts may be folded to this: the totals of a report then stay one table of 80 letters.
_FOLDED = 24


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
    return _FittedTable(data)


@dataclass(frozen=True)
class _FittedTable:
    """A table that loses no column: what a screen is too narrow for goes on below."""

    data: TableData

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One table for a pipe and a wide screen, several for a narrow one."""
        for part in _split_columns(self.data, options.max_width):
            yield _plain_table(part)


def _split_columns(data: TableData, width: int) -> Iterator[TableData]:
    """Tables that fit a width; each repeats the first column, which names the rows."""
    columns = list(zip(data.headings, *data.rows, strict=True))
    needs = [_width(cells) + _GAP for cells in columns]
    parts, room = [[0]], width - needs[0]
    for number, need in enumerate(needs[1:], 1):
        if need > room and len(parts[-1]) > 1:
            parts.append([0])
            room = width - needs[0]
        parts[-1].append(number)
        room -= need
    for first, chosen in enumerate(parts):
        heads = tuple(data.headings[number] for number in chosen)
        rows = tuple(tuple(row[number] for number in chosen) for row in data.rows)
        yield TableData(data.title if not first else "", heads, rows)


def _width(cells: tuple[str, ...]) -> int:
    """Letters that a column needs: numbers stay on one line, long texts may be folded."""
    longest = max(cell_len(visible(cell).removesuffix(">")) for cell in cells)
    return longest if cells[0].endswith(">") else min(longest, _FOLDED)


def _plain_table(data: TableData) -> Table:
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
