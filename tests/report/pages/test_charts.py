from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import small_program
from xbarc.report import collect
from xbarc.report.pages.charts import (
    Bar,
    Point,
    draw_filling,
    histogram,
    merge_small,
    nice_step,
    pie,
    roofline,
    shade,
    timeline,
)

POSITIVE = st.floats(1e-6, 1e9)
NAME = st.text("ab<&>\"'", max_size=50)


def parsed(svg: str) -> ElementTree.Element:
    """An SVG drawing must be well-formed, whatever the names are."""
    return ElementTree.fromstring(svg)  # noqa: S314  # our own text


@given(st.lists(st.tuples(NAME, POSITIVE), min_size=1, max_size=30))
def test_a_pie_shows_the_whole(values: list[tuple[str, float]]) -> None:
    whole = sum(value for _, value in values)
    slices = merge_small(values, whole)
    assert sum(value for _, value in slices) == pytest.approx(whole)
    root = parsed(pie("shares", values, "pJ"))
    paths = [item for item in root if item.tag == "path"]
    assert len(paths) == len(slices) + (len(slices) == 1 or slices[0][1] / whole > 0.9999)


def test_a_pie_of_one_is_a_whole_ring() -> None:
    assert pie("x", [("all", 5.0)], "mm2").count("<path") == 2
    assert pie("x", [("none", 0.0)], "mm2") == ""


def test_the_timeline_is_to_scale() -> None:
    svg = timeline("t", [Bar("a", 0, 50, 1.0, ((10, 20),)), Bar("b", 50, 100, 0.5, ())], 100, "us")
    boxes = [b for b in parsed(svg) if b.tag == "rect"]
    widths = [float(box.attrib["width"]) for box in boxes]
    assert widths == [350.0, 70.0, 350.0]
    assert float(boxes[2].attrib["x"]) - float(boxes[0].attrib["x"]) == 350.0
    assert timeline("t", [], 100, "us") == ""


@given(st.floats(1e-9, 1e12))
def test_ticks_are_few_and_round(end: float) -> None:
    step = nice_step(end)
    assert 1 <= end / step <= 8.0001
    assert f"{step:.0e}"[0] in "125"


@given(st.lists(st.builds(Point, NAME, POSITIVE, POSITIVE), max_size=40), POSITIVE, POSITIVE)
def test_a_roofline_holds_every_layer(points: list[Point], peak: float, rate: float) -> None:
    svg = roofline("r", points, peak, rate)
    assert bool(svg) == bool(points)
    if svg:
        root = parsed(svg)
        dots = [item for item in root if item.tag == "circle"]
        assert len(dots) == len(points)
        assert all(69 <= float(dot.attrib["cx"]) <= 611 for dot in dots)
        assert all(29 <= float(dot.attrib["cy"]) <= 381 for dot in dots)


def test_a_histogram_and_a_filling() -> None:
    root = parsed(histogram("h", [("4 bit", 10.0), ("5 bit", 30.0)]))
    tall = [float(b.attrib["height"]) for b in root if b.tag == "rect"]
    assert tall[1] == pytest.approx(3 * tall[0], rel=1e-2)
    assert histogram("h", []) == ""
    svg = draw_filling("f", [("a", [0.0, 1.0], 2, 3), ("b", [0.5] * 100, 100, 1)])
    assert svg.count("<rect") == 2 + 40
    assert "x 3" in svg
    assert "+ 60" in svg
    assert draw_filling("f", []) == ""
    assert shade(0.0) == "color-mix(in srgb, var(--path) 0%, var(--pale))"
    assert shade(2.0) == shade(1.0)


def test_a_report_gets_all_of_its_pictures() -> None:
    found = "".join(collect(small_program()).pictures())
    titles = re.findall(r"<h2>(.*?)</h2>", found)
    assert len(titles) == 6
    assert "grouped &lt;b&gt;&amp;" in found
    for svg in re.findall(r"<svg.*?</svg>", found, re.DOTALL):
        parsed(svg)
