"""The elimination beside solvers of other people; they are optional, and tests say when absent."""

import shutil

import numpy as np
import pytest

from tests.circuit.spice import COMMAND, spice_currents
from xbarc.circuit.lines import LineModel, effective_conductance
from xbarc.numerics.types import AnyArray

# Both sides round as they like; between 1e-15 and 1e-13 was seen on arrays up to 24 x 32.
_TOLERANCE = 1e-11


def _resistances(rows: int, columns: int, seed: int) -> AnyArray:
    """Two decades, 10 k to 1 M ohm: what other solvers are given, and cells are one over it."""
    return 1e4 * 10 ** np.random.default_rng(seed).uniform(0, 2, (rows, columns))


def _assert_near(found: AnyArray, wanted: AnyArray) -> None:
    assert found.shape == wanted.shape
    assert float((abs(found - wanted) / wanted).max()) < _TOLERANCE


_WIRES = [
    pytest.param(LineModel(3.0, 1.0), id="plain"),
    pytest.param(LineModel(3.0, 1.0, 10.0, 20.0), id="terminals"),
    pytest.param(LineModel(1e3, 1e2), id="severe"),
    pytest.param(LineModel(1e-3, 1e-3), id="slight"),
    pytest.param(LineModel(3.0, 1.0, 5.0, 7.0, both_drivers=True), id="both drivers"),
    pytest.param(LineModel(3.0, 1.0, 5.0, 7.0, both_senses=True), id="both senses"),
    pytest.param(
        LineModel(0.3, 0.1, 5.0, 7.0, both_drivers=True, both_senses=True), id="both ends"
    ),
]


@pytest.mark.parametrize("lines", _WIRES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 4), (12, 9)])
def test_agrees_with_ngspice(rows: int, columns: int, lines: LineModel) -> None:
    if shutil.which(COMMAND) is None:
        pytest.skip("ngspice is not installed: apt-get install ngspice")
    cells = 1 / _resistances(rows, columns, seed=rows)
    wanted = spice_currents(cells, lines, np.eye(rows))
    _assert_near(effective_conductance(cells, lines), wanted)


@pytest.mark.parametrize(("wordline", "bitline"), [(3.0, 1.0), (0.01, 2.0), (1e3, 1e2)])
def test_agrees_with_badcrossbar(wordline: float, bitline: float) -> None:
    badcrossbar = pytest.importorskip("badcrossbar", reason="pip install badcrossbar")
    ohm = _resistances(12, 9, seed=0)
    solved = badcrossbar.compute(np.eye(12), ohm, r_i_word_line=wordline, r_i_bit_line=bitline)
    found = effective_conductance(1 / ohm, LineModel(wordline, bitline))
    _assert_near(found, np.asarray(solved.currents.output))
