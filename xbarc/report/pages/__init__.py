"""Pieces of HTML pages: style, tables, and drawings as inline SVG."""

from xbarc.report.pages.drawings import bars, pictures

__all__ = [
    "bars",
    "pictures",
]
