"""The page of a study: nothing leaves it, and a browser that opens it has no complaint."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xbarc.explore
from tests.chromium import dump_page, needs_chromium, run_script
from xbarc.explore import DesignRow, StudyResult, known_figures, render_page
from xbarc.explore.figures import title_and_unit


def result(designs: int, name: str = "adc") -> StudyResult:
    """An answer of so many designs, the cheapest tenth of them on the front."""
    rng = np.random.default_rng(0)
    energy, top1 = rng.random(designs + 1) * 10 + 1, rng.random(designs + 1) / 10 + 0.85
    rows = tuple(
        DesignRow(
            number=number,
            values={} if number == 0 else {name: number % 7, "array.rows": 64 << number % 3},
            figures={"top1": float(top1[number]), "energy_uj": float(energy[number])},
            state="front" if energy[number] < 2 else "beaten",
            proof="proved" if number % 2 else "measured",
            because="the same integer products",
            answered_by=0,
            samples=100,
            commands=(f"xbarc compile net.onnx --adc {number % 7}",),
        )
        for number in range(designs + 1)
    )
    return StudyResult(
        knobs=(name, "array.rows"),
        objectives={"top1": "max", "energy_uj": "min"},
        constraints={},
        models=("net",),
        conditions="100 samples",
        floats={"top1": 0.93},
        rows=rows,
        possible=designs,
        classes=7,
        executed=700,
        effect={name: {"top1": 0.01, "energy_uj": 3.0}},
    )


def test_names_of_other_people_stay_text() -> None:
    hostile = '</script><img src=x onerror="document.title=1">'
    page = render_page(result(3, hostile), hostile)
    assert "<img" not in page
    data = re.search(r'id="study">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["knobs"][0] == hostile


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("designs", [12, 10_000])
def test_a_browser_draws_it(designs: int, tmp_path: Path) -> None:
    file = tmp_path / "study.html"
    file.write_text(render_page(result(designs), "study"), encoding="utf-8")
    start = time.monotonic()
    shown = dump_page(file.as_uri(), tmp_path)
    assert 'data-ready="yes"' in shown
    assert f"{designs + 1} designs" in shown
    # A browser that is started for it takes some seconds itself on a busy machine.
    assert time.monotonic() - start < 60
    assert "xbarc compile net.onnx" in shown


BRUSH = """
const box = lines.getBoundingClientRect(), x = axisX(axes.length - 1, box.width), times = [];
const send = (kind, share) => lines.dispatchEvent(new PointerEvent(kind,
  { clientX: box.left + x, clientY: box.top + axisY(share), pointerId: 1, bubbles: true }));
lines.setPointerCapture = () => {};
send("pointerdown", 0);
for (let n = 1; n <= 20; n += 1) {
  const start = performance.now();
  send("pointermove", n / 40); refresh();
  times.push(performance.now() - start);
}
const during = dots.length;
send("pointerup", 0.5);
return { median: times.sort((a, b) => a - b)[10], during, after: dots.length,
         shown: shown.length, table: $("count").textContent };
"""


@pytest.mark.slow
@needs_chromium
def test_a_brush_moves_among_ten_thousand_designs(tmp_path: Path) -> None:
    """While it moves a part is drawn, so that a frame is short; all once it is let go."""
    page = tmp_path / "study.html"
    page.write_text(render_page(result(10_000), "study"), encoding="utf-8")
    found = run_script(page, tmp_path, BRUSH)
    assert found["after"] == found["shown"] > found["during"] > 100
    assert found["table"] == f"{found['shown']} designs"
    # On two busy cores without a GPU 5 ms, painting not included; with it some 20.
    assert found["median"] < 100, found


def test_the_script_is_told_names_and_units() -> None:
    """Python says once what a figure is called; the script has no list of its own."""
    data = re.search(r'id="figures">(.*?)</script>', render_page(result(3), "study"), re.DOTALL)
    assert data is not None
    told = json.loads(data[1])
    assert told["energy_uj"] == {
        "title": "energy",
        "unit": "µJ",
        "infinite": "∞",
        "share": False,
        "judged": False,
    }
    assert told["top1"]["share"]
    assert told["top1"]["judged"]
    script = (Path(xbarc.explore.__file__).parent / "page.js").read_text(encoding="utf-8")
    assert not re.search(r'"(top1|agreement|sqnr_db|_uj|_mm2|_us|µJ|mm²)"', script)
    units = {title_and_unit(name)[1] for name in known_figures()}
    assert units == {"", "uJ", "mm2", "us", "dB"}


@pytest.mark.slow
@needs_chromium
def test_figures_that_are_small_or_next_to_each_other(tmp_path: Path) -> None:
    """All digits of the tables, and an end of the axis where numbers differ in their last bit."""
    energies = (0.0046665, np.nextafter(0.0046665, 1), 0.0046665)
    study = result(2)
    rows = tuple(
        replace(row, figures={"top1": 0.9, "energy_uj": float(energy)})
        for row, energy in zip(study.rows, energies, strict=True)
    )
    page = tmp_path / "study.html"
    page.write_text(render_page(replace(study, rows=rows), "study"), encoding="utf-8")
    script = "return [write('energy_uj', 0.0046665), write('energy_uj', 1234567), dots.length];"
    assert run_script(page, tmp_path, script) == ["0.0046665", "1,234,600", 3]


def test_designs_given_up_are_no_rivals_of_a_model() -> None:
    """What they reached on a part of the samples is not what they reach."""
    study = replace(result(2), models=("one", "two"))
    rows = tuple(
        replace(
            row,
            state=state,
            by_model={name: {"top1": top1, "energy_uj": 1.0} for name in study.models},
        )
        for row, state, top1 in zip(
            study.rows, ("front", "beaten", "given up"), (0.8, 0.7, 0.95), strict=True
        )
    )
    assert "80.00 % (0.00 points)" in render_page(replace(study, rows=rows), "study")
