from __future__ import annotations

from dataclasses import replace
from typing import get_args
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import (
    dense_step,
    digital_step,
    grouped_step,
    program_of,
    small_program,
    small_target,
)
from xbarc.errors import InputError
from xbarc.report import DrawingName, collect
from xbarc.report.pages import drawings_of
from xbarc.report.pages.charts import (
    Bar,
    Group,
    Point,
    draw_bars,
    draw_groups,
    draw_stacks,
    draw_utilisation,
    histogram,
    merge_small,
    name_unknown,
    nice_step,
    pie,
    roofline,
    shade,
    timeline,
)
from xbarc.report.sections.components import component_tables

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
    assert widths == [205.0, 41.0, 205.0]
    assert float(boxes[2].attrib["x"]) - float(boxes[0].attrib["x"]) == 205.0
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
    svg = draw_utilisation("f", [("a", [0.0, 1.0], 2, 3), ("b", [0.5] * 100, 100, 1)])
    assert svg.count("<rect") == 2 + 24
    assert "x 3" in svg
    assert "76 more" in svg
    assert draw_utilisation("f", []) == ""
    assert shade(0.0) == "color-mix(in srgb, var(--path) 0%, var(--pale))"
    assert shade(2.0) == shade(1.0)


def test_a_report_gets_all_of_its_drawings() -> None:
    report = collect(small_program())
    assert tuple(drawings_of(report)) == get_args(DrawingName)
    for name in get_args(DrawingName):
        drawing = report.plot(name)
        root = parsed(drawing.svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert float(root.attrib["width"]) <= 640
        parsed(drawing.inline)
        assert drawing._repr_svg_() == drawing.svg
    assert "grouped &lt;b&gt;&amp;" in report.plot("layers").svg


def test_what_cannot_be_drawn_is_told() -> None:
    report = collect(program_of(digital_step(), target=small_target(), arrays=0))
    with pytest.raises(InputError, match="nothing to draw: the program has no layers"):
        report.plot("layers")
    with pytest.raises(InputError, match="no drawing 'layer'; hint: did you mean layers"):
        report.plot("layer")  # type: ignore[arg-type]  # what a user may type


def texts(svg: str) -> list[tuple[float, float, str]]:
    """Where a text starts and ends, 7 pixels a letter at most, and what it says."""
    found = []
    for item in parsed(svg):
        if item.tag == "text":
            text, x = item.text or "", float(item.attrib["x"])
            wide = 6.6 * len(text)
            shift = {"start": 0.0, "middle": wide / 2, "end": wide}[item.attrib["text-anchor"]]
            found.append((x - shift, x - shift + wide, text))
    return found


@given(
    st.lists(st.tuples(NAME, POSITIVE), min_size=1, max_size=30),
    st.integers(1, 4),
)
def test_bars_stay_on_the_sheet(values: list[tuple[str, float]], programs: int) -> None:
    names = [f"program {number}" for number in range(programs)]
    drawn = [
        draw_bars("b", [(name, value, f"{value:.3g} uJ") for name, value in values]),
        draw_stacks("s", [(name, dict(values)) for name in names], "uJ"),
        draw_groups("g", names, [Group(n, [v] * programs, "uJ") for n, v in values]),
        draw_groups(
            "g",
            [*names, "z"],
            [Group(n, [v] * programs + [None], "uJ") for n, v in values],
            shared=False,
        ),
        histogram("h", [(f"{bits} bit", value) for bits, (_, value) in enumerate(values[:17])]),
    ]
    for svg in drawn:
        wide = float(parsed(svg).attrib["width"])
        boxes = [box.attrib for box in parsed(svg) if box.tag == "rect"]
        assert all(
            -0.1 <= float(b["x"]) <= float(b["x"]) + float(b["width"]) <= wide for b in boxes
        )
        assert all(left >= -20 and right <= wide + 20 for left, right, _ in texts(svg)), texts(svg)


def test_a_stack_shows_the_whole_of_each_program() -> None:
    many = {f"part {number}": float(number + 1) for number in range(20)}
    svg = draw_stacks("s", [("a", many), ("b", {"part 0": 105.0})], "uJ")
    boxes = [b.attrib for b in parsed(svg) if b.tag == "rect" and b.attrib["height"] == "22.0"]
    first = sum(float(box["width"]) for box in boxes[:8])
    second = sum(float(box["width"]) for box in boxes[8:16])
    assert first == pytest.approx(2 * second, rel=1e-2)
    assert svg.count("others") == 3  # two tips and the legend
    assert (
        draw_stacks("s", [("a", {})], "uJ")
        == draw_groups("g", ["a"], [Group("x", [None], "")])
        == ""
    )


def test_what_is_not_known_is_named_and_not_drawn_as_nothing() -> None:
    assert name_unknown("Energy", []) == "Energy"
    assert name_unknown("Energy", ["a"]) == "Energy; not known, left out: a"
    assert name_unknown("Energy", list("abcde")).endswith("a, b, c and 2 more")
    report = collect(small_program())
    parts = report.components.energy
    first = replace(parts[0], unit_cost=None, total=None)
    lost = replace(report.components, energy=(first, *parts[1:]))
    told = report.model_copy(update={"components": lost})
    drawing = told.plot("energy")
    assert drawing.title.endswith(f"; not known, left out: {first.name}")
    assert first.name not in drawing.inline.partition("</title>")[2]
    (table, _) = component_tables(lost)
    assert table.rows[0][3:5] == ("unknown", "unknown")
    assert table.rows[-1][3].startswith("over ")
    assert report.plot("energy").title == "Energy per inference by component"


def test_layers_that_cannot_be_counted_are_named_above_their_drawings() -> None:
    lost = dense_step(input_shape=None)
    report = collect(program_of(lost, grouped_step(), target=small_target(), arrays=5))
    kinds: tuple[DrawingName, ...] = ("layers", "adc-bits")
    for kind in kinds:
        assert report.plot(kind).title.endswith("; not known, left out: dense")
