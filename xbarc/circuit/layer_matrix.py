"""The matrix that real-valued cells stand for, and its error."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.ir import CrossbarStep, conversion_matrix, output_matrix
from xbarc.numerics import AnyArray, Float64Array


def real_weights(step: CrossbarStep, levels: AnyArray) -> Float64Array:
    """The matrix that the cells stand for, without converters; axes: group, input, output.

    Args:
        step: gives `R`, `A` and `beta`.
        levels: whole or real, in level units; axes: group, row, column.
    """
    weights = np.zeros((step.groups, step.inputs, step.outputs))
    beta = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    for group in range(step.groups):
        for block, (first, last) in enumerate(pairwise(step.tiling.row_bounds.tolist())):
            r = output_matrix(step.periphery, group, block, step.outputs, step.conversions)
            # Digital joins first: `R A` is small and the same for all rows of a block.
            part = np.asarray((r @ a) @ levels[group, first:last].T).T
            weights[group, step.tiling.row_input[first:last]] = part + beta[group]
    return weights


@dataclass(frozen=True, eq=False)
class Importance:
    """What a layer's errors cost; axes: group first.

    Attributes:
        matrix: mean of `x x^T` of the inputs; axes: group, input, input.
        mean: mean input; axes: group, input.
        output: cost of a unit of squared error; axes: group, output.
    """

    matrix: Float64Array
    mean: Float64Array
    output: Float64Array

    @property
    def second(self) -> Float64Array:
        """Mean square of each input; axes: group, input."""
        return np.diagonal(self.matrix, axis1=1, axis2=2)


def weight_error(wanted: Float64Array, found: Float64Array, importance: Importance) -> float:
    """Expected cost of the difference of two matrices; axes: group, input, output."""
    change = found - wanted
    energy = np.einsum("gio,gio->go", change, importance.matrix @ change)
    return float((energy * importance.output).sum())


def column_shares(step: CrossbarStep, levels: AnyArray, importance: Importance) -> Float64Array:
    """Cost of losing each cell's contribution, on its own; axes: group, row, column.

    `output * R**2 * mean(x**2) * level**2`: what sorting ranks rows and columns by.
    """
    second = importance.second[:, step.tiling.row_input]
    square = np.square(levels, dtype=np.float64) * second[:, :, None]
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    for group in range(step.groups):
        for block, (first, last) in enumerate(pairwise(step.tiling.row_bounds.tolist())):
            r = output_matrix(step.periphery, group, block, step.outputs, step.conversions)
            joined = (r @ a).astype(np.float64).power(2)
            square[group, first:last] *= np.asarray(joined.T @ importance.output[group])
    return square
