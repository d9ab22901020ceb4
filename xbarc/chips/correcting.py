"""Making up for what wires and stuck cells take, each way switchable.

`gain` is one digital factor a layer, `outputs` a factor and an offset an output; both fold into the
numbers that a layer's result is scaled by anyway. `predistort` chooses levels of signed pairs so
that the contributions at the end of the wires come near `k` times the weights, on the levels there
are; `feedback` lets later rows make up for what earlier ones miss; `partner` re-encodes around
stuck cells that are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from xbarc.circuit.chip import blocks_by_array
from xbarc.circuit.faults import FaultMap
from xbarc.circuit.meaning import Importance, real_weights, weight_error
from xbarc.errors import MappingError
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep, read_only
from xbarc.ir.quantize import (
    DynamicInput,
    FloatResult,
    IntegerInput,
    RequantizedResult,
    Result,
    StaticInput,
)
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.pairs import (
    Grid,
    Pairs,
    encode_pairs,
    encode_with_feedback,
    feedback_factor,
    find_pairs,
)
from xbarc.mapping.place.permute import resized
from xbarc.numerics import pack_cells
from xbarc.numerics.types import Float64Array, Int64Array
from xbarc.target import Target

CORRECTIONS = ("gain", "outputs", "predistort", "feedback", "partner")
ROUNDS = 4
GAINS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
Wired = Callable[[CrossbarStep], Float64Array]


@dataclass(frozen=True, eq=False)
class _Task:
    """A layer to correct; `wanted` is the matrix it was compiled for."""

    step: CrossbarStep
    wanted: Float64Array
    importance: Importance
    wired: Wired
    kinds: frozenset[str]
    target: Target
    stuck: Int64Array


def correct_layer(
    placed: CrossbarStep,
    original: CrossbarStep,
    importance: Importance,
    wired: Wired,
    kinds: frozenset[str],
    known: tuple[Any, FaultMap | None],
) -> tuple[CrossbarStep, float]:
    """A layer with its corrections, and the share of its weights that its levels aim at.

    Args:
        placed: the layer in its order.
        original: as it was compiled, whose matrix is wanted.
        importance: of its inputs and outputs.
        wired: gives what cells contribute on the chip that is known.
        kinds: some of `CORRECTIONS`.
        known: the target, and the map of stuck cells.
    """
    target, faults = known
    wanted = effective_weights(original).astype(np.float64)
    task = _Task(
        placed, wanted, importance, wired, kinds, target, stuck_levels(placed, faults, target)
    )
    step, level_gain = placed, 1.0
    if kinds & {"predistort", "feedback", "partner"}:
        step, level_gain = _encoded(task)
    found = real_weights(step, wired(step))
    gain, offset = _fitted(found, task, step)
    return _folded(step, gain, offset, original), level_gain


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


def _encoded(task: _Task) -> tuple[CrossbarStep, float]:
    """Levels for the shares that cells have, and what they aim at."""
    pairs = find_pairs(task.step)
    step, best = task.step, 1.0
    if "predistort" not in task.kinds:
        shares = np.ones(step.cells.shape)
        return _with_cells(step, _levels(task, pairs, shares, 1.0), task.target), 1.0
    shares = _shares(task, step)
    if task.kinds & {"gain", "outputs"}:
        costs = [_cost_of_gain(task, pairs, shares, gain) for gain in GAINS]
        best = GAINS[int(np.argmin(costs))]
    for _ in range(ROUNDS):
        step = _with_cells(step, _levels(task, pairs, shares, best), task.target)
        shares = _shares(task, step)
    return step, best


def _cost_of_gain(task: _Task, pairs: Pairs, shares: Float64Array, gain: float) -> float:
    """Error of the nearest levels, after the gain is taken off again."""
    floor = floor_levels(task.target)
    levels = _levels(task, pairs, shares, gain).astype(np.float64)
    found = real_weights(task.step, shares * (levels + floor) - floor) / gain
    return weight_error(task.wanted, found, task.importance)


def floor_levels(target: Target) -> float:
    """Conductance of level 0, in level units."""
    values = target.cell.conductance.values
    return values[0] * (len(values) - 1) / (values[-1] - values[0])


def _shares(task: _Task, step: CrossbarStep) -> Float64Array:
    """What share of its conductance each cell contributes at the end of the wires."""
    floor = max(floor_levels(task.target), 1e-9)
    levels = np.where(task.stuck >= 0, task.stuck, cells_of(step))
    seen = task.wired(step) + floor_levels(task.target)
    share = seen / (levels + floor)
    if floor > 1e-6:
        return share
    return _spread_over_zeros(share, levels > 0)


def _spread_over_zeros(share: Float64Array, known: Any) -> Float64Array:
    """Cells without any conductance take the share of their row and column."""
    count = known.sum(axis=2, keepdims=True), known.sum(axis=1, keepdims=True)
    kept = np.where(known, np.log(np.maximum(share, 1e-12)), 0.0)
    overall = (
        kept.sum(axis=(1, 2), keepdims=True) / np.maximum(1, known.sum(axis=(1, 2)))[:, None, None]
    )
    row = np.where(count[0] > 0, kept.sum(axis=2, keepdims=True) / np.maximum(1, count[0]), overall)
    column = np.where(
        count[1] > 0, kept.sum(axis=1, keepdims=True) / np.maximum(1, count[1]), overall
    )
    return np.where(known, share, np.minimum(1.0, np.exp(row + column - overall)))


def _levels(task: _Task, pairs: Pairs, shares: Float64Array, gain: float) -> Any:
    step, target = task.step, task.target
    cells = np.zeros(step.cells.shape, dtype=np.uint8)
    order = step.tiling.row_input
    levels = len(target.cell.conductance.values)
    for group in range(step.groups):
        grid = Grid(shares[group], task.stuck[group], levels, floor_levels(target))
        wanted = task.wanted[group, order] * gain
        if "feedback" in task.kinds:
            upper = feedback_factor(task.importance.matrix[group][np.ix_(order, order)])
            cells[group], _ = encode_with_feedback(wanted, pairs, grid, upper)
        else:
            cells[group], _ = encode_pairs(wanted, pairs, grid)
    return cells


def _with_cells(step: CrossbarStep, cells: Any, target: Target) -> CrossbarStep:
    packed = pack_cells(cells, step.cells.bits)
    packed = replace(packed, data=read_only(packed.data))
    return resized(replace(step, cells=packed), target)


def _zero_point(step: CrossbarStep) -> float:
    """The code that means zero, where it is known before running."""
    match step.quantizer:
        case StaticInput() as static:
            return float(static.zero_point)
        case IntegerInput() as integer if not isinstance(integer.zero_point, str):
            return float(integer.zero_point - integer.low)
        case _:
            return 0.0


def _fitted(
    found: Float64Array, task: _Task, step: CrossbarStep
) -> tuple[Float64Array, Float64Array]:
    """Gain and offset (in accumulators, after the gain) of each output; axes: group, output.

    The offset always holds what the zero point makes of levels that are not the weights.
    """
    mean = task.importance.mean
    zero = _zero_point(step)
    known = effective_weights(step).sum(axis=1, dtype=np.float64)
    wanted_level = np.einsum("gi,gio->go", mean, task.wanted) - zero * task.wanted.sum(axis=1)
    found_level = np.einsum("gi,gio->go", mean, found) - zero * known
    gain = np.ones_like(wanted_level)
    if "outputs" in task.kinds:
        spread = task.importance.matrix - mean[:, :, None] * mean[:, None, :]
        gain = _regressed(spread, task.wanted, found)
        return gain, wanted_level - gain * found_level
    if "gain" in task.kinds:
        gain *= _layer_gain(found, task)
    return gain, -zero * (task.wanted.sum(axis=1) - known) * gain


def _regressed(matrix: Float64Array, wanted: Float64Array, found: Float64Array) -> Float64Array:
    both = np.einsum("gio,gio->go", found, matrix @ wanted)
    own = np.einsum("gio,gio->go", found, matrix @ found)
    scale = float(own.max(initial=0)) * 1e-9
    gain = np.where(own > scale, both / np.maximum(own, max(scale, 1e-300)), 1.0)
    return np.where(gain > 0, gain, 1.0)


def _layer_gain(found: Float64Array, task: _Task) -> float:
    matrix, price = task.importance.matrix, task.importance.output
    both = (np.einsum("gio,gio->go", found, matrix @ task.wanted) * price).sum()
    own = (np.einsum("gio,gio->go", found, matrix @ found) * price).sum()
    return float(both / own) if own > 0 and both > 0 else 1.0


def _folded(
    step: CrossbarStep, gain: Float64Array, offset: Float64Array, original: CrossbarStep
) -> CrossbarStep:
    """Gain and offset in the numbers that turn accumulators into values."""
    g, o = gain.reshape(-1), offset.reshape(-1)
    if np.all(g == 1.0) and not o.any():
        return step
    if isinstance(step.quantizer, DynamicInput) and o.any():
        o = np.zeros_like(o)  # its scale is only known at run time
    return replace(step, result=_scaled(step, original.result, g, o))


def _scaled(step: CrossbarStep, result: Result, gain: Float64Array, offset: Float64Array) -> Result:
    match result:
        case FloatResult() if len(result.scale) == len(gain):
            unit = float(getattr(step.quantizer, "scale", 0.0))
            bias = result.bias + offset * unit * result.scale.astype(np.float64)
            scale = result.scale * gain
            return replace(result, scale=scale.astype(np.float32), bias=bias.astype(np.float32))
        case RequantizedResult() if len(result.multiplier) == len(gain) and not offset.any():
            return replace(result, multiplier=(result.multiplier * gain).astype(np.float32))
        case _:
            raise MappingError(
                "its result leaves no room for gains and offsets",
                where=step.name,
                hint="correct with predistort, feedback or partner only",
            )
