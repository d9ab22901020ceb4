"""Tables on narrow screens: nothing is cut off."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tests.report.programs import small_program
from xbarc.report import collect, render_text, rich_table
from xbarc.rows import TableData

WORDS = st.text("abcdefgh 0123456789.%", min_size=1, max_size=14).map(str.strip).filter(bool)


def printed(item: object, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(item)
    return out.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> TableData:
    count = draw(st.integers(1, 12))
    heads = draw(st.lists(WORDS, min_size=count, max_size=count))
    right = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    rows = draw(st.lists(st.tuples(*[WORDS] * count), min_size=1, max_size=4))
    marked = tuple(
        f"{head}>" if is_number else head for head, is_number in zip(heads, right, strict=True)
    )
    return TableData("Table", marked, tuple(rows))


@given(tables(), st.integers(40, 200))
def test_every_heading_and_cell_is_there_in_full(table: TableData, width: int) -> None:
    text = printed(rich_table(table), width)
    assert max(map(len, text.splitlines())) <= width
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for cell in (*(head.removesuffix(">") for head in table.headings), *sum(table.rows, ())):
        assert any(" ".join(cell.split()) in line for line in lines), (cell, text)


@pytest.mark.parametrize("width", [80, 120])
def test_a_report_names_its_layers_on_any_screen(width: int) -> None:
    report = collect(small_program())
    text = printed(render_text(report), width)
    assert "…" not in text
    assert text.index("efficiency") < text.index("TOPS/W") < text.index("Layers")
    for heading in ("conversions", "latency us", "area mm2"):
        assert heading in text
    assert all(text.count(row.name) > 2 for row in report.layers)


def test_a_wide_screen_has_one_table() -> None:
    table = TableData("T", ("a", "b>"), (("x", "1"),))
    assert printed(rich_table(table), 200).count("x") == 1
