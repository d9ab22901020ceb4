"""Columns that must stay neighbours: pairs, and chains of encodings that subtract neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array

from xbarc.ir import CrossbarStep
from xbarc.lazy import lazy_module
from xbarc.numerics import BoolArray, Int64Array, IntArray

if TYPE_CHECKING:
    from scipy.sparse import csgraph
else:
    csgraph = lazy_module("scipy.sparse.csgraph")


def column_units(step: CrossbarStep) -> list[list[Int64Array]]:
    """Units of each column block: columns in their order, which must stay side by side.

    Joined are the columns of one conversion, and neighbours that one output reads with opposite
    entries: a pair shares its attenuation only where it shares its place.
    """
    joined = _joined_with_next(step)
    bounds = [int(b) for b in step.tiling.column_bounds]
    joined[np.asarray(bounds[1:]) - 1] = False
    starts = np.flatnonzero(~np.concatenate([[False], joined[:-1]]))
    ends = np.append(starts[1:], len(joined))
    units: list[list[Int64Array]] = [[] for _ in bounds[1:]]
    block = np.searchsorted(bounds, starts, side="right") - 1
    for start, end, owner in zip(starts.tolist(), ends.tolist(), block.tolist(), strict=True):
        units[owner].append(np.arange(start, end))
    return units


def column_lines(step: CrossbarStep) -> list[list[Int64Array]]:
    """Units that may change places with each other: those of all blocks, where nothing forbids it.

    Units of one width fit any block; conversions of several columns belong to theirs.
    """
    blocks = column_units(step)
    widths = {len(unit) for units in blocks for unit in units}
    if step.periphery.a_sign.size or len(widths) != 1:
        return blocks
    width = widths.pop()
    if any(int(bound) % width for bound in step.tiling.column_bounds):
        return blocks
    return [[unit for units in blocks for unit in units]]


def _joined_with_next(step: CrossbarStep) -> BoolArray:
    columns, p = step.cells.columns, step.periphery
    joined = np.zeros(columns, dtype=bool)
    if p.a_sign.size:
        label = _components(p.a_conversion, p.a_column, step.conversions, columns)
        joined[:-1] = label[:-1] == label[1:]
        return joined
    # digital factors of columns say nothing of which of them are a pair
    value = replace(p, column_scale=None).r_value[0, 0]
    kept = np.flatnonzero(value)
    output, column, value = p.r_output[kept], p.r_conversion[kept], value[kept]
    order = np.lexsort((column, output))
    output, column, value = output[order], column[order], value[order]
    pair = (np.diff(output) == 0) & (np.diff(column) == 1) & (value[1:] == -value[:-1])
    joined[column[:-1][pair]] = True
    return joined


def _components(
    conversion: IntArray, column: IntArray, conversions: int, columns: int
) -> Int64Array:
    """Equal numbers for columns that conversions tie together."""
    size = conversions + columns
    graph = coo_array((np.ones(len(column)), (conversion, conversions + column)), (size, size))
    label = csgraph.connected_components(graph, directed=False)[1][conversions:]
    return np.asarray(label, dtype=np.int64)
