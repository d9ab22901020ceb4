"""Rows that are written one by one hold what the chip says of the whole layer."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.circuit import Chip, Effects, random_faults
from xbarc.circuit.written_rows import layer_cells
from xbarc.ir.program import CrossbarStep
from xbarc.target import Target

KINDS = ("variation", "variation,faults", "variation,faults,drift,levels", "drift", "faults")


def chip_of(kinds: str, *, known: bool = False) -> tuple[Chip, CrossbarStep]:
    target = small_target(
        cell__bits=3,
        array__rows=16,
        array__columns=24,
        array__active_rows=16,
        cell__stuck_on__value=0.05,
        cell__stuck_off__value=0.1,
        cell__drift__exponent__value=0.05,
    )
    rng = np.random.default_rng(3)
    layer = int_layer(rng.integers(-60, 61, (3, 21, 9)))
    program = program_of([mapped(layer, target)], target, (1, 63))
    faults = random_faults(target, program.arrays, seed=4) if known else None
    chip = Chip(program, Effects(frozenset(kinds.split(",")), 5, 1, fault_map=faults))
    return chip, program.crossbar_steps[0]


@pytest.mark.parametrize("kinds", KINDS)
@pytest.mark.parametrize("known", [False, True])
def test_rows_hold_what_the_chip_holds(kinds: str, known: bool) -> None:
    chip, step = chip_of(kinds, known=known)
    cells = layer_cells(chip, step)
    levels = step.cells.unpack((slice(None),)).astype(np.int64)
    rows = [cells.write(row, levels[:, row]) for row in range(levels.shape[1])]
    assert np.array_equal(np.stack(rows, axis=1), chip.levels(step))
    assert not np.array_equal(chip.levels(step), levels)


def test_another_level_in_one_row_changes_that_row_alone() -> None:
    chip, step = chip_of("variation")
    cells = layer_cells(chip, step)
    zero = np.zeros((step.groups, step.cells.columns), dtype=np.int64)
    assert not np.array_equal(cells.write(0, zero), cells.write(0, zero + 1))
    assert not np.array_equal(cells.write(0, zero), cells.write(1, zero))


def test_wires_join_rows() -> None:
    chip, step = chip_of("variation,lines")
    with pytest.raises(ValueError, match="rows do not stand alone"):
        layer_cells(chip, step)


def test_sigma_of_a_cell_is_that_of_the_target() -> None:
    target: Target = small_target(cell__bits=4)
    layer = int_layer(np.full((1, 128, 64), 15))
    program = program_of([mapped(layer, target, weight_slices=1)], target, (1, 128))
    step = program.crossbar_steps[0]
    chip = Chip(program, Effects(frozenset({"variation"})))
    levels = step.cells.unpack((slice(None),)).astype(np.int64)
    error = chip.levels(step) - levels
    expected = target.cell.variation.sigma.value  # a level is 1 uS here
    assert abs(error[levels == 15].std() / expected - 1) < 0.05
