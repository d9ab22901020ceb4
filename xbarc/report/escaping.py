"""Names of other people in text, JSON, CSV and HTML: shown, never obeyed by what displays them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel

from xbarc.errors import visible

_FORMULA = ("=", "+", "-", "@")
_Cell = TypeVar("_Cell")


def text_lines(lines: Iterable[str]) -> str:
    """Lines for a terminal; no name begins a line of its own or moves the cursor."""
    return "\n".join(map(visible, lines))


def markup(text: str) -> str:
    """Text inside HTML or SVG."""
    return html.escape(visible(text))


def csv_cell(value: _Cell) -> _Cell | str:
    """A cell that no spreadsheet runs: text that would begin a formula gets an apostrophe."""
    if not isinstance(value, str):
        return value
    shown = visible(value)
    # Spreadsheets skip spaces before they look for a formula, and so does this test.
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def json_text(model: BaseModel, *, exclude_none: bool = False) -> str:
    """Indented JSON with a newline at its end; what is not printable is escaped."""
    text = model.model_dump_json(indent=2, exclude_none=exclude_none)
    # Only then: the expression looks at every character, and in nearly all reports there is nothing
    # to escape.
    if not all(line.isprintable() for line in text.split("\n")):
        text = re.sub(r"[^\x20-\x7e\n]", _escape, text)
    return text + "\n"


def _escape(found: re.Match[str]) -> str:
    """Only strings hold such characters, so their escape means the same."""
    character = found[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]
