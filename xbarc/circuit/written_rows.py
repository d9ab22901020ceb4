"""Writing a chip row by row: what the cells of one row hold, whatever levels are chosen for them.

A `Chip` gives the cells of a layer that is already mapped. Who reads cells back while the rest is
still to be written needs them before that: the numbers that a cell draws are those of its place, so
a row that is written here holds what `Chip.levels` gives for the same levels later on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.circuit.chip import Chip, blocks_by_array
from xbarc.circuit.devices import CellModel, count_numbers, draw_numbers, program_cells
from xbarc.circuit.faults import stuck_grid
from xbarc.ir import CrossbarStep
from xbarc.numerics import Float64Array, IntArray

# Stands for a level where a cell is not stuck: levels count from 0.
_FREE = -1


@dataclass(frozen=True, eq=False)
class LayerCells:
    """The cells of a layer before anything is written.

    Attributes:
        model: figures of a cell.
        drawn: standard normal numbers; axes: number, group, row, column.
        stuck: the level at which a cell is stuck, or -1; axes: group, row, column.
    """

    model: CellModel
    drawn: Float64Array
    stuck: IntArray

    def write(self, row: int, levels: IntArray) -> Float64Array:
        """What the cells of one row hold after writing; axes: group, column."""
        model = self.model
        real = model.position[levels]
        if model.deviates:
            real = program_cells(model.device, levels, model, self.drawn[:, :, row])
        if model.drift != 1.0:
            real = (real + model.floor) * model.drift - model.floor
        stuck = self.stuck[:, row]
        return np.where(stuck == _FREE, real, model.position[stuck])


def layer_cells(chip: Chip, step: CrossbarStep) -> LayerCells:
    """The cells under a layer.

    Args:
        chip: the sample.
        step: says which arrays, and where in them.

    Raises:
        ValueError: wires join the cells of an array, so that no row can be read by itself.
    """
    if "lines" in chip.effects:
        raise ValueError("with line resistance, rows do not stand alone")
    numbers = count_numbers(chip.model.device) if chip.model.deviates else 0
    drawn = np.zeros((numbers, *step.cells.shape))
    stuck = np.full(step.cells.shape, _FREE, dtype=np.int64)
    for array, blocks in blocks_by_array(step).items():
        # All numbers of the array, then its part: they are counted by place in the array.
        own = _drawn(chip, array) if numbers else np.zeros((0, *chip.shape))
        fixed = _stuck(chip, array)
        for block in blocks:
            drawn[:, block.group, block.rows, block.columns] = own[:, *block.place]
            stuck[block.group, block.rows, block.columns] = fixed[block.place]
    return LayerCells(chip.model, drawn, stuck)


def _drawn(chip: Chip, array: int) -> Float64Array:
    effects = chip.effects
    return draw_numbers(chip.model.device, effects.seed, (array, effects.sample), chip.shape)


def _stuck(chip: Chip, array: int) -> IntArray:
    """Level at which each cell of an array is stuck, -1 where it is not."""
    effects, model = chip.effects, chip.model
    found = np.full(chip.shape, _FREE, dtype=np.int64)
    if "faults" in effects and effects.fault_map is not None:
        row, column, level = effects.fault_map.of(array)
        found[row, column] = level
    elif model.stuck_on or model.stuck_off:
        rates = (model.stuck_on, model.stuck_off)
        grid = stuck_grid(chip.shape, rates, effects.seed, (array, effects.sample))
        found[grid > 0] = len(model.position) - 1
        found[grid < 0] = 0
    return found
