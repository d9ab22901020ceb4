from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.report.programs import dense_step, small_program, small_target
from xbarc.cost.operands import operand_energy, row_conductances
from xbarc.instruments.operands import operand_statistics
from xbarc.ir.operands import OperandStatistics
from xbarc.ir.program import Program
from xbarc.report import collect


def only_dense() -> Program:
    program = small_program()
    step = dense_step()
    value = replace(program.inputs[0], name="x", dtype="float32", shape=(None, 5))
    out = replace(program.outputs[0], name="h")
    return replace(program, steps=(step,), arrays=4, inputs=(value,), outputs=(out,))


def test_energy_is_that_of_every_cell_and_every_bit() -> None:
    program, target = only_dense(), small_target()
    x = np.random.default_rng(0).uniform(0, 3.5, (7, 5)).astype(np.float32)
    seen = operand_statistics(program, [{"x": x[:3]}, {"x": x[3:]}], threads=1)["dense"]
    assert seen.vectors == 7
    found = operand_energy(dense_step(), seen, target)
    codes = np.clip(np.rint(x / np.float32(0.5)), 0, 7).astype(np.int64)
    cells = (np.arange(30) % 4).reshape(5, 6)
    levels = np.asarray(target.cell.conductance.values)
    energy = drives = 0.0
    for row in range(5):
        siemens = levels[cells[row]].sum() + (2 * 4 - 6) * levels[0]  # two arrays of 4 columns
        for code in codes[:, row]:
            for bit in range(3):
                energy += 10.0 * 0.2**2 * siemens * ((code >> bit) & 1) / 1e3
                drives += 2 * ((code >> bit) & 1)
    assert found.array_pj == pytest.approx(energy / 7)
    assert found.driver_pj == pytest.approx(drives / 7 * target.costs.driver_energy.value)
    assert found.driven == pytest.approx(drives / 7 / 2 / 15)


def test_zeros_cost_nothing_and_full_scale_costs_most() -> None:
    step, target = dense_step(), small_target()
    none = np.zeros((3, 1, 5))
    assert operand_energy(step, OperandStatistics(4, none, none, none), target).array_pj == 0
    full = operand_energy(step, OperandStatistics(4, none + 1, none + 1, none + 1), target)
    assert full.driver_pj == pytest.approx(target.costs.driver_energy.value * (2 * 4 + 2 * 1) * 3)
    total = float(row_conductances(step, target).sum()) + 5 * 2 * 1.0
    assert full.array_pj == pytest.approx(3 * 10.0 * 0.04 * total / 1e3)


def test_without_a_read_pulse_it_is_unknown() -> None:
    target = small_target()
    bare = target.model_copy(update={"costs": target.costs.model_copy(update={"read_pulse": None})})
    half = np.full((3, 1, 5), 0.5)
    assert (
        operand_energy(dense_step(), OperandStatistics(1, half, half, half), bare).array_pj is None
    )


def test_pulses_cost_by_their_length_and_voltages_by_their_square() -> None:
    half = np.full((3, 1, 5), 0.5)
    seen = OperandStatistics(1, half, half**2, half)
    by_voltage = operand_energy(dense_step(), seen, small_target()).array_pj
    by_length = operand_energy(dense_step(), seen, small_target("costs.pulse=1.0")).array_pj
    assert by_voltage is not None
    assert by_length == pytest.approx(2 * by_voltage)


def test_the_report_puts_data_beside_the_constant() -> None:
    program = only_dense()
    ones = {"x": np.ones((2, 5), dtype=np.float32)}
    report = collect(program, operands=operand_statistics(program, [ones], threads=1))
    seen = report.operands
    assert seen is not None
    assert report.totals.energy_uj is not None
    (row,) = seen.layers
    assert row.driven == pytest.approx(1 / 3)  # 1.0 is code 2: one bit of three
    change = (row.array_uj or 0.0) - row.array_constant_uj + row.driver_uj - row.driver_constant_uj
    assert seen.energy_uj == pytest.approx(report.totals.energy_uj + change)
    parts = {part.name: part.total or 0.0 for part in report.components.energy}
    assert row.array_constant_uj * 1e6 == pytest.approx(parts["array read"])
    assert row.driver_constant_uj * 1e6 == pytest.approx(parts["wordline driver"])
