"""Candidates of a fit: steps on a grid, integers by plain rounding or by error feedback."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from xbarc.ir import IntWeight, MatrixLayer, Scatter, SecondMoments
from xbarc.mapping.chains import Arrangement, arrange, plain_arrangement
from xbarc.mapping.encodings import Encoding, Region, encoding_of
from xbarc.mapping.fitting.feedback import InputBlock, blocks, feed_back, sweep
from xbarc.mapping.fitting.grids import Alone, Coupled, RowGrid, Shifted
from xbarc.mapping.fitting.quality import product_sums
from xbarc.mapping.fitting.scales import FACTORS, FINE_FACTORS, rounding_steps, spread
from xbarc.mapping.tiling import Cut, cut_columns
from xbarc.numerics import AnyArray, Float64Array
from xbarc.options import MapOptions
from xbarc.target import Target

# Multiplications of all candidate steps together. Wider layers take the step of plain rounding.
_SEARCH_WORK = 4e9
# Multiplications of all sweeps of a layer together; very wide layers get none.
_SWEEP_WORK = 2e10
# Sweeps end by `_WORTH_A_SWEEP` before that; this bounds those that creep.
_SWEEPS = 16
# Another sweep has to take half a per cent off the error.
_WORTH_A_SWEEP = 0.995
# Up to 5 bits: see `_is_worth_a_search`.
_FEW_LEVELS = 32
# Rows that choose the one factor of a layer on chains, evenly spread: each of 23 candidates runs
# the dynamic programme on them.
_SAMPLE_ROWS = 256
# Steps from 1/23 of the outputs' spread to twice it, 19 % apart.
_CHAIN_STEPS = 2.0 ** np.linspace(-4.5, 1.0, 23)


@dataclass(frozen=True, eq=False)
class Found:
    """Candidate integers, with axes group, input, output.

    Attributes:
        steps: real value of one step, the digital gain included; axes: group, output.
        offset: added to the products, in real units; axes as `steps`.
        grid: what the integers were chosen from.
    """

    integers: Float64Array
    steps: Float64Array
    offset: Float64Array
    grid: RowGrid

    @property
    def weights(self) -> Float64Array:
        """The real weights that the integers stand for."""
        return self.integers * self.steps[:, None]


_Judged = tuple[Found, Float64Array]


@dataclass(frozen=True, eq=False)
class Task:
    """What the search knows of a layer.

    Attributes:
        weights: exact weights; axes: group, input, output.
        importance: variance of each input, or ones; axes: group, input.
        channel: outputs with equal numbers share a step; axis: output of all groups. None where
            each has its own.
        low, high: integers of an output that stands alone.
        levels: levels of a column.
        cut, places: blocks, order and signs where outputs share columns, otherwise None.
        step: the one step of all outputs, where it is given: no gain is free then.
    """

    weights: Float64Array
    importance: Float64Array
    channel: AnyArray | None
    low: int
    high: int
    is_shifted: bool
    levels: int
    cut: Cut | None
    places: Arrangement | None
    step: float | None = None


def make_task(
    layer: MatrixLayer,
    plain: MatrixLayer,
    target: Target,
    options: MapOptions,
    moments: SecondMoments | None,
) -> Task:
    """What is searched for, and in which range."""
    weights = np.asarray(layer.weight.tensor.load(), dtype=np.float64)
    importance = _importance(weights, moments)
    channel = output_channels(layer) if isinstance(layer.geometry, Scatter) else None
    if options.weight_slices is None:
        bits = plain.weight.format.bits if isinstance(plain.weight, IntWeight) else 8
        top = (1 << (bits - 1)) - 1
        return Task(weights, importance, channel, -top, top, False, 0, None, None)
    encoding = encoding_of(options)
    low, high = encoding.reach(target.cell.bits, options.weight_slices)
    levels = 1 << (target.cell.bits * options.weight_slices)
    cut, places = None, None
    if _is_coupled(encoding):
        everything = (Region(encoding, np.arange(layer.outputs)),)
        cut = cut_columns(everything, options.weight_slices, target.array, options.tile, layer.name)
        places = _places(encoding, weights, importance, (cut, levels))
    return Task(weights, importance, channel, low, high, encoding.is_shifted(), levels, cut, places)


def _is_coupled(encoding: Encoding) -> bool:
    forest = encoding.forest(2)
    return forest is not None and not forest.is_matching


def output_channels(layer: MatrixLayer) -> AnyArray:
    """Output channel of each output: kernel positions of one channel share a scale."""
    outputs = np.arange(layer.groups * layer.outputs)
    if not isinstance(layer.geometry, Scatter):
        return outputs
    return outputs // prod(layer.geometry.kernel)


def _importance(weights: Float64Array, moments: SecondMoments | None) -> Float64Array:
    if moments is None:
        return np.ones(weights.shape[:2])
    mean = moments.input_sum / moments.count
    square = np.concatenate(
        [np.diagonal(part, axis1=1, axis2=2) for part in moments.inputs], axis=1
    )
    variance: Float64Array = np.maximum(square / moments.count - mean**2, 0)
    # An input that hardly varies on the data must not have weights that nobody looks at.
    floor: Float64Array = 0.01 * variance.mean(axis=1, keepdims=True)
    return variance + floor + np.finfo(np.float64).tiny


def _places(
    encoding: Encoding, weights: Float64Array, importance: Float64Array, chains: tuple[Cut, int]
) -> Arrangement:
    """Order and sign for chains; a bias column asks for neither."""
    outputs = weights.shape[2]
    if not encoding.is_chained():
        return plain_arrangement(np.arange(outputs))
    scaled = weights / spread(weights, importance)[:, None] * np.sqrt(importance)[:, :, None]
    cut, levels = chains
    return arrange(scaled.reshape(-1, outputs), cut.chain(), levels=levels)


def _grid(task: Task, steps: Float64Array) -> RowGrid:
    if task.cut is not None and task.places is not None:
        return Coupled(task.cut.parts, task.places, task.levels)
    if not task.is_shifted:
        return Alone(task.low, task.high)
    return _shift_grid(task, task.weights / steps[:, None])


def _shift_grid(task: Task, scaled: Float64Array) -> Shifted:
    """Around the middle of each output's range, with the parity that leaves less error."""
    top = task.levels - 1
    k = np.floor(top - _middle(scaled))
    errors = []
    # The numbers 2 m - k are all even or all odd: two parities, and only trying tells.
    for shift in (k, k + 1):
        nearest = Shifted(top, shift[:, None]).nearest(np.ones((1, 1)))(scaled)
        errors.append(np.einsum("gi,gio->go", task.importance, (scaled - nearest) ** 2))
    return Shifted(top, np.where(errors[1] < errors[0], k + 1, k))


def _middle(weights: Float64Array) -> Float64Array:
    middle: Float64Array = (weights.max(axis=1) + weights.min(axis=1)) / 2
    return middle


def _base_steps(task: Task) -> Float64Array:
    """Steps of least error of plain rounding, where they are not given."""
    if task.step is not None:
        return np.full((len(task.weights), task.weights.shape[2]), task.step)
    if task.cut is not None:
        return _chain_steps(task)
    if not task.is_shifted:
        steps = rounding_steps(task.weights, task.importance, task.low, task.high)
    else:  # half steps around the middle of each output's range
        middle = _middle(task.weights)
        steps = _odd_steps(task.weights - middle[:, None], task.importance, task.levels - 1)
        flat = (task.weights == middle[:, None]).all(axis=1)  # the offset alone holds it
        steps = np.where(flat, np.where(middle != 0, np.abs(middle), 1.0), steps)
    return _share_steps(task, steps)


def _odd_steps(weights: Float64Array, importance: Float64Array, top: int) -> Float64Array:
    """Half steps for `2 m - top`: the numbers -top, 2 - top, ..., top."""
    largest = np.abs(weights).max(axis=1, initial=0)
    full = np.where(largest > 0, largest, 1.0) / max(top, 1)
    best, least = full.copy(), np.full(full.shape, np.inf)
    for ratio in 2.0 ** np.linspace(-2.5, 0.1, 41):
        steps = full * ratio
        scaled = weights / steps[:, None]
        nearest = 2 * np.clip(np.rint((scaled + top) / 2), 0, top) - top
        cost = np.einsum("gi,gio->go", importance, (scaled - nearest) ** 2) * steps**2
        better = cost < least
        best[better], least[better] = steps[better], cost[better]
    return best


def _chain_steps(task: Task) -> Float64Array:
    """One factor for the layer times the spread of each output."""
    scale = _share_steps(task, spread(task.weights, task.importance))
    rows = np.linspace(0, task.weights.shape[1] - 1, _SAMPLE_ROWS).astype(int)
    rows = np.unique(rows)
    sample, weight = task.weights[:, rows], task.importance[:, rows]
    grid = _grid(task, scale)
    best, least = scale, np.inf
    for ratio in _CHAIN_STEPS:
        steps = scale * ratio
        found = _all_rows(grid, sample / steps[:, None], steps)
        error = np.einsum("gi,gio->", weight, (sample - found * steps[:, None]) ** 2)
        if error < least:
            best, least = steps, float(error)
    return best


def _all_rows(grid: RowGrid, scaled: Float64Array, steps: Float64Array) -> Float64Array:
    """Every row by itself; axes: group, input, output."""
    nearest = grid.nearest(steps**2)
    if isinstance(grid, Shifted):  # whose offsets have an axis for the group
        return np.stack([nearest(scaled[:, row]) for row in range(scaled.shape[1])], axis=1)
    return nearest(scaled.reshape(-1, scaled.shape[2])).reshape(scaled.shape)


def _share_steps(task: Task, steps: Float64Array) -> Float64Array:
    """The largest step of the outputs that must share one."""
    if task.channel is None:
        return steps
    by_channel = np.zeros(int(task.channel.max(initial=-1)) + 1)
    np.maximum.at(by_channel, task.channel, steps.reshape(-1))
    return by_channel[task.channel].reshape(steps.shape)


def plain_fit(task: Task) -> Found:
    """Every row rounded by itself, at the steps that suit it best."""
    steps = _base_steps(task)
    grid = _grid(task, steps)
    integers = _all_rows(grid, task.weights / steps[:, None], steps)
    return Found(integers, steps, np.zeros_like(steps), grid)


def fit_with_feedback(task: Task, moments: SecondMoments) -> Found:
    """Error feedback at several steps, and sweeps from the best.

    The best is chosen for each output by itself, or for a layer whose outputs share columns.
    """
    parts = blocks(moments, task.weights)
    base = _base_steps(task)
    best = _try_steps(task, moments, parts, base)
    if task.step is None and _is_worth_a_search(task, parts):
        for factor in FACTORS:
            best = _better(task, best, _try_steps(task, moments, parts, base * factor))
        middle = best[0].steps
        for factor in FINE_FACTORS:
            best = _better(task, best, _try_steps(task, moments, parts, middle * factor))
    return _sweep_on(task, moments, best[0], parts)


def _try_steps(
    task: Task, moments: SecondMoments, parts: list[InputBlock], steps: Float64Array
) -> _Judged:
    """Error feedback at these steps, and the error that is left of each output."""
    grid = _grid(task, steps)
    integers = np.concatenate([feed_back(part, steps, grid) for part in parts], axis=1)
    found = _with_line(task, moments, integers, steps, grid)
    return found, _error(moments, found)


def refine(task: Task, moments: SecondMoments, found: Found) -> Found:
    """Sweeps over other moments, from integers that are already good."""
    return _sweep_on(task, moments, found, blocks(moments, task.weights))


def _is_worth_a_search(task: Task, parts: list[InputBlock]) -> bool:
    """Few levels ask for the right step; many are as good at any, and wide layers take long."""
    few = task.levels <= _FEW_LEVELS if task.levels else task.high < _FEW_LEVELS
    return few and _work(parts) * len(FACTORS) < _SEARCH_WORK


def _work(parts: list[InputBlock]) -> float:
    return float(sum(part.target.size * part.target.shape[1] for part in parts))


def _error(moments: SecondMoments, found: Found) -> Float64Array:
    ones = np.ones_like(found.offset)
    return product_sums(moments, found.weights).error(ones, found.offset)


def _better(task: Task, old: _Judged, new: _Judged) -> _Judged:
    """Output by output where outputs stand alone, as a whole where they share columns."""
    if task.cut is not None:
        return new if new[1].sum() < old[1].sum() else old
    wins = new[1] < old[1]
    mixed = Found(
        np.where(wins[:, None], new[0].integers, old[0].integers),
        np.where(wins, new[0].steps, old[0].steps),
        np.where(wins, new[0].offset, old[0].offset),
        old[0].grid.mix_with(new[0].grid, wins),
    )
    return mixed, np.where(wins, new[1], old[1])


def _sweep_on(task: Task, moments: SecondMoments, found: Found, parts: list[InputBlock]) -> Found:
    """Best integers row by row, and the gain and offset that then suit, in turns."""
    # Blocks of a wide layer have covariances of their own, and are swept apart.
    bounds = moments.bounds.tolist()
    pieces = [found.integers[:, first:last] for first, last in pairwise(bounds)]
    least = np.inf
    for _ in range(min(_SWEEPS, int(_SWEEP_WORK / max(1.0, _work(parts))))):
        pieces = [
            sweep(part, found.steps, piece, found.grid)
            for part, piece in zip(parts, pieces, strict=True)
        ]
        found = _with_line(task, moments, np.concatenate(pieces, axis=1), found.steps, found.grid)
        error = float(_error(moments, found).sum())
        if error > _WORTH_A_SWEEP * least:
            break
        least = error
    return found


def _with_line(
    task: Task, moments: SecondMoments, integers: Float64Array, steps: Float64Array, grid: RowGrid
) -> Found:
    sums = product_sums(moments, integers * steps[:, None])
    if task.step is not None:
        return Found(integers, steps, sums.y - sums.z, grid)
    gain, offset = sums.line()
    return Found(integers, steps * gain, offset, grid)
