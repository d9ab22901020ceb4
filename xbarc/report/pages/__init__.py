"""Pieces of HTML pages: style, tables, chapters, and drawings as inline SVG."""

from xbarc.report.pages.chapters import (
    FoldedTables,
    PageChapter,
    render_chapters,
    render_contents,
)
from xbarc.report.pages.drawings import Drawing, DrawingName, draw, drawings_of
from xbarc.report.pages.page import key_figures

__all__ = [
    "Drawing",
    "DrawingName",
    "FoldedTables",
    "PageChapter",
    "draw",
    "drawings_of",
    "key_figures",
    "render_chapters",
    "render_contents",
]
