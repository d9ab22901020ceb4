"""Signed pairs on the levels there are, for cells of which each contributes its own share.

A weight is the digits of its slices, each the difference of two cells. Digits are chosen from the
most significant down, and what one leaves the next takes up: attenuation, levels that are missing
and stuck cells are all the same to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import CrossbarStep, conversion_matrix, output_matrix
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array, Int64Array, UInt8Array

if TYPE_CHECKING:
    from xbarc.mapping.place import descent
else:
    descent = lazy_module("xbarc.mapping.place.descent")

_THRIFT = 1e-6
"""Preference for the lower of two levels that give the same error: it draws less current."""
# Descent ends by itself; no step raises the error; this bounds its time.
_SWEEPS = 12


@dataclass(frozen=True, eq=False)
class Pairs:
    """Columns of each output, most significant first; axes: output, slice.

    Attributes:
        plus, minus: the two columns.
        factor: what a level of the pair is worth.
    """

    plus: Int64Array
    minus: Int64Array
    factor: Float64Array


def find_pairs(step: CrossbarStep) -> Pairs:
    """The pairs of a layer.

    Raises:
        MappingError: its encoding does not put weights on pairs.
    """
    refused = MappingError(
        f"{step.encoding} puts no weights on pairs",
        where=step.name,
        hint="--encoding differential, or compensate with gain or outputs only",
    )
    if step.periphery.r_lead != (1, 1):
        raise refused
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    r = output_matrix(step.periphery, 0, 0, step.outputs, step.conversions)
    joined = (r @ a).tocoo()
    joined.sum_duplicates()
    kept = joined.data != 0
    output, column, value = joined.row[kept], joined.col[kept], joined.data[kept]
    # By output, most significant first, plus before minus: however the encoding numbers its
    # columns.
    order = np.lexsort((value < 0, -np.abs(value), output))
    output, column, value = output[order], column[order], value[order]
    slices, odd = divmod(len(value), 2 * step.outputs)
    # A column that serves two outputs cannot be changed for one of them.
    if odd or slices == 0 or len(np.unique(column)) != len(column):
        raise refused
    shape = (step.outputs, slices, 2)
    values, columns = value.reshape(shape), column.reshape(shape).astype(np.int64)
    whole = (output.reshape(shape) == np.arange(step.outputs)[:, None, None]).all()
    if not whole or (values[..., 0] != -values[..., 1]).any():
        raise refused
    return Pairs(columns[..., 0], columns[..., 1], values[..., 0].astype(np.float64))


@dataclass(frozen=True, eq=False)
class PairGrid:
    """What a cell contributes at a level: `share (level + floor) - floor`.

    Attributes:
        share: axes: row, column.
        stuck: level that a cell keeps, -1 where it is well; axes: row, column.
        levels: how many there are.
        floor: conductance of level 0, in levels.
    """

    share: Float64Array
    stuck: Int64Array
    levels: int
    floor: float


def encode_pairs(
    wanted: Float64Array, pairs: Pairs, grid: PairGrid
) -> tuple[UInt8Array, Float64Array]:
    """Levels that come nearest to a matrix on this grid.

    Args:
        wanted: axes: row, output.
        pairs: where its digits lie.
        grid: what the cells do.

    Returns:
        Levels (axes: row, column of the layer) and what they give (axes: row, output).
    """
    cells = np.zeros(grid.share.shape, dtype=np.uint8)
    rest = wanted.copy()
    for s in range(pairs.factor.shape[1]):
        plus, minus, factor = pairs.plus[:, s], pairs.minus[:, s], pairs.factor[:, s]
        best: AnyArray = np.full(rest.shape, np.inf)
        chosen = [np.zeros(rest.shape), np.zeros(rest.shape)]
        left = rest
        for p, m in _choices(grid.levels):
            p_real, m_real = _kept(grid.stuck[:, plus], p), _kept(grid.stuck[:, minus], m)
            value = grid.share[:, plus] * (p_real + grid.floor)
            value = factor * (value - grid.share[:, minus] * (m_real + grid.floor))
            cost = np.abs(rest - value) + _THRIFT * (p_real + m_real)
            better = cost < best
            best = np.where(better, cost, best)
            chosen = [
                np.where(better, new, old)
                for new, old in zip((p_real, m_real), chosen, strict=True)
            ]
            left = np.where(better, rest - value, left)
        cells[:, plus], cells[:, minus] = chosen
        rest = left
    return cells, wanted - rest


def _choices(levels: int) -> list[tuple[int, int]]:
    """One side of the pair at 0, unless it is stuck."""
    return [(0, 0), *((v, 0) for v in range(1, levels)), *((0, v) for v in range(1, levels))]


def _kept(stuck: Int64Array, level: int) -> Any:
    return np.where(stuck >= 0, stuck, level).astype(np.float64)


def encode_with_feedback(
    wanted: Float64Array, pairs: Pairs, grid: PairGrid, upper: Float64Array
) -> tuple[UInt8Array, Float64Array]:
    """As `encode_pairs`, row by row: what a row misses is fed into those still to come.

    Args:
        wanted: axes: row, output.
        pairs: where its digits lie.
        grid: what the cells do.
        upper: upper Cholesky factor of the inverse second moments of the rows' inputs.
    """
    target = wanted.copy()
    cells = np.zeros(grid.share.shape, dtype=np.uint8)
    given = np.zeros_like(wanted)
    for i in range(len(wanted)):
        row = PairGrid(grid.share[i : i + 1], grid.stuck[i : i + 1], grid.levels, grid.floor)
        cells[i : i + 1], given[i : i + 1] = encode_pairs(target[i : i + 1], pairs, row)
        missed = (target[i] - given[i]) / upper[i, i]
        target[i + 1 :] -= np.outer(upper[i, i + 1 :], missed)
    return cells, given


def descend(
    wanted: Float64Array, cells: UInt8Array, pairs: Pairs, grid: PairGrid, matrix: Float64Array
) -> UInt8Array:
    """Levels changed one pair after another as long as the outputs' expected error falls.

    Args:
        wanted: axes: row, output.
        cells: to start from; axes: row, column of the layer.
        pairs: where the digits lie.
        grid: what the cells do.
        matrix: second moments of the rows' inputs; axes: row, row.
    """
    found = cells.astype(np.int64)
    what = (grid.share, grid.stuck, grid.floor, grid.levels)
    columns = np.ascontiguousarray(wanted.T)
    for output, plus, minus, factor in zip(
        columns, pairs.plus, pairs.minus, pairs.factor, strict=True
    ):
        descent.descend(output, found, (plus, minus, factor), what, matrix, _SWEEPS)
    return found.astype(np.uint8)


def damp(matrix: Float64Array, damping: float = 0.01) -> Float64Array:
    """Second moments, as if every input had a little more energy of its own."""
    size = len(matrix)
    mean = float(np.trace(matrix)) / max(1, size)
    return matrix + np.eye(size) * (damping * mean if mean > 0 else 1.0)


def feedback_factor(matrix: Float64Array) -> Float64Array:
    """Upper Cholesky factor of the inverse of a damped second-moment matrix."""
    # Damped: with fewer samples than rows the matrix has no inverse.
    inverse = np.linalg.inv(damp(matrix))
    return np.asarray(np.linalg.cholesky((inverse + inverse.T) / 2).T, dtype=np.float64)
