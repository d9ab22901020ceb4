"""Chapters of a page: headings that fold, with their drawings and tables, and the contents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from xbarc.report.escaping import markup
from xbarc.report.pages import page
from xbarc.report.pages.drawings import Drawing
from xbarc.rows import TableData


@dataclass(frozen=True)
class FoldedTables:
    """Tables below a line that opens them."""

    title: str
    tables: Sequence[TableData]


@dataclass(frozen=True)
class PageChapter:
    """One heading of a page.

    Attributes:
        drawings: above the tables.
        folded: below the tables, each opened by itself.
        lines: bullets below the tables.
        is_open: whether its tables are seen at first.
    """

    title: str
    drawings: Sequence[Drawing] = ()
    tables: Sequence[TableData] = ()
    lines: Sequence[str] = ()
    is_open: bool = True
    folded: Sequence[FoldedTables] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing below the heading."""
        return not (self.drawings or self.tables or self.lines)


def render_chapters(chapters: Sequence[PageChapter]) -> str:
    """Chapters, one below the other."""
    return "\n".join(_chapter(chapter) for chapter in chapters if not chapter.is_empty)


def _chapter(chapter: PageChapter) -> str:
    figures = "\n".join(page.figure(one.inline, one.title) for one in chapter.drawings)
    parts = [f'<div class="figures">{figures}</div>'] if figures else []
    for data in chapter.tables:
        # A table that alone stands below its heading needs no second one.
        own = TableData("", data.headings, data.rows) if data.title == chapter.title else data
        place = f' id="{_anchor(data.title)}"' if own.title else ""
        parts.append(f"<div{place}>{page.table(own, 3)}</div>")
    parts += map(_folded, chapter.folded)
    parts += [page.bullets(chapter.lines)] if chapter.lines else []
    state = " open" if chapter.is_open else ""
    head = f"<summary>{page.render_heading(chapter.title)}</summary>"
    inside = "\n".join([head, *parts])
    return f'<details class="chapter" id="{_anchor(chapter.title)}"{state}>\n{inside}\n</details>'


def _folded(part: FoldedTables) -> str:
    tables = "\n".join(page.table(data, 4) for data in part.tables)
    head = f"<summary>{markup(part.title)}</summary>"
    return f'<details class="part">{head}\n{tables}\n</details>'


def render_contents(chapters: Sequence[PageChapter]) -> str:
    """Links to chapters and to their tables."""
    links = []
    for chapter in chapters:
        if chapter.is_empty:
            continue
        name = _shorten(chapter.title)
        links.append(_link(chapter.title, name, ""))
        links += [
            _link(table.title, _shorten(table.title, below=name), ' class="inner"')
            for table in chapter.tables
            if table.title != chapter.title
        ]
    buttons = '<button value="open">open all</button><button value="close">fold all</button>'
    return f'<nav aria-label="contents">{"".join(links)}{buttons}</nav>'


def _link(title: str, shown: str, kind: str) -> str:
    return f'<a href="#{_anchor(title)}"{kind}>{markup(shown)}</a>'


def _shorten(title: str, below: str = "") -> str:
    """Titles say much behind the first colon or bracket; a link needs only what comes before.

    Args:
        title: of a chapter or a table.
        below: the link above it, which need not be said again.
    """
    short, *more = re.split(r"[:;(,]", title, maxsplit=1)
    return more[0].strip(" )") if more and short.strip() == below else short.strip()


def _anchor(title: str) -> str:
    """A title as the place that links lead to."""
    return re.sub(r"[^a-z0-9]+", "-", title.split(":", maxsplit=1)[0].lower()).strip("-")
