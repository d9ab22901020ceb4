"""One manufactured sample of a program: what every cell really contributes, in level units.

Effects act on physical arrays, in the order of physics: the level's own conductance, the spread of
programming, drift, stuck cells, and then the wires, which see the resulting conductances. The
periphery subtracts the conductance of level 0 for every driven row, as it would be without wires.

The numbers a cell draws belong to its place in its array, so the same chip can be programmed in
another order of rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np

from xbarc.circuit.devices import CellModel, draw_numbers, program_cells
from xbarc.circuit.effects import Effects, cell_model, sense_offset
from xbarc.circuit.faults import stuck_grid
from xbarc.circuit.lines import TOLERANCE, effective_conductance, line_model
from xbarc.circuit.random import normals
from xbarc.ir import CrossbarStep, Program
from xbarc.numerics import Float64Array, Int64Array, IntArray

Place = tuple[slice, Int64Array]


@dataclass(frozen=True, eq=False)
class ChipBlock:
    """A block of a layer and where it lies in its array.

    Attributes:
        group: matrix of the layer.
        row_block, column_block: which block of the matrix.
        rows, columns: its part of the layer's cells.
        place: its wordlines and bitlines in the array.
    """

    group: int
    row_block: int
    column_block: int
    rows: slice
    columns: slice
    place: Place


def blocks_by_array(step: CrossbarStep) -> dict[int, list[ChipBlock]]:
    """Blocks of a layer by physical array, in ascending order of arrays."""
    tiling = step.tiling
    found: dict[int, list[ChipBlock]] = {}
    for g, i, j in product(*map(range, tiling.array.shape)):
        rows = slice(int(tiling.row_bounds[i]), int(tiling.row_bounds[i + 1]))
        columns = slice(int(tiling.column_bounds[j]), int(tiling.column_bounds[j + 1]))
        top, left = int(tiling.row_offset[g, i, j]), int(tiling.column_offset[g, i, j])
        place = (
            slice(top, top + rows.stop - rows.start),
            left + bitlines(step, (g, i, j)),
        )
        block = ChipBlock(g, i, j, rows, columns, place)
        found.setdefault(int(tiling.array[g, i, j]), []).append(block)
    return dict(sorted(found.items()))


def bitlines(step: CrossbarStep, at: tuple[int, ...]) -> Int64Array:
    """Bitline of each column of a block, counted from the block's first one.

    Args:
        step: the layer.
        at: group, row block, column block.
    """
    g, i, j = at
    first, last = (int(b) for b in step.tiling.column_bounds[j : j + 2])
    order = step.tiling.column_order
    if order is None:
        return np.arange(last - first)
    found = order[g % order.shape[0], i % order.shape[1], first:last]
    return np.asarray(found, dtype=np.int64)


class Chip:
    """One sample of a program's chip.

    Args:
        program: what is programmed.
        effects: what the chip suffers from.
        threads: share the columns of an array; the result does not depend on it.
        tolerance: of the solution of the wires; a search can do with less.
    """

    def __init__(
        self,
        program: Program,
        effects: Effects,
        threads: int = 1,
        tolerance: float = TOLERANCE,
    ) -> None:
        self.program = program
        self.effects = effects
        self.threads = threads
        self.tolerance = tolerance
        self.model = cell_model(program.target, effects)
        self.lines = line_model(program.target)
        array = program.target.array
        self.shape = (array.rows, array.columns + array.spare_columns)

    def levels(self, step: CrossbarStep) -> Float64Array:
        """What each cell of a layer contributes; axes: group, row, column."""
        levels = np.zeros(step.cells.shape, dtype=np.float64)
        cells = step.cells.unpack((slice(None),))
        for array, blocks in blocks_by_array(step).items():
            real = self._read_array(array, self._write_array(array, step, blocks, cells))
            for block in blocks:
                levels[block.group, block.rows, block.columns] = real[block.place]
        return levels

    def offsets(self, step: CrossbarStep) -> Float64Array:
        """What each conversion's sense amplifier adds to its sum; axes: group, row block, it.

        An amplifier keeps its offset, whatever it compares and whichever of its bitlines it reads.
        """
        lines, tiling, target = step.bitlines(), step.tiling, self.program.target
        sigma = sense_offset(target, self.effects)
        if not sigma:
            return np.zeros(lines.shape)
        block = np.searchsorted(tiling.column_bounds, step.first_columns(), side="right") - 1
        arrays = np.broadcast_to(np.asarray(tiling.array)[:, :, block], lines.shape)
        amplifiers = -(-self.shape[1] // target.adc.columns_per_adc)
        found = np.empty(lines.shape)
        for array in np.unique(arrays).tolist():
            place = (array, self.effects.sample)
            # An amplifier's number belongs to its place, so another order of columns meets the same
            # ones.
            drawn = normals(self.effects.seed, "offset", place, amplifiers) * sigma
            mine = arrays == array
            found[mine] = drawn[lines[mine] // target.adc.columns_per_adc]
        return found

    def _write_array(
        self, array: int, step: CrossbarStep, blocks: list[ChipBlock], cells: IntArray
    ) -> IntArray:
        """Levels of a whole array, those of other layers in it too; unused cells are at 0."""
        whole = np.zeros(self.shape, dtype=np.int64)
        for block in blocks:
            whole[block.place] = cells[block.group, block.rows, block.columns]
        if "lines" in self.effects:
            # What other layers keep in the array loads the same wires.
            for other in self._neighbours.get(array, ()):
                if other is not step:
                    for block in blocks_by_array(other)[array]:
                        part = other.cells.unpack((block.group, block.rows))
                        whole[block.place] = part[:, block.columns]
        return whole

    @cached_property
    def _neighbours(self) -> dict[int, list[CrossbarStep]]:
        """Layers of the arrays that several layers share."""
        found: dict[int, list[CrossbarStep]] = {}
        for step in self.program.crossbar_steps:
            for array in np.unique(step.tiling.array).tolist():
                found.setdefault(array, []).append(step)
        return {array: steps for array, steps in found.items() if len(steps) > 1}

    def _read_array(self, array: int, written: IntArray) -> Float64Array:
        real = program_array(written, self.model, self.effects, array)
        if "lines" not in self.effects:
            return real
        return self.through_wires(real)

    def through_wires(self, levels: Float64Array) -> Float64Array:
        """What cells contribute at the end of the wires, in level units; axes: row, column."""
        model = self.model
        # Wires see conductances, level 0 included; the periphery subtracts level 0 as it would be
        # without wires, and what these took of it stays as an error.
        cells = (levels + model.floor) * model.siemens
        seen = effective_conductance(
            cells,
            self.lines,
            tolerance=self.tolerance,
            threads=self.threads,
            active=self.effects.active,
        )
        return seen / model.siemens - model.floor


def program_array(levels: IntArray, model: CellModel, effects: Effects, array: int) -> Float64Array:
    """An array after programming, at the time of reading, in level units; axes: row, column.

    Args:
        levels: what was written.
        model: figures of the cell.
        effects: seed, sample and fault map.
        array: which physical array it is.
    """
    real = model.position[levels]
    if model.deviates:
        place = (array, effects.sample)
        drawn = draw_numbers(model.device, effects.seed, place, levels.shape)
        real = program_cells(model.device, levels, model, drawn)
    # Drift is a factor on the whole conductance, so level 0 drifts as well.
    if model.drift != 1.0:
        real = (real + model.floor) * model.drift - model.floor
    # Stuck cells last: they were never programmed, and do not drift.
    return _with_faults(real, model, effects, array)


def _with_faults(
    real: Float64Array, model: CellModel, effects: Effects, array: int
) -> Float64Array:
    if "faults" in effects and effects.fault_map is not None:
        row, column, level = effects.fault_map.of(array)
        real[row, column] = model.position[level]
    elif model.stuck_on or model.stuck_off:
        rates = (model.stuck_on, model.stuck_off)
        rows, columns = real.shape
        grid = stuck_grid((rows, columns), rates, effects.seed, (array, effects.sample))
        real = np.where(grid > 0, model.position[-1], np.where(grid < 0, 0.0, real))
    return real
