"""Cells of single rows of a layer, for writing them one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from xbarc.ir import MatrixLayer, Tiling, conversion_matrix, output_matrix
from xbarc.lazy import lazy_module
from xbarc.mapping.chains import Arrangement
from xbarc.mapping.encodings import Encoding
from xbarc.mapping.fitting import integer_weight
from xbarc.mapping.job import Job, make_job
from xbarc.mapping.layer import encode_rows, map_layer
from xbarc.mapping.pack import ArrayPool
from xbarc.numerics import Float64Array, IntArray
from xbarc.options import MapOptions
from xbarc.target import Target

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_module("scipy.sparse")

_ONE_ROW = np.array([0, 1], dtype=np.int32)


def stands_alone(encoding: Encoding) -> bool:
    """Whether the cells of a row follow from its weights alone, whatever the other rows hold.

    So it is on forests of columns. Encodings that take off a centre, flip columns or look for one
    sign must know all rows of a block first.
    """
    return encoding.forest(1) is not None


@dataclass(frozen=True, eq=False)
class RowCells:
    """From a row's integers to its cells, and from what the cells hold to the row's weights.

    Attributes:
        job: how the layer is cut, and the order and signs of its outputs.
        reader: `R A`, the same for all rows; axes: output, column.
    """

    job: Job
    reader: sparse.csr_array

    def cells(self, integers: IntArray) -> IntArray:
        """Levels of one row; axes: group, output -> group, column."""
        job = self.job
        turned = integers[:, None, job.places.order] * job.places.signs
        row = replace(job, weights=turned >> job.shift, bounds=_ONE_ROW)
        pieces = [piece.cells.reshape(len(integers), -1) for piece in encode_rows(row, 0, 1)]
        return np.concatenate(pieces, axis=1)

    def weights(self, held: Float64Array) -> Float64Array:
        """Weights that a row stands for; axes: group, column -> group, output."""
        found: Float64Array = (self.reader @ held.T).T
        return found


def row_cells(
    layer: MatrixLayer, target: Target, options: MapOptions, places: Arrangement | None
) -> RowCells:
    """Prepare a layer for writing.

    Args:
        layer: its weights are not looked at.
        target: the chip.
        options: with the cells of a weight.
        places: order and signs of the outputs; None if they matter not.
    """
    shape = (layer.groups, layer.rows, layer.outputs)
    blank = replace(layer, weight=integer_weight(np.zeros(shape)))
    step = map_layer(blank, target, options, ArrayPool(target.array, options.pack), places)
    if step.periphery.r_lead != (1, 1):
        raise ValueError(f"{step.encoding} reads its row blocks differently")
    r = output_matrix(step.periphery, 0, 0, step.outputs, step.conversions)
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    return RowCells(make_job(blank, target, options, places), sparse.csr_array(r @ a))


class KeptPlaces(ArrayPool):
    """Gives a layer the places that it already has."""

    def __init__(self, tiling: Tiling, pool: ArrayPool) -> None:
        super().__init__(pool.array, pool.pack)
        self._tiling = tiling

    def place(
        self, groups: int, rows: IntArray, columns: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """As before.

        Raises:
            ValueError: blocks of another size.
        """
        tiling = self._tiling
        same = np.array_equal(rows, np.diff(tiling.row_bounds))
        same = same and np.array_equal(columns, np.diff(tiling.column_bounds))
        if not same or groups != len(tiling.array):
            raise ValueError("blocks of another size than before")
        return tiling.array, tiling.row_offset, tiling.column_offset
