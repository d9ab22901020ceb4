"""Error feedback while a chip is written: what a row really holds goes into the rows to come.

The chooser of a row's integers is wrapped: it chooses, has the row written, and answers with the
weights that were read back. To `feed_back` a cell's deviation is then an error like that of
rounding, which later rows compensate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.ir import SecondMoments
from xbarc.mapping.fitting.feedback import blocks, feed_back
from xbarc.mapping.fitting.grids import Alone, Coupled, Nearest, RowGrid
from xbarc.mapping.fitting.search import Task
from xbarc.numerics import BoolArray, Float64Array

WriteRow = Callable[[int, Float64Array], Float64Array]
"""Number of the row and its integers to what it holds; axes: group, output."""


@dataclass(frozen=True, eq=False)
class Written(RowGrid):
    """A grid whose rows are written, from `first` on, as they are chosen.

    Attributes:
        chosen: filled with the integers; axes: group, input, output.
    """

    grid: RowGrid
    write: WriteRow
    first: int
    chosen: Float64Array

    def nearest(self, importance: Float64Array) -> Nearest:
        """The weights of the row that was written; each call is about the next row."""
        choose = self.grid.nearest(importance)
        rows = iter(range(self.first, self.chosen.shape[1]))

        def write_next(targets: Float64Array) -> Float64Array:
            row = next(rows)
            self.chosen[:, row] = choose(targets)
            return self.write(row, self.chosen[:, row])

        return write_next

    def mix_with(self, other: RowGrid, chosen: BoolArray) -> RowGrid:
        """A row is written once."""
        del other, chosen
        raise TypeError("rows that are written cannot be mixed")


def grid_of(task: Task) -> RowGrid:
    """What rows can hold that stand alone.

    Raises:
        ValueError: the offset of each output depends on all its rows.
    """
    if task.is_shifted:
        raise ValueError("the rows of a shifted grid do not stand alone")
    if task.cut is not None and task.places is not None:
        return Coupled(task.cut.parts, task.places, task.levels)
    return Alone(task.low, task.high)


def write_fed_back(
    task: Task, moments: SecondMoments, steps: Float64Array, write: WriteRow
) -> tuple[Float64Array, Float64Array]:
    """Choose and write row after row, each one's error fed into those still to come.

    Args:
        task: the layer.
        moments: over the calibration data, on the inputs of the prefix that is written.
        steps: real value of one step; axes: group, output.
        write: writes a row and reads it back.

    Returns:
        The integers, and what was read back in their units; axes: group, input, output.
    """
    grid = grid_of(task)
    chosen = np.zeros_like(task.weights)
    pieces = [
        feed_back(part, steps, Written(grid, write, first, chosen))
        for part, (first, _) in zip(
            blocks(moments, task.weights), pairwise(moments.bounds.tolist()), strict=True
        )
    ]
    return chosen, np.concatenate(pieces, axis=1)
