"""Error feedback: the rows still to come compensate each row's rounding error.

After GPTQ (Frantar et al., arXiv 2210.17323), which does it column by column for one rounding rule;
here any grid of a row plugs in, and what is aimed at are the exact network's products on the inputs
of the compiled prefix. The sweeps afterwards are ours: row by row, the best integers with all other
rows as they are, which can only lower the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from xbarc.ir import SecondMoments
from xbarc.lazy import lazy_module
from xbarc.mapping.fitting.grids import Nearest, RowGrid
from xbarc.numerics import Float64Array

if TYPE_CHECKING:
    from scipy import linalg
else:
    linalg = lazy_module("scipy.linalg")

DAMPING = 0.01
"""Share of the mean variance added to each input's; GPTQ's value."""
# Rows whose errors are told to all later rows by one matrix product, as in GPTQ, which uses 128
# too. The sums are the same, up to rounding.
_LAZY = 128


@dataclass(frozen=True, eq=False)
class InputBlock:
    """Inputs of one block of a wide layer, all groups.

    Attributes:
        covariance: of the inputs; axes: group, input, input.
        target: weights that give the exact products best; axes: group, input, output.
        factor: upper Cholesky factor of the inverse of the damped covariance; axes: group, input,
            input.
    """

    covariance: Float64Array
    target: Float64Array
    factor: Float64Array


def blocks(moments: SecondMoments, weights: Float64Array) -> list[InputBlock]:
    """Covariances and targets of each block of inputs.

    Covariances, not plain second moments: what is constant over the inputs goes into the digital
    offset of each output. The target solves `(C + d) T = cov(x, y) + d W`.

    Args:
        moments: over the calibration data.
        weights: exact weights; axes: group, input, output.
    """
    found = []
    for number, (first, last) in enumerate(pairwise(moments.bounds.tolist())):
        rows = slice(first, last)
        mean = moments.input_sum[:, rows] / moments.count
        covariance = moments.inputs[number] / moments.count - mean[:, :, None] * mean[:, None]
        own = moments.target_sum[number] / moments.count
        cross = moments.targets[:, rows] / moments.count - mean[:, :, None] * own[:, None]
        found.append(_block(covariance, cross, weights[:, rows]))
    return found


def _block(covariance: Float64Array, cross: Float64Array, weights: Float64Array) -> InputBlock:
    groups, size = covariance.shape[:2]
    damping = DAMPING * np.trace(covariance, axis1=1, axis2=2) / size
    # Inputs that never change have no variance at all, and any damping makes the matrix regular.
    damping = np.where(damping > 0, damping, 1.0)
    target, factor = np.empty_like(weights), np.empty_like(covariance)
    for g in range(groups):
        damped = covariance[g] + damping[g] * np.eye(size)
        lower = linalg.cholesky(damped, lower=True, check_finite=False)
        inverse = linalg.solve_triangular(lower, np.eye(size), lower=True, check_finite=False)
        right = cross[g] + damping[g] * weights[g]
        target[g] = inverse.T @ (inverse @ right)
        # The rows of this factor are what GPTQ divides by and multiplies with: the inverse of the
        # covariance of the rows still to come, at every row, without inverting again.
        factor[g] = linalg.cholesky(inverse.T @ inverse, lower=False, check_finite=False)
    return InputBlock(covariance, target, factor)


def feed_back(block: InputBlock, steps: Float64Array, grid: RowGrid) -> Float64Array:
    """Integers for a block, the error of each row fed into the rows after it.

    Args:
        block: its target is in real units.
        steps: real value of one step; axes: group, output.
        grid: what a row of cells can hold.

    Returns:
        Axes: group, input, output.
    """
    nearest = grid.nearest(steps**2)
    left = block.target / steps[:, None]
    size = left.shape[1]
    found = np.empty_like(left)
    for start in range(0, size, _LAZY):
        stop = min(size, start + _LAZY)
        errors = np.empty((left.shape[0], stop - start, left.shape[2]))
        for row in range(start, stop):
            found[:, row] = nearest(left[:, row])
            pivot = block.factor[:, row, row, None]
            # Divided once here, it is multiplied into all rows to come.
            error = (left[:, row] - found[:, row]) / pivot
            errors[:, row - start] = error
            ahead = block.factor[:, row, row + 1 : stop]
            left[:, row + 1 : stop] -= ahead[:, :, None] * error[:, None]
        beyond = block.factor[:, start:stop, stop:].transpose(0, 2, 1)
        left[:, stop:] -= beyond @ errors
    return found


def sweep(
    block: InputBlock, steps: Float64Array, found: Float64Array, grid: RowGrid
) -> Float64Array:
    """One round of best integers row by row; the error never grows.

    What a changed row does to the rows of its own run is told at once, to all others by one
    product a run.
    """
    nearest = grid.nearest(steps**2)
    better = found.copy()
    slope = block.covariance @ (block.target / steps[:, None] - better)
    for start in range(0, better.shape[1], _LAZY):
        rows = slice(start, start + _LAZY)
        before = better[:, rows].copy()
        own = slope[:, rows].copy()
        _sweep_run(block.covariance[:, rows, rows], own, better[:, rows], nearest)
        slope -= block.covariance[:, :, rows] @ (better[:, rows] - before)
    return better


def _sweep_run(
    covariance: Float64Array, slope: Float64Array, integers: Float64Array, nearest: Nearest
) -> None:
    """Best integers of a run of rows, in place; `slope` follows."""
    for row in range(integers.shape[1]):
        variance = covariance[:, row, row, None]
        # An input that never changes says nothing about its weight; it keeps its integer.
        live = variance > 0
        aim = integers[:, row] + np.where(live, slope[:, row] / np.where(live, variance, 1), 0)
        chosen = np.where(live, nearest(aim), integers[:, row])
        change = chosen - integers[:, row]
        if change.any():
            slope -= covariance[:, :, row, None] * change[:, None]
            integers[:, row] = chosen
