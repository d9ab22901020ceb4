from __future__ import annotations

import numpy as np
import pytest

from xbarc.circuit.direct import direct_conductance
from xbarc.circuit.equal_cells import far_losses, line_ratio
from xbarc.circuit.lines import line_model
from xbarc.target import Target, load_target


def _target(*settings: str) -> Target:
    shape = ["array.rows=24", "array.active_rows=24", "array.columns=16"]
    return load_target("rram128", [*shape, *settings])


def test_losses_are_those_of_the_whole_circuit() -> None:
    target = _target("wires.wordline=20", "wires.bitline=8")
    cells = np.full((24, 16), 40e-6)
    matrix = direct_conductance(cells, line_model(target)) / cells
    cell, bitline = far_losses(target, 40.0)
    assert cell == pytest.approx(1 - matrix[0, -1], abs=1e-6)
    assert bitline == pytest.approx(1 - matrix[:, -1].mean(), abs=1e-6)
    assert 0 < bitline < cell < 1


def test_wires_of_any_resistance_are_solved() -> None:
    """None at all, and wires next to which cells conduct best: both are circuits like any other."""
    nothing = [f"wires.{name}=0" for name in ("wordline", "bitline", "driver", "sense")]
    assert far_losses(_target(*nothing), 40.0) == (0.0, 0.0)
    thin = _target("wires.wordline=1e6", "wires.bitline=1e6")
    matrix = direct_conductance(np.full((24, 16), 40e-6), line_model(thin)) / 40e-6
    cell, bitline = far_losses(thin, 40.0)
    assert cell == pytest.approx(1 - matrix[0, -1], abs=1e-6)
    assert bitline == pytest.approx(1 - matrix[:, -1].mean(), abs=1e-6)


def test_thin_wires_follow_the_first_order_law() -> None:
    """G (r n (n + 1) / 2 + side n) of either line, where that is small."""
    target = _target("wires.wordline=.001", "wires.bitline=.002", "wires.driver=.03")
    siemens, columns, rows = 40e-6, 16, 24
    word = 0.001 * columns * (columns + 1) / 2 + 0.03 * columns
    sense = target.wires.sense.value
    bit = 0.002 * rows * (rows + 1) / 2 + sense * rows
    cell, _ = far_losses(target, siemens * 1e6)
    assert cell == pytest.approx(siemens * (word + bit), rel=0.02)


def test_the_ratio_by_hand() -> None:
    target = _target("wires.wordline=3", "wires.bitline=1")
    assert line_ratio(target) == pytest.approx(2 * 20**2 * 40e-6)
