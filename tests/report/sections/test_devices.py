from __future__ import annotations

import numpy as np

from xbarc.report.sections.devices import device_rows
from xbarc.target import Target, load_target


def _values(target: Target, levels: object) -> dict[str, float | None]:
    rows = device_rows(target, np.asarray(levels))
    assert len({row.name for row in rows}) == len(rows)
    return {row.name: row.value for row in rows}


def test_fuller_cells_lose_more() -> None:
    target = load_target("rram128")
    found = _values(target, [100, 0, 0, 100])
    mean = found["lost by the farthest bitline, every cell at the program's mean"]
    top = found["lost by the farthest bitline, every cell at its top"]
    assert mean is not None
    assert top is not None
    assert 0 < mean < top < 1


def test_a_program_without_cells_has_no_mean() -> None:
    found = _values(load_target("rram128"), [0, 0, 0, 0])
    assert found["lost by the farthest cell, every cell at the program's mean"] is None


def test_wires_that_hardly_conduct_lose_everything() -> None:
    target = load_target("rram128", ["wires.wordline=1e12", "wires.bitline=1e12"])
    values = _values(target, [1, 0, 0, 1])
    assert values["lost by the farthest cell, every cell at its top"] == 1.0
