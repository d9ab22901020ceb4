"""Self-contained HTML pages: style, headings, tables, figures. Everything is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from xbarc.pages import theme
from xbarc.report.escaping import markup
from xbarc.rows import TableData

_FOLDER = Path(__file__).parent
# Pixels above a drawing that stands alone: a line of 12 pixels and the space around it.
_TITLE = 28
_BARS = "--bar: #3b6ea8; --work: #b9cde4; --path: #1f4e87;"
_DARK_BARS = "--bar: #5b8fca; --work: #33506f; --path: #8dbdf0;"
# Nothing may leave the page, whatever stands in the names of a program.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def _theme(selector: str) -> str:
    return theme(selector, _BARS, _DARK_BARS, printed=True)


def page(title: str, body: str, *, script: bool = False) -> str:
    """A whole document.

    Args:
        title: of the window.
        body: its content.
        script: whether tables are sorted by a click, and a printer gets what is folded.
    """
    code = (_FOLDER / "page.js").read_text(encoding="utf-8") if script else ""
    tail = f"<script>\n{code}</script>\n" if script else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{markup(title)}</title>\n<style>{_theme(':root')}"
        "body { margin: 0; background: var(--paper); }</style>\n</head>\n"
        f"<body>\n{body}\n{tail}</body>\n</html>\n"
    )


def standalone(svg: str, title: str) -> str:
    """A drawing of a page as a file that needs no page, its title above it."""
    font = "font-family: sans-serif; font-size: 12px; fill: var(--ink);"
    style = f"{_theme('.xbarc-drawing')}.xbarc-drawing text {{ {font} }}"
    width, height = (int(re.findall(rf' {side}="(\d+)"', svg)[0]) for side in ("width", "height"))
    inside = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    size = f'width="{width}" height="{height + _TITLE}" viewBox="0 0 {width} {height + _TITLE}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="xbarc-drawing" {size} role="img">\n'
        f"<style>{style}</style>\n"
        '<rect width="100%" height="100%" fill="var(--paper)"/>\n'
        f'<text x="8" y="18" font-weight="bold">{markup(title)}</text>\n'
        f'<g transform="translate(0 {_TITLE})">{inside}</g>\n</svg>\n'
    )


def fragment(*parts: str) -> str:
    """A part of a document that brings its own style, for notebooks too."""
    style = _theme(".xbarc") + (_FOLDER / "page.css").read_text(encoding="utf-8")
    return f'<style>\n{style}</style>\n<div class="xbarc">\n' + "\n".join(parts) + "\n</div>"


def render_heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{markup(text)}</h{level}>"


def paragraph(text: str, *, quiet: bool = False) -> str:
    """A line of text."""
    return f"<p{' class=quiet' if quiet else ''}>{markup(text)}</p>"


def key_figures(figures: Sequence[tuple[str, str, str]]) -> str:
    """A box per figure: its name, the figure, and a remark."""
    items = "".join(
        f"<li>{markup(name)}<strong>{markup(value)}</strong><small>{markup(remark)}</small></li>"
        for name, value, remark in figures
    )
    return f'<ul class="keys">{items}</ul>' if figures else ""


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{markup(line)}</li>" for line in lines) + "</ul>"


def table(data: TableData, level: int = 2) -> str:
    """A heading and a table."""
    right = [name.endswith(">") for name in data.headings]
    names = [name.removesuffix(">") for name in data.headings]
    head = "".join(_cell("th", name, side) for name, side in zip(names, right, strict=True))
    rows = [
        "".join(_cell("td", text, side) for text, side in zip(row, right, strict=True))
        for row in data.rows
    ]
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    inside = f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>"
    title = f"{render_heading(data.title, level)}\n" if data.title else ""
    return f'{title}<div class="scroll"><table>\n{inside}\n</table></div>'


def figure(svg: str, title: str) -> str:
    """A drawing below its heading."""
    return f"<figure>{render_heading(title, 3)}\n{svg}</figure>"


def _cell(tag: str, text: str, right: bool) -> str:
    return f"<{tag}{' class=right' if right else ''}>{markup(text)}</{tag}>"
