"""The page of a report: contents, chapters that fold, tables that sort, unknown figures last."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.chromium import needs_chromium, rendered_dom
from tests.report.programs import small_program
from xbarc.report import collect, render_html

_SORT = """
const table = document.querySelector("#layers-on-crossbars table");
const heads = [...table.tHead.rows[0].cells];
const names = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent).join();
const found = [names()];
const cells = heads.find((head) => head.textContent === "conversions");
cells.click(); found.push(names());
cells.click(); found.push(names());
const parts = document.querySelector("#area-by-component table");
parts.tHead.rows[0].cells[3].click();
const rows = [...parts.tBodies[0].rows];
found.push(rows.map((row) => parseFloat(row.cells[3].textContent)).join());
found.push(rows.at(-1).cells[0].textContent);
document.body.dataset.found = JSON.stringify(found);
location.hash = "#notes";
"""


def test_every_link_has_its_place_and_every_place_once() -> None:
    html = render_html(collect(small_program()))
    places = re.findall(r'id="([^"]*)"', html)
    links = re.findall(r'href="#([^"]*)"', html)
    assert len(places) == len(set(places))
    assert set(links) == set(places)


def test_what_is_not_known_stands_in_one_place_at_the_end() -> None:
    html = render_html(collect(small_program()))
    last = html.index('<details class="chapter" id="not-known"')
    assert html.rindex('<details class="chapter"') == last
    assert "costs.write_energy: no source gives it" in html[last:]
    tables = re.findall(r"<td.*?</td>", html[:last])
    assert not [cell for cell in tables if "no source gives it" in cell]


def test_a_figure_is_shown_once() -> None:
    """Components as ring and table, totals as boxes or lines: no drawing twice."""
    report = collect(small_program())
    html = render_html(report)
    titles = re.findall(r"<h3>(.*?)</h3>", html)
    drawn = [title for title in titles if html.count(f"<h3>{title}</h3>\n<svg") > 1]
    assert drawn == []
    boxed = re.findall(r"<li>([^<]*)<strong>", html)
    assert len(boxed) == 6
    assert not [name for name in boxed if f"<td>{name}</td>" in html]


@needs_chromium
def test_a_browser_sorts_and_opens(tmp_path: Path) -> None:
    page = render_html(collect(small_program()))
    dom = rendered_dom(page, tmp_path, _SORT)
    assert 'data-ready="yes"' in dom
    found = re.search(r'data-found="(.*?)"', dom)
    assert found is not None
    first, up, down, areas, last = re.findall(r"&quot;(.*?)&quot;", found[1])
    assert up == ",".join(reversed(first.split(","))) or up == first
    assert down == ",".join(reversed(up.split(",")))
    *parts, total = map(float, areas.split(","))
    assert parts == sorted(parts)
    assert total == pytest.approx(sum(parts), rel=1e-2)
    assert last == "total"
