"""Tables of rows for a terminal, apart from reports: commands without a report print them too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from xbarc.errors import visible
from xbarc.rows import TableData

# Letters between two columns, as box.SIMPLE_HEAD draws them.
_GAP = 3
# A column of texts may be folded to this: the totals of a report then stay one table of 80 letters.
_FOLDED = 24


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
