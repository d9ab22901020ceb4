"""The slow reference: every node of an array in one sparse system, solved by LU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from xbarc.circuit.lines import LineModel
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array

if TYPE_CHECKING:
    from scipy.sparse import linalg
else:
    linalg = lazy_module("scipy.sparse.linalg")


def direct_conductance(cells: AnyArray, lines: LineModel) -> Float64Array:
    """As `lines.effective_conductance`, by one factorisation; resistances must not be zero.

    Args:
        cells: siemens; axes: row, column.
        lines: the wires.
    """
    rows, columns = cells.shape
    taps = np.zeros((rows, columns))
    word, bit = taps.copy(), taps.copy()
    for column in (0, -1)[: 1 + lines.both_drivers]:
        word[:, column] += 1 / lines.driver_path
    for row in (-1, 0)[: 1 + lines.both_senses]:
        bit[row] += 1 / lines.sense_path
    # Nodes are numbered line by line; the order of elimination is left to the solver.
    matrix = sparse.csc_array(_stamp(np.asarray(cells, dtype=np.float64), lines, word, bit))
    solver = linalg.splu(matrix)
    inject = np.zeros((2, rows, columns, columns))
    each = np.arange(columns)
    inject[1, :, each, each] = bit.T  # one volt at one sense terminal after another
    voltages = solver.solve(inject.reshape(2 * rows * columns, columns))
    a = voltages.reshape(2, rows, columns, columns)[0]
    found: Float64Array = np.einsum("ij,ijk->ik", word, a)
    return found


def _stamp(
    cells: Float64Array, lines: LineModel, word: Float64Array, bit: Float64Array
) -> sparse.sparray:
    """Nodal matrix: wordline nodes row by row, then bitline nodes row by row."""
    rows, columns = cells.shape
    node = np.arange(rows * columns).reshape(rows, columns)
    other = node + rows * columns
    parts: list[tuple[AnyArray, AnyArray, AnyArray]] = [
        (node[:, :-1], node[:, 1:], np.array(1 / lines.wordline)),
        (other[:-1], other[1:], np.array(1 / lines.bitline)),
        (node, other, cells),
    ]
    one = np.concatenate([a.reshape(-1) for a, _, _ in parts])
    two = np.concatenate([b.reshape(-1) for _, b, _ in parts])
    value = np.concatenate([np.broadcast_to(g, a.shape).reshape(-1) for a, _, g in parts])
    ground = np.concatenate([word.reshape(-1), bit.reshape(-1)])
    size = 2 * rows * columns
    every = np.arange(size)
    data = np.concatenate([value, value, -value, -value, ground])
    row = np.concatenate([one, two, one, two, every])
    column = np.concatenate([one, two, two, one, every])
    return sparse.coo_array((data, (row, column)), shape=(size, size))
