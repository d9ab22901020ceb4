"""The page of a study: nothing leaves it, and a browser that opens it has no complaint."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tests.chromium import dump_page, needs_chromium
from xbarc.explore import DesignRow, StudyResult, render_page


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
