"""What a table of a report is, before any format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableData:
    """A table; headings that end in `>` are those of right-aligned columns."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
