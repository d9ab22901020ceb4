"""Known stuck cells: rows and columns move until they meet weights that do not mind.

A pair whose plus side is stuck at `v` can still be any digit from `v - (L - 1)` to `v`, because its
other side adjusts. So a stuck cell costs the distance of the digit from that range, often nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from xbarc.circuit import Importance, bitlines, column_shares
from xbarc.errors import MappingError
from xbarc.ir import CrossbarStep
from xbarc.lazy import lazy_module
from xbarc.mapping.place.assign import assign
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.pairs import find_pairs
from xbarc.mapping.place.permute import permute_columns, permute_rows, resize_converters
from xbarc.mapping.place.units import column_units
from xbarc.numerics import Float64Array, Int64Array
from xbarc.target import Target

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = lazy_module("scipy.optimize")

StuckOf = Callable[[int], Int64Array]
# Rows and columns in turn. Each step is optimal given the other, and the better of the rounds is
# kept.
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class FaultJob:
    """What is known of a layer's arrays.

    Attributes:
        importance: of its inputs and outputs.
        stuck: level that each cell of an array keeps, -1 where it is well; axes: row, column.
        alone: whether no other layer uses the arrays, so that blocks may move in them.
    """

    target: Target
    importance: Importance
    stuck: StuckOf
    alone: bool = True


def place_around_faults(step: CrossbarStep, job: FaultJob) -> tuple[CrossbarStep, float, float]:
    """The layer in a better order, and its expected cost before and after."""
    before = fault_cost(step, job)
    # Prices are by bitline; an order by converter on top would move columns away from them.
    step = replace(step, tiling=replace(step.tiling, column_order=None))
    # Leaving the layer as it is counts as well: nothing is ever placed worse.
    best, cost = step, before
    for _ in range(_ROUNDS):
        if job.alone:
            step = _shift_blocks(step, job)
        step = _rows(_columns(step, job), job)
        found = fault_cost(step, job)
        if found < cost:
            best, cost = step, found
    return resize_converters(best, job.target), before, cost


def fault_cost(step: CrossbarStep, job: FaultJob) -> float:
    """Expected cost of the cells that are stuck under this order."""
    price = _prices(step, job)
    total = 0.0
    for at in product(*map(range, step.tiling.array.shape)):
        rows, columns = _ranges(step, at)
        stuck = _window(step, job, at)
        for level, cost in price.items():
            total += float(cost[at[0], rows, columns][stuck == level].sum())
    return total


def _prices(step: CrossbarStep, job: FaultJob) -> dict[int, Float64Array]:
    """What each cell costs stuck at level 0 and at the top; axes: group, row, column."""
    levels = cells_of(step)
    top = (1 << step.cells.bits) - 1
    weight = column_shares(step, np.ones_like(levels), job.importance)
    found = {}
    for level in (0, top):
        try:
            miss = _pair_misses(step, levels, level, top)
        except MappingError:  # no pairs: nothing makes up for a stuck cell
            miss = np.abs(levels - level)
        found[level] = weight * np.square(miss)
    return found


def _pair_misses(step: CrossbarStep, levels: Float64Array, level: int, top: int) -> Float64Array:
    pairs = find_pairs(step)
    plus, minus = pairs.plus.reshape(-1), pairs.minus.reshape(-1)
    miss = np.zeros_like(levels)
    digit = levels[:, :, plus] - levels[:, :, minus]
    for side, value in ((plus, digit), (minus, -digit)):
        # Distance of the digit from the range that the other side can still reach.
        miss[:, :, side] = np.maximum(0, np.maximum(value - level, level - top - value))
    return miss


def _ranges(step: CrossbarStep, at: tuple[int, ...]) -> tuple[slice, slice]:
    tiling = step.tiling
    rows = slice(int(tiling.row_bounds[at[1]]), int(tiling.row_bounds[at[1] + 1]))
    return rows, slice(int(tiling.column_bounds[at[2]]), int(tiling.column_bounds[at[2] + 1]))


def _window(step: CrossbarStep, job: FaultJob, at: tuple[int, ...]) -> Int64Array:
    """What is stuck under a block; axes: row, column of the block."""
    rows, _ = _ranges(step, at)
    top, left = int(step.tiling.row_offset[at]), int(step.tiling.column_offset[at])
    whole = job.stuck(int(step.tiling.array[at]))
    return whole[top : top + rows.stop - rows.start, left + bitlines(step, at)]


def _columns(step: CrossbarStep, job: FaultJob) -> CrossbarStep:
    """Units to bitlines, each column block for itself, over all its row blocks and groups."""
    price = _prices(step, job)
    order = np.arange(step.cells.columns)
    shape = step.tiling.array.shape
    for block, units in enumerate(column_units(step)):
        first, size = int(units[0][0]), sum(map(len, units))
        cost = np.zeros((size, size))
        for g, i in product(range(shape[0]), range(shape[1])):
            rows, columns = _ranges(step, (g, i, block))
            stuck = _window(step, job, (g, i, block))
            for level, table in price.items():
                cost += table[g, rows, columns].T @ (stuck == level)
        table = np.zeros((len(units), size))
        # A unit that begins at a place covers the places after it too.
        for u, unit in enumerate(units):
            for k, column in enumerate(unit.tolist()):
                table[u, : size - k] += cost[column - first, k:]
        found = assign(table, np.array([len(unit) for unit in units]))
        for unit, start in zip(units, found.start.tolist(), strict=True):
            order[first + start : first + start + len(unit)] = unit
    return permute_columns(step, order)


def _rows(step: CrossbarStep, job: FaultJob) -> CrossbarStep:
    """Rows to wordlines, each segment for itself, over all column blocks and groups."""
    price = _prices(step, job)
    order = np.arange(step.cells.shape[1])
    bounds = step.tiling.segment_bounds.tolist()
    owner = step.tiling.segment_block.tolist()
    for first, last, i in zip(bounds[:-1], bounds[1:], owner, strict=True):
        inside = slice(
            first - int(step.tiling.row_bounds[i]), last - int(step.tiling.row_bounds[i])
        )
        cost = np.zeros((last - first, last - first))
        for g, j in product(range(step.groups), range(step.tiling.array.shape[2])):
            _, columns = _ranges(step, (g, i, j))
            stuck = _window(step, job, (g, i, j))[inside]
            for level, table in price.items():
                cost += table[g, first:last, columns] @ (stuck == level).T
        # Rows are single, so that the Hungarian method is exact and fast; units of several columns
        # need CP-SAT.
        row, place = optimize.linear_sum_assignment(cost)
        order[first + place] = first + row
    return permute_rows(step, order)


def _shift_blocks(step: CrossbarStep, job: FaultJob) -> CrossbarStep:
    """Blocks that are alone in their array, to wordlines where stuck cells cost least."""
    tiling, price = step.tiling, _prices(step, job)
    offset = np.array(tiling.row_offset)
    counts = np.bincount(tiling.array.reshape(-1) - int(tiling.array.min()))
    for at in product(*map(range, tiling.array.shape)):
        # Two blocks in an array could be moved onto each other.
        if counts[int(tiling.array[at]) - int(tiling.array.min())] > 1:
            continue
        rows, columns = _ranges(step, at)
        size, left = rows.stop - rows.start, int(tiling.column_offset[at])
        stuck = job.stuck(int(tiling.array[at]))[:, left + bitlines(step, at)]
        costs = [
            sum(
                float(t[at[0], rows, columns][stuck[o : o + size] == v].sum())
                for v, t in price.items()
            )
            for o in range(len(stuck) - size + 1)
        ]
        offset[at] = int(np.argmin(costs))
    return replace(step, tiling=replace(tiling, row_offset=offset))
