from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.circuit.direct import direct_conductance
from xbarc.circuit.lines import (
    LineModel,
    _SolvedArrays,
    chebyshev,
    effective_conductance,
    solve_by_sweeps,
)
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
def test_elimination_and_sweeps_equal_the_direct_solution(
    rows: int, columns: int, wires: tuple[Any, ...], seed: int
) -> None:
    cells, lines = _cells(rows, columns, seed), LineModel(*wires)
    wanted = direct_conductance(cells, lines)
    assert _error(effective_conductance(cells, lines), wanted) < 1e-7
    assert _error(solve_by_sweeps(cells, lines, 1e-10, 1, 1.0), wanted) < 1e-7


def _nodes(cells: AnyArray, wordline: Fraction, bitline: Fraction) -> list[list[Fraction]]:
    """Nodal matrix without resistances of terminals, and currents for one volt at each sense."""
    rows, columns = cells.shape
    size = 2 * rows * columns
    matrix = [[Fraction(0)] * (size + columns) for _ in range(size)]

    def link(i: int, j: int | None, conductance: Fraction) -> None:
        matrix[i][i] += conductance
        if j is not None:
            matrix[j][j] += conductance
            matrix[i][j] -= conductance
            matrix[j][i] -= conductance

    for i, j in np.ndindex(rows, columns):
        a = i * columns + j
        b = a + size // 2
        link(a, b, Fraction(float(cells[i, j])))
        link(a, a - 1 if j else None, 1 / wordline)
        link(b, b + columns if i + 1 < rows else None, 1 / bitline)
    for j in range(columns):
        matrix[size - columns + j][size + j] = 1 / bitline
    return matrix


def _solve_rationally(cells: AnyArray, wordline: Fraction, bitline: Fraction) -> AnyArray:
    """Effective conductance in whole fractions."""
    matrix = _nodes(cells, wordline, bitline)
    for node, own in enumerate(matrix):
        row = matrix[node] = [value / own[node] for value in own]
        for other, line in enumerate(matrix):
            if other != node and line[node]:
                pairs = zip(line, row, strict=True)
                matrix[other] = [x - line[node] * y for x, y in pairs]
    rows, columns = cells.shape
    found = [[v / wordline for v in matrix[i * columns][-columns:]] for i in range(rows)]
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("ohm", [1e-9, 1e-3, 1.0, 1e6])
def test_the_elimination_is_exact_to_rounding(ohm: float) -> None:
    """Whatever conducts better, and by however much: nothing cancels."""
    cells = _cells(3, 4, decades=9.0)
    wanted = _solve_rationally(cells, Fraction(ohm), Fraction(3 * ohm))
    assert _error(effective_conductance(cells, LineModel(ohm, 3 * ohm)), wanted) < 1e-14


@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (2, 2), (1, 70), (70, 1), (37, 90), (90, 37)]
)
def test_rectangles_of_every_shape(rows: int, columns: int) -> None:
    cells, lines = _cells(rows, columns), LineModel(3.0, 1.0, 10.0, 10.0)
    found = effective_conductance(cells, lines)
    assert _error(found, direct_conductance(cells, lines)) < 1e-9
    cells[::2, ::3] = 0.0
    found = effective_conductance(cells, lines)
    assert np.allclose(found, direct_conductance(cells, lines), rtol=1e-9, atol=1e-18)


def test_solved_arrays_are_kept_and_their_owners_may_write_to_them() -> None:
    cells, lines = _cells(6, 5), LineModel(3.0, 1.0)
    first = effective_conductance(cells, lines)
    wanted = first.copy()
    first[:] = 0.0
    assert np.array_equal(effective_conductance(np.asfortranarray(cells), lines), wanted)
    other = effective_conductance(cells, LineModel(3.0, 1.0, both_drivers=True))
    assert not np.array_equal(other, wanted)
    assert effective_conductance(cells.reshape(5, 6), lines).shape == (5, 6)


def test_the_last_used_arrays_are_kept() -> None:
    kept, matrix = _SolvedArrays(3 * 80), np.zeros(10)
    for key in (b"a", b"b", b"c"):
        kept.put(key, matrix)
    assert kept.get(b"a") is matrix
    kept.put(b"d", matrix)
    assert [kept.get(key) is not None for key in (b"a", b"b", b"c", b"d")] == [
        True,
        False,
        True,
        True,
    ]
    kept.put(b"large", np.zeros(100))
    assert kept.get(b"large") is None


def test_the_default_tolerance_on_a_severe_array() -> None:
    cells, lines = _cells(64, 48), LineModel(12.0, 4.0, 10.0, 10.0)
    assert _error(effective_conductance(cells, lines), direct_conductance(cells, lines)) < 1e-6


def test_reciprocity() -> None:
    """Drivers and senses may change places."""
    cells, lines = _cells(9, 14), LineModel(5.0, 2.0, 30.0, 7.0, both_drivers=True)
    across = LineModel(2.0, 5.0, 7.0, 30.0, both_senses=True)
    here = effective_conductance(cells, lines)
    turned = effective_conductance(cells.T[::-1, ::-1], across)
    assert np.allclose(turned[::-1, ::-1].T, here, rtol=1e-9, atol=0)


def test_currents_are_conserved() -> None:
    """With all drivers and terminals at one volt nothing flows: what drivers give, senses take.

    A driver's own current is its row of the effective matrix and what flows to the other drivers;
    with every driver at one volt the sum over drivers is the sum over sense terminals.
    """
    cells, lines = _cells(8, 8), LineModel(5.0, 2.0, 30.0, 7.0)
    into_senses = effective_conductance(cells, lines).sum()
    # the same circuit with one terminal that joins all bitlines, solved from the nodes
    assert abs(into_senses / direct_conductance(cells, lines).sum() - 1) < 1e-9
    assert into_senses < cells.sum()
    tighter = LineModel(5.0, 2.0, 30.0, 7.1)
    assert effective_conductance(cells, tighter).sum() < into_senses


def test_a_symmetric_circuit_has_a_symmetric_matrix() -> None:
    """Mirror along the diagonal from driver and sense: rows become columns."""
    base = _cells(10, 10)
    mirrored = base[::-1, ::-1].T
    cells = base + mirrored
    found = effective_conductance(cells, LineModel(3.0, 3.0, 5.0, 5.0))
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
    found = effective_conductance(cells, lines)
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


def test_wires_that_hardly_conduct_are_refused() -> None:
    with pytest.raises(ValueError, match="hardly conduct"):
        chebyshev(1.0, 1e-9)
