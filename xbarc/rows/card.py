"""What a notebook shows of an object: a heading, a line or two, the first rows of its tables."""

from __future__ import annotations

import html
from collections.abc import Sequence

from xbarc.errors import visible
from xbarc.rows.table import TableData

# Bytes of a card, names of other people included: a notebook keeps every output that it shows.
_LARGEST = 4096
# Rows of a table at first: as many as a glance takes in. Fewer where names are long.
_MOST_ROWS = 12
# Letters of a heading and of a cell; of a line below the heading.
_LONGEST, _LONGEST_LINE = 60, 160
# The page of the notebook says what colours are: a card has the text's own, and lines of it. A
# class named twice outweighs Jupyter's rule that all cells stand at the right.
_STYLE = """
.xbarc-card.xbarc-card th, .xbarc-card.xbarc-card td {
  text-align: left; padding: 2px 12px 2px 0; border: 0;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
.xbarc-card.xbarc-card .r { text-align: right; } .xbarc-card p { margin: 2px 0; }
.xbarc-card table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 4px 0; }
"""


def render_card(title: str, lines: Sequence[str] = (), tables: Sequence[TableData] = ()) -> str:
    """HTML of at most 4 KiB.

    Args:
        title: what it is.
        lines: at most two, below the title.
        tables: shown by their first rows.
    """
    rows = _MOST_ROWS
    while True:
        text = _write(title, lines[:2], [_table(one, rows) for one in tables if one.rows])
        if len(text.encode()) <= _LARGEST:
            return text
        if not rows:  # headings of many tables
            return _write(title, lines[:2], [])
        rows //= 2


def _write(title: str, lines: Sequence[str], tables: Sequence[str]) -> str:
    parts = [f"<strong>{_markup(title, _LONGEST)}</strong>"]
    parts += [f"<p>{_markup(line, _LONGEST_LINE)}</p>" for line in lines if line]
    inside = "\n".join([*parts, *tables])
    return f'<style>{_STYLE}</style>\n<div class="xbarc-card">\n{inside}\n</div>'


def _table(data: TableData, rows: int) -> str:
    ends = [' class="r"' if name.endswith(">") else "" for name in data.headings]
    head = _line("th", [name.removesuffix(">") for name in data.headings], ends)
    body = "\n".join(_line("td", row, ends) for row in data.rows[:rows])
    caption = f"<p>{_markup(data.title, _LONGEST)}</p>\n" if data.title else ""
    left = len(data.rows) - rows
    more = f"\n<p>and {left:,} more</p>" if left > 0 else ""
    head = f"{head}\n" if any(data.headings) else ""
    return f"{caption}<table>\n{head}{body}\n</table>{more}"


def _line(tag: str, cells: Sequence[str], ends: Sequence[str]) -> str:
    pairs = zip(cells, ends, strict=True)
    return f"<tr>{''.join(f'<{tag}{end}>{_markup(c, _LONGEST)}</{tag}>' for c, end in pairs)}</tr>"


def _markup(text: str, most: int) -> str:
    """Text that no page obeys, shortened before its signs become longer."""
    shown = visible(text)
    return html.escape(shown if len(shown) <= most else f"{shown[: most - 1]}…")
