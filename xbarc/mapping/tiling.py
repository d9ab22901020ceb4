"""Cutting a matrix into blocks, and giving blocks their place in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.errors import MappingError
from xbarc.mapping.encodings import Encoding
from xbarc.mapping.options import Tile
from xbarc.numerics.types import IntArray
from xbarc.target import Array


@dataclass(frozen=True, eq=False)
class Cut:
    """How the outputs of one group fall into logical blocks of columns.

    Attributes:
        outputs: outputs of each block; all alike but the last.
        column_bounds: first column of each physical block, and the end; a logical block that is
            wider than an array is cut into several.
    """

    outputs: tuple[int, ...]
    column_bounds: IntArray


def row_bounds(rows: int, array: Array, tile: Tile) -> IntArray:
    """First row of each row block, and the end: no row is ever left over."""
    blocks = -(-rows // array.rows)
    size = array.rows if tile == "fill" else -(-rows // blocks)
    return np.append(np.arange(0, rows, size), rows).astype(np.int32)


def segment_bounds(bounds: IntArray, active_rows: int) -> IntArray:
    """Cut row blocks into sets of rows that are active together."""
    starts = [np.arange(first, last, active_rows) for first, last in pairwise(bounds)]
    return np.append(np.concatenate(starts), bounds[-1]).astype(np.int32)


def cut_columns(
    outputs: int, slices: int, encoding: Encoding, array: Array, tile: Tile, where: str
) -> Cut:
    """Deal outputs over column blocks.

    Raises:
        MappingError: an array has too few columns for two columns that must be neighbours.
    """
    usable = array.columns + min(array.spare_columns, encoding.shared())
    most = _most_outputs(outputs, slices, encoding, usable)
    blocks = -(-outputs // most)
    size = most if tile == "fill" else -(-outputs // blocks)
    sizes = [size] * (outputs // size) + ([outputs % size] if outputs % size else [])
    bounds = [0]
    for count in sizes:
        bounds.extend(_pieces(bounds[-1], encoding, count, slices, usable, where))
    return Cut(tuple(sizes), np.array(bounds, dtype=np.int32))


def _most_outputs(outputs: int, slices: int, encoding: Encoding, usable: int) -> int:
    """Outputs that fit side by side; at least one, whose columns are then cut."""
    low, high = 1, outputs
    while low < high:
        middle = (low + high + 1) // 2
        if encoding.width(middle, slices) <= usable:
            low = middle
        else:
            high = middle - 1
    return low


def _pieces(
    start: int, encoding: Encoding, outputs: int, slices: int, usable: int, where: str
) -> list[int]:
    width = encoding.width(outputs, slices)
    if width <= usable:
        return [start + width]
    adjacent = width // encoding.pattern(outputs, slices).conversions
    step = usable - usable % adjacent
    if not step:
        raise MappingError(
            f"{encoding.name} needs {adjacent} neighbouring columns, an array has {usable}",
            where=where,
            hint="choose another encoding or a target with more columns",
        )
    return [start + min(width, at + step) for at in range(0, width, step)]
