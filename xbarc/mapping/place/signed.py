"""Orders by what a loss does to the answer, sign included.

With the outputs' own losses `k[o]` (the share of each output that does not arrive) known, and a
price `pull[o]` for a little more of each, rows and columns are worth what they contribute to those
outputs. A row whose loss makes up for that of others has a negative worth, and goes far away.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from xbarc.circuit import Importance, real_weights
from xbarc.ir import CrossbarStep, conversion_matrix, output_matrix
from xbarc.mapping.place.assign import assign_sorted
from xbarc.mapping.place.layer import (
    arrange_columns,
    cells_of,
    exchangeable_rows,
    fill_gaps,
    means,
)
from xbarc.mapping.place.permute import permute_columns, permute_rows
from xbarc.mapping.place.units import column_lines
from xbarc.numerics import BoolArray, Float64Array


def output_losses(
    wanted: Float64Array, found: Float64Array, importance: Importance
) -> Float64Array:
    """Share of each output that does not arrive: regression of the output; axes: group, output."""
    energy = np.einsum("gio,gio->go", wanted, importance.matrix @ wanted)
    lost = np.einsum("gio,gio->go", wanted, importance.matrix @ (wanted - found))
    return _quotient(lost, energy)


def cell_worth(step: CrossbarStep, pull: Float64Array, importance: Importance) -> Float64Array:
    """What losing all of a cell adds to the divergence; axes: group, row, column.

    Args:
        step: the layer.
        pull: price of a loss of each output; axes: group, output.
        importance: of the layer's inputs.
    """
    levels = cells_of(step)
    weights = real_weights(step, levels)
    joined = importance.matrix @ weights
    energy = np.einsum("gio,gio->go", weights, joined)
    price = (joined * _quotient(pull, energy)[:, None, :])[:, step.tiling.row_input]
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    for group in range(step.groups):
        for block, (first, last) in enumerate(pairwise(step.tiling.row_bounds.tolist())):
            r = output_matrix(step.periphery, group, block, step.outputs, step.conversions)
            levels[group, first:last] *= np.asarray((r @ a).T @ price[group, first:last].T).T
    return levels


def _quotient(numerator: Float64Array, denominator: Float64Array) -> Float64Array:
    """Numbers over others; 0 where these are nothing beside the largest."""
    # Outputs that are nearly silent have no share to speak of, and would divide noise by noise.
    least = float(denominator.max(initial=0.0)) * 1e-9
    known = denominator > least
    found: Float64Array = np.where(known, numerator / np.where(known, denominator, 1.0), 0.0)
    return found


def place_losses(step: CrossbarStep, levels: Float64Array) -> Float64Array:
    """Share that each place loses, mean over groups; NaN where nothing conducts."""
    written = cells_of(step)
    lost = np.where(written > 0, 1 - levels / np.maximum(written, 1), np.nan)
    return means(lost, 0)


def rows_by_worth(step: CrossbarStep, worth: Float64Array, losses: Float64Array) -> CrossbarStep:
    """Rows that are worth most to the wordlines that lose least.

    Args:
        step: the layer.
        worth: of its cells; axes: group, row, column.
        losses: of its places; axes: row, column.
    """
    weight, price = worth.sum(axis=(0, 2)), fill_gaps(means(losses, 1))
    order = np.arange(len(weight))
    for first, last in exchangeable_rows(step):
        found = assign_sorted(weight[first:last], price[first:last])
        order[first + found.start] = np.arange(first, last)
    return permute_rows(step, order)


def some_rows(
    step: CrossbarStep, worth: Float64Array, losses: Float64Array, chosen: BoolArray
) -> CrossbarStep:
    """As `rows_by_worth` among the chosen rows; the others stay. Axis of `chosen`: row."""
    weight, price = worth.sum(axis=(0, 2)), fill_gaps(means(losses, 1))
    order = np.arange(len(weight))
    for first, last in exchangeable_rows(step):
        here = first + np.flatnonzero(chosen[first:last])
        found = assign_sorted(weight[here], price[here])
        # Only the chosen ones change places among themselves.
        order[here[found.start]] = here
    return permute_rows(step, order)


def some_columns(
    step: CrossbarStep, worth: Float64Array, losses: Float64Array, chosen: BoolArray
) -> CrossbarStep:
    """As `columns_by_worth` among the chosen columns' units of the commonest width.

    Columns that were grouped by converter stay as they are.
    """
    if step.tiling.column_order is not None:
        return step
    weight, price = worth.sum(axis=(0, 1)), fill_gaps(means(losses, 0))
    order = np.arange(step.cells.columns)
    for line in column_lines(step):
        widths = [len(unit) for unit in line]
        # Units of one width exchange without moving others; sorted, so that equal counts have one
        # answer.
        width = max(sorted(set(widths)), key=widths.count)
        units = np.array([u for u in line if len(u) == width and chosen[u[0]]], dtype=np.int64)
        if len(units) > 1:
            found = assign_sorted(weight[units].sum(axis=1), price[units].sum(axis=1))
            order[units[found.start]] = units
    return permute_columns(step, order)


def columns_by_worth(
    step: CrossbarStep, worth: Float64Array, losses: Float64Array, shared: int
) -> CrossbarStep:
    """Units that are worth most to the bitlines that lose least.

    Args:
        step: the layer.
        worth: of its cells; axes: group, row, column.
        losses: of its places; axes: row, column.
        shared: bitlines of a converter.
    """
    return arrange_columns(step, worth.sum(axis=0), means(losses, 0), shared)[0]
