"""Self-contained HTML pages: style, tables, bars as inline SVG. Everything is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from xbarc.report.escaping import markup
from xbarc.rows import TableData

_LIGHT = "--ink: #1d2430; --quiet: #5d6878; --line: #c5ccd6; --pale: #e7eaef; --paper: #ffffff;"
_DARK = "--ink: #e3e7ee; --quiet: #9aa5b4; --line: #4a5463; --pale: #2c333e; --paper: #171b21;"
_BARS = "--bar: #3b6ea8; --work: #b9cde4; --path: #1f4e87;"
_DARK_BARS = "--bar: #5b8fca; --work: #33506f; --path: #8dbdf0;"
_THEME = f"""
.xbarc {{ color-scheme: light dark; {_LIGHT} {_BARS} }}
@media (prefers-color-scheme: dark) {{ .xbarc {{ {_DARK} {_DARK_BARS} }} }}
@media print {{ .xbarc {{ {_LIGHT} {_BARS} }} }}
"""
_STYLE = """
.xbarc { font: 14px/1.45 system-ui, sans-serif; max-width: 1200px; padding: 8px; }
.xbarc { color: var(--ink); background: var(--paper); }
.xbarc h1 { font-size: 22px; margin: 0 0 2px; } .xbarc h2 { font-size: 16px; margin: 28px 0 6px; }
.xbarc p { margin: 4px 0; } .xbarc .quiet { color: var(--quiet); }
.xbarc .scroll { overflow-x: auto; }
.xbarc table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.xbarc th { text-align: left; border-bottom: 2px solid var(--line); white-space: nowrap; }
.xbarc th, .xbarc td { padding: 3px 12px 3px 0; vertical-align: top; }
.xbarc td { border-bottom: 1px solid var(--pale); overflow-wrap: anywhere; }
.xbarc .right { text-align: right; white-space: nowrap; }
.xbarc svg { max-width: 100%; height: auto; }
.xbarc svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }
.xbarc img { image-rendering: pixelated; max-width: 100%; border: 1px solid var(--line); }
"""
# Pixels: room for a name of 30 letters, the longest bar, and from one bar to the next.
_BAR_X, _BAR_WIDTH, _BAR_STEP = 250, 560, 20


def page(title: str, body: str) -> str:
    """A whole document."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{markup(title)}</title>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def image(png: bytes, text: str) -> str:
    """A picture inside the page."""
    data = base64.b64encode(png).decode("ascii")
    return f'<img alt="{markup(text)}" src="data:image/png;base64,{data}">'


def fragment(*parts: str) -> str:
    """A part of a document that brings its own style, for notebooks too."""
    return f'<style>{_THEME}{_STYLE}</style>\n<div class="xbarc">\n' + "\n".join(parts) + "\n</div>"


def render_heading(text: str, level: int = 2) -> str:
    """A heading."""
    return f"<h{level}>{markup(text)}</h{level}>"


def paragraph(text: str, *, quiet: bool = False) -> str:
    """A line of text."""
    return f"<p{' class=quiet' if quiet else ''}>{markup(text)}</p>"


def bullets(lines: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{markup(line)}</li>" for line in lines) + "</ul>"


def table(data: TableData) -> str:
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
    return f'{render_heading(data.title)}\n<div class="scroll"><table>\n{inside}\n</table></div>'


def _cell(tag: str, text: str, right: bool) -> str:
    return f"<{tag}{' class=right' if right else ''}>{markup(text)}</{tag}>"


def bars(title: str, values: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: name, length, label. Nothing where there is nothing to compare."""
    largest = max((value for _, value, _ in values), default=0.0)
    if largest <= 0:
        return ""
    height = _BAR_STEP * len(values) + 4
    rows = "\n".join(
        _bar(index, name, value / largest, label)
        for index, (name, value, label) in enumerate(values)
    )
    size = f'width="1000" height="{height}" viewBox="0 0 1000 {height}"'
    head = render_heading(title)
    return f'{head}\n<svg {size} role="img">\n<title>{markup(title)}</title>\n{rows}\n</svg>'


def _bar(index: int, name: str, share: float, label: str) -> str:
    top = index * _BAR_STEP
    width = max(1.0, share * _BAR_WIDTH)
    short = name if len(name) <= 34 else name[:33] + "…"
    return (
        f'<text x="{_BAR_X - 8}" y="{top + 15}" text-anchor="end">{markup(short)}'
        f"<title>{markup(name)}</title></text>"
        f'<rect x="{_BAR_X}" y="{top + 3}" width="{width:.1f}" height="14" fill="var(--bar)"/>'
        f'<text x="{_BAR_X + width + 6:.1f}" y="{top + 15}">{markup(label)}</text>'
    )
