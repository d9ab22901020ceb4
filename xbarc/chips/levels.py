"""Choose levels that compensate for losses in wires and for stuck cells.

A pair of cells should contribute `k` times its weight at the end of the wires, using the levels of
the target. Each pair is rounded to its nearest levels. Pairs are then changed one by one as long
as the error of the outputs on the calibration data falls. What a cell contributes depends on all
other cells, so both steps are repeated on the wires as they then are. Where a digital factor
follows, `k` is chosen as well: near 1 far cells saturate, far below 1 steps are coarse.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.circuit import FaultMap, Importance, blocks_by_array, real_weights, weight_error
from xbarc.ir import CrossbarStep, read_only
from xbarc.mapping import (
    PairGrid,
    Pairs,
    Wired,
    cells_of,
    damp,
    descend,
    encode_pairs,
    encode_with_feedback,
    feedback_factor,
    find_pairs,
    resize_converters,
)
from xbarc.numerics import Float64Array, Int64Array, pack_cells
from xbarc.target import Target

# Levels, wires, levels again: every round solves the arrays of the layer, and the best of all
# rounds is taken, so more of them only cost time.
ROUNDS = 6
# Parts of the weights that levels may aim at, 1 to 0.35. Chosen were 0.85 to 0.9 at mild wires and
# 0.55 to 0.8 at severe ones (docs/explanation/wires.md).
GAINS = tuple(k / 20 for k in range(20, 6, -1))
# Parts that are written and executed on the wires. The estimate that ranks all of them takes the
# shares of cells as they are, so that its best one need not be the best.
TRIED = 3


@dataclass(frozen=True, eq=False)
class LevelTask:
    """A layer whose levels are to be chosen.

    Attributes:
        step: the layer in its place.
        wanted: the matrix it was compiled for; axes: group, input, output.
        importance: of its inputs and outputs.
        wired: gives what cells contribute on the chip that is known.
        kinds: some of `predistort`, `feedback` and `partner`.
        is_scaled: whether a digital factor follows, so that levels may aim at a part.
        target: whose cells.
        stuck: level that each cell keeps, -1 where it is well; axes: group, row, column.
    """

    step: CrossbarStep
    wanted: Float64Array
    importance: Importance
    wired: Wired
    kinds: frozenset[str]
    is_scaled: bool
    target: Target
    stuck: Int64Array


def stuck_levels(step: CrossbarStep, faults: FaultMap | None, target: Target) -> Int64Array:
    """Level that each cell of a layer keeps, -1 where it is well; axes: group, row, column."""
    stuck = np.full(step.cells.shape, -1, dtype=np.int64)
    if faults is None:
        return stuck
    shape = (target.array.rows, target.array.columns + target.array.spare_columns)
    for array, blocks in blocks_by_array(step).items():
        grid = np.full(shape, -1, dtype=np.int64)
        row, column, level = faults.of(array)
        grid[row, column] = level
        for block in blocks:
            stuck[block.group, block.rows, block.columns] = grid[block.place]
    return stuck


def choose_levels(task: LevelTask) -> tuple[CrossbarStep, float]:
    """The layer with the levels that suit its cells, and what they aim at."""
    pairs = find_pairs(task.step)
    if "predistort" not in task.kinds:
        # A cell then aims at its level: feedback and partners only work around what is stuck.
        shares = np.ones(task.step.cells.shape)
        cells = _take_nearest(task, pairs, shares, 1.0)
        if "feedback" in task.kinds:
            cells = _feed_back(task, pairs, shares, 1.0)
            cells = _descend_levels(task, pairs, cells, shares, 1.0)
        return _with_cells(task.step, cells, task.target), 1.0
    shares = _shares(task, task.step, task.wired(task.step))
    if not task.is_scaled:
        return _predistort(task, pairs, shares, 1.0)[1], 1.0
    costs = [_cost_of_gain(task, pairs, shares, gain) for gain in GAINS]
    best = np.argsort(costs, kind="stable")[:TRIED]
    tried = [(*_predistort(task, pairs, shares, GAINS[number]), GAINS[number]) for number in best]
    _, step, gain = min(tried, key=lambda trial: trial[0])
    return step, gain


def _predistort(
    task: LevelTask, pairs: Pairs, shares: Float64Array, gain: float
) -> tuple[float, CrossbarStep]:
    """Levels for the shares that cells have once these levels are written, and their error.

    Every change of levels changes all shares, so the last round is not always the best.
    """
    first = _feed_back if "feedback" in task.kinds else _take_nearest
    step, cells = task.step, first(task, pairs, shares, gain)
    best = (np.inf, step)
    for _ in range(ROUNDS):
        cells = _descend_levels(task, pairs, cells, shares, gain)
        step = _with_cells(step, cells, task.target)
        seen = task.wired(step)
        shares = _shares(task, step, seen)
        found = real_weights(step, seen)
        if task.is_scaled:
            found *= layer_gain(task.wanted, found, task.importance)
        error = weight_error(task.wanted, found, task.importance)
        # Not the last one: new levels change the shares that they were chosen by, and rounds may
        # end in a circle.
        if error < best[0]:
            best = (error, step)
    return best


def _cost_of_gain(task: LevelTask, pairs: Pairs, shares: Float64Array, gain: float) -> float:
    """Error of the nearest levels, after the gain is divided out again."""
    floor = floor_levels(task.target)
    levels = _take_nearest(task, pairs, shares, gain).astype(np.float64)
    found = real_weights(task.step, shares * (levels + floor) - floor) / gain
    return weight_error(task.wanted, found, task.importance)


def layer_gain(wanted: Float64Array, found: Float64Array, importance: Importance) -> float:
    """The one factor on all outputs that leaves the least error."""
    matrix, price = importance.matrix, importance.output
    both = (np.einsum("gio,gio->go", found, matrix @ wanted) * price).sum()
    own = (np.einsum("gio,gio->go", found, matrix @ found) * price).sum()
    return float(both / own) if own > 0 and both > 0 else 1.0


def floor_levels(target: Target) -> float:
    """Conductance of level 0, in level units."""
    values = target.cell.conductance.values
    return values[0] * (len(values) - 1) / (values[-1] - values[0])


def _shares(task: LevelTask, step: CrossbarStep, wired: Float64Array) -> Float64Array:
    """What share of its conductance each cell contributes at the end of the wires."""
    floor = max(floor_levels(task.target), 1e-9)
    levels = np.where(task.stuck >= 0, task.stuck, cells_of(step))
    seen = wired + floor_levels(task.target)
    share = seen / (levels + floor)
    # Every level conducts, so every cell tells its share. Otherwise 0 / 0 tells nothing.
    if floor > 1e-6:
        return share
    return _spread_over_zeros(share, levels > 0)


def _spread_over_zeros(share: Float64Array, known: Any) -> Float64Array:
    """Cells without any conductance take the share of their row and column."""
    count = known.sum(axis=2, keepdims=True), known.sum(axis=1, keepdims=True)
    # What two wires lose is nearly a product of one number per row and one per column, so their
    # logarithms add up.
    kept = np.where(known, np.log(np.maximum(share, 1e-12)), 0.0)
    overall = (
        kept.sum(axis=(1, 2), keepdims=True) / np.maximum(1, known.sum(axis=(1, 2)))[:, None, None]
    )
    row = np.where(count[0] > 0, kept.sum(axis=2, keepdims=True) / np.maximum(1, count[0]), overall)
    column = np.where(
        count[1] > 0, kept.sum(axis=1, keepdims=True) / np.maximum(1, count[1]), overall
    )
    return np.where(known, share, np.minimum(1.0, np.exp(row + column - overall)))


def _take_nearest(task: LevelTask, pairs: Pairs, shares: Float64Array, gain: float) -> Any:
    """Levels nearest to the weights."""
    cells = np.zeros(task.step.cells.shape, dtype=np.uint8)
    order = task.step.tiling.row_input
    for group in range(task.step.groups):
        wanted = task.wanted[group, order] * gain
        cells[group], _ = encode_pairs(wanted, pairs, _grid(task, shares, group))
    return cells


def _feed_back(task: LevelTask, pairs: Pairs, shares: Float64Array, gain: float) -> Any:
    """Levels chosen row by row, what a row misses fed into those to come."""
    cells = np.zeros(task.step.cells.shape, dtype=np.uint8)
    order = task.step.tiling.row_input
    for group in range(task.step.groups):
        grid, wanted = _grid(task, shares, group), task.wanted[group, order] * gain
        upper = feedback_factor(task.importance.matrix[group][np.ix_(order, order)])
        cells[group], _ = encode_with_feedback(wanted, pairs, grid, upper)
    return cells


def _descend_levels(
    task: LevelTask, pairs: Pairs, cells: Any, shares: Float64Array, gain: float
) -> Any:
    """Levels changed until no single pair makes the outputs' error less."""
    order = task.step.tiling.row_input
    found = np.empty_like(cells)
    for group in range(task.step.groups):
        grid = _grid(task, shares, group)
        # Few samples leave directions without variance, in which levels could go anywhere.
        matrix = damp(task.importance.matrix[group][np.ix_(order, order)])
        wanted = task.wanted[group, order] * gain
        found[group] = descend(wanted, cells[group], pairs, grid, matrix)
    return found


def _grid(task: LevelTask, shares: Float64Array, group: int) -> PairGrid:
    levels = len(task.target.cell.conductance.values)
    return PairGrid(shares[group], task.stuck[group], levels, floor_levels(task.target))


def _with_cells(step: CrossbarStep, cells: Any, target: Target) -> CrossbarStep:
    packed = pack_cells(cells, step.cells.bits)
    packed = replace(packed, data=read_only(packed.data))
    return resize_converters(replace(step, cells=packed), target)
