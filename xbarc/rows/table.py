"""What a table of a report is, before any format, and how rows become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from xbarc.rows.facts import Entry, Row, facts_of
from xbarc.rows.format import number


@dataclass(frozen=True)
class TableData:
    """A table; headings that end in `>` are those of right-aligned columns."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def table_of(kind: type[Row], rows: Iterable[Row], names: str = "", title: str = "") -> TableData:
    """A table of rows, a column a fact that has a heading.

    Args:
        kind: what the rows are.
        rows: its lines.
        names: fields in the order of the columns, parted by spaces; by default all that have a
            heading.
        title: in place of the title of `kind`.
    """
    lines = tuple(cells(row, names) for row in rows)
    return TableData(title or kind.title, headings(kind, names), lines)


def shows(kind: type[Row], names: str = "") -> Callable[[Iterable[Row]], tuple[TableData, ...]]:
    """What makes the one table of a section."""
    return lambda rows: (table_of(kind, rows, names),)


def headings(kind: type[Row], names: str = "") -> tuple[str, ...]:
    """Headings of the columns."""
    return tuple(entry.fact.head or "" for entry in _columns(kind, names))


def cells(row: Row, names: str = "") -> tuple[str, ...]:
    """One line."""
    return tuple(_cell(row, entry) for entry in _columns(type(row), names))


def _columns(kind: type[Row], names: str) -> list[Entry]:
    found = {entry.field: entry for entry in facts_of(kind)}
    if names:
        return [found[name] for name in names.split()]
    return [entry for entry in found.values() if entry.fact.head is not None]


def _cell(row: Row, entry: Entry) -> str:
    if entry.fact.of is not None:
        return entry.fact.of(row)
    value: Any = entry.value(row)
    match entry.text:
        # Last resort, by the value: a fact without a text and a unit is a name or a count.
        case None:
            if isinstance(value, int):
                # To the last digit, however large: a suffix would be a second unit in its column.
                return f"{value:,}"
            return value if isinstance(value, str) else number(value)
        case str() as template:  # no space stands before the sign that `{:.2%}` writes
            return "" if value is None else template.format(value).replace("%", " %")
        case write:
            return write(value)
