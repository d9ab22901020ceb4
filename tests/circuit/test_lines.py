from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.circuit.direct import direct_conductance
from xbarc.circuit.lines import LineModel, chebyshev, effective_conductance
from xbarc.numerics.types import AnyArray


def _cells(rows: int, columns: int, seed: int = 0, decades: float = 2.0) -> AnyArray:
    return 1e-4 * 10 ** -np.random.default_rng(seed).uniform(0, decades, (rows, columns))


def _error(found: AnyArray, wanted: AnyArray) -> float:
    return float((abs(found - wanted) / wanted).max())


_OHM = st.sampled_from([0.1, 1.0, 7.0, 100.0])


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.tuples(_OHM, _OHM, _OHM, _OHM, st.booleans(), st.booleans()),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_sweeps_equal_the_direct_solution(
    rows: int, columns: int, wires: tuple[Any, ...], seed: int
) -> None:
    cells, lines = _cells(rows, columns, seed), LineModel(*wires)
    found = effective_conductance(cells, lines, tolerance=1e-10)
    assert _error(found, direct_conductance(cells, lines)) < 1e-7


def test_the_default_tolerance_on_a_severe_array() -> None:
    cells, lines = _cells(64, 48), LineModel(12.0, 4.0, 10.0, 10.0)
    assert _error(effective_conductance(cells, lines), direct_conductance(cells, lines)) < 1e-6


def test_reciprocity() -> None:
    """Drivers and senses may change places."""
    cells, lines = _cells(9, 14), LineModel(5.0, 2.0, 30.0, 7.0, both_drivers=True)
    here = effective_conductance(cells, lines, tolerance=1e-11)
    turned = effective_conductance(cells.T[::-1, ::-1], lines.transpose(), tolerance=1e-11)
    assert np.allclose(turned[::-1, ::-1].T, here, rtol=1e-9, atol=0)


def test_currents_are_conserved() -> None:
    """With all drivers and terminals at one volt nothing flows: what drivers give, senses take.

    A driver's own current is its row of the effective matrix and what flows to the other drivers;
    with every driver at one volt the sum over drivers is the sum over sense terminals.
    """
    cells, lines = _cells(8, 8), LineModel(5.0, 2.0, 30.0, 7.0)
    into_senses = effective_conductance(cells, lines, tolerance=1e-11).sum()
    # the same circuit with one terminal that joins all bitlines, solved from the nodes
    assert abs(into_senses / direct_conductance(cells, lines).sum() - 1) < 1e-9
    assert into_senses < cells.sum()
    tighter = LineModel(5.0, 2.0, 30.0, 7.1)
    assert effective_conductance(cells, tighter, tolerance=1e-11).sum() < into_senses


def test_a_symmetric_circuit_has_a_symmetric_matrix() -> None:
    """Mirror along the diagonal from driver and sense: rows become columns."""
    base = _cells(10, 10)
    mirrored = base[::-1, ::-1].T
    cells = base + mirrored
    found = effective_conductance(cells, LineModel(3.0, 3.0, 5.0, 5.0), tolerance=1e-11)
    assert np.allclose(found, found[::-1, ::-1].T, rtol=1e-9, atol=0)


def test_no_resistance_no_change() -> None:
    cells = _cells(7, 5)
    assert np.allclose(effective_conductance(cells, LineModel(0, 0)), cells, rtol=1e-12)
    both = LineModel(0, 0, both_drivers=True, both_senses=True)
    assert np.allclose(effective_conductance(cells, both), cells, rtol=1e-6)
    small = effective_conductance(cells, LineModel(1e-6, 1e-6))
    assert np.allclose(small, cells, rtol=1e-7)


def test_a_driver_alone_divides_the_voltage() -> None:
    cells = _cells(3, 4)
    found = effective_conductance(cells, LineModel(0, 0, driver=1e4))
    wanted = cells / (1 + 1e4 * cells.sum(axis=1, keepdims=True))
    assert np.allclose(found, wanted, rtol=1e-9)


def test_large_resistances_leave_the_corner_by_the_terminals() -> None:
    cells = np.full((6, 6), 1e-4)
    lines = LineModel(1e6, 1e6)
    found = effective_conductance(cells, lines, tolerance=1e-10)
    assert _error(found, direct_conductance(cells, lines)) < 1e-6
    assert found.argmax() == 5 * 6
    assert found.max() < 1e-6
    assert found[0, 5] < 0.1 * found.max()


def test_both_ends_help() -> None:
    cells = _cells(16, 16)
    one = effective_conductance(cells, LineModel(5, 5))
    for both in ({"both_drivers": True}, {"both_senses": True}):
        assert effective_conductance(cells, LineModel(5, 5, **both)).sum() > one.sum()


def test_rows_wires_are_not_columns_wires() -> None:
    cells = np.full((4, 30), 1e-4)
    along_rows = effective_conductance(cells, LineModel(20, 0))
    assert along_rows[0, 0] > 1.5 * along_rows[0, -1]
    along_columns = effective_conductance(cells, LineModel(0, 20))
    assert np.allclose(along_columns[0], along_columns[0, 0])


def test_threads_and_batches_change_nothing() -> None:
    cells = np.stack([_cells(40, 40, seed) for seed in range(2)])
    lines = LineModel(3, 1, 10, 10)
    whole = effective_conductance(cells, lines, threads=2)
    assert np.array_equal(whole[1], effective_conductance(cells[1], lines))


def test_gated_rows_are_approximated() -> None:
    """Rows that read 0 are cut off: the approximation is several times nearer than ignoring it."""
    lines = LineModel(3, 1, 10, 10)
    cells = _cells(64, 64, decades=1.0)
    rng = np.random.default_rng(1)
    errors: list[tuple[float, float]] = []
    driven = effective_conductance(cells, lines)
    gated = effective_conductance(cells, lines, active=0.2)
    for _ in range(5):
        on = rng.random(64) < 0.2
        true = on @ effective_conductance(np.where(on[:, None], cells, 0), lines)
        errors.append((abs(on @ driven / true - 1).mean(), abs(on @ gated / true - 1).mean()))
    ignored, modelled = np.mean(errors, axis=0)
    assert ignored > 0.02
    assert modelled < ignored / 5
    assert modelled < 0.01


def test_chebyshev_needs_more_steps_for_stronger_coupling() -> None:
    assert len(chebyshev(0.01, 1e-8)) < len(chebyshev(0.5, 1e-8)) < len(chebyshev(0.99, 1e-8))


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_impossible_figures_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="not negative"):
        LineModel(value, 1)
    with pytest.raises(ValueError, match="not negative"):
        effective_conductance(np.full((2, 2), value), LineModel(1, 1))


def test_empty_arrays() -> None:
    assert effective_conductance(np.zeros((0, 3)), LineModel(1, 1)).shape == (0, 3)
    assert effective_conductance(np.zeros((0, 2, 3)), LineModel(1, 1)).shape == (0, 2, 3)


def test_agrees_with_badcrossbar() -> None:
    badcrossbar = pytest.importorskip("badcrossbar", reason="pip install badcrossbar")
    cells = _cells(12, 9)
    solved = badcrossbar.compute(np.eye(12), 1 / cells, r_i_word_line=3.0, r_i_bit_line=1.0)
    found = effective_conductance(cells, LineModel(3.0, 1.0), tolerance=1e-10)
    assert _error(found, np.asarray(solved.currents.output)) < 1e-6


def test_wires_that_hardly_conduct_are_refused() -> None:
    with pytest.raises(ValueError, match="hardly conduct"):
        chebyshev(1.0, 1e-9)
