"""Links of the documentation lead to files of the repository, where readers of a web host click."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[1]
_WRITTEN = {"_build", "_generated"}  # by `make docs`
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)|<(?:img|a)\b[^>]*\b(?:src|href)=\"([^\"]+)\"")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.S | re.M)


def _pages() -> list[Path]:
    docs = (path for path in (ROOT / "docs").rglob("*.md") if not _WRITTEN & {*path.parts})
    return [*ROOT.glob("*.md"), *sorted(docs), *sorted((ROOT / "models").glob("*.md"))]


def _dead_links(page: Path) -> list[str]:
    found = []
    for groups in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        link = unquote(next(filter(None, groups)).partition("#")[0])
        if not link or re.match(r"[a-z+]+:", link):
            continue  # a heading of the page itself, or another site
        place = (page.parent / link).resolve()
        if not place.exists() or _WRITTEN & {*place.relative_to(ROOT).parts}:
            found.append(f"{page.relative_to(ROOT)}: {link}")
    return found


def test_no_link_is_dead() -> None:
    pages = _pages()
    assert len(pages) > 50
    assert [dead for page in pages for dead in _dead_links(page)] == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    del tmp_path
    page = ROOT / "docs" / "reference" / "targets.md"
    assert _LINK.findall('[a](b.md#c) <img src="d.png" alt="">') == [("b.md#c", ""), ("", "d.png")]
    assert _dead_links(page) == []
