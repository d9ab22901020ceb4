"""Cutting a matrix into blocks, and giving blocks their place in arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np

from xbarc.errors import MappingError
from xbarc.mapping.encodings import Encoding, Region
from xbarc.numerics import IntArray
from xbarc.options import Tile
from xbarc.target import Array


@dataclass(frozen=True, eq=False)
class ColumnPart:
    """Blocks of equal size and encoding, side by side.

    Attributes:
        outputs: outputs of each block.
    """

    encoding: Encoding
    blocks: int
    outputs: int


@dataclass(frozen=True, eq=False)
class Cut:
    """How the outputs of one group fall into logical blocks of columns.

    Attributes:
        parts: the blocks, in order.
        column_bounds: first column of each physical block, and the end; a logical block that is
            wider than an array is cut into several.
        conversion_bounds: first conversion of each physical block, and the end.
    """

    parts: tuple[ColumnPart, ...]
    column_bounds: IntArray
    conversion_bounds: IntArray

    def chain(self) -> int:
        """Outputs after which a chain of columns begins anew."""
        first = self.parts[0]
        return min(first.outputs, first.encoding.unit() if first.encoding.unit() > 1 else 1 << 30)

    def chains(self) -> list[int]:
        """Outputs of each chain of columns, in order."""
        lengths: list[int] = []
        for part in self.parts:
            unit = part.encoding.unit()
            step = min(part.outputs, unit) if unit > 1 else part.outputs
            block = [step] * (part.outputs // step)
            rest = [part.outputs % step] if part.outputs % step else []
            lengths += [*block, *rest] * part.blocks
        return lengths


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
    regions: Sequence[Region], slices: int, array: Array, tile: Tile, where: str
) -> Cut:
    """Distribute the outputs of each region over column blocks.

    Raises:
        MappingError: an array has too few columns for two columns that must be neighbours.
    """
    parts: list[ColumnPart] = []
    columns, conversions = [0], [0]
    for region in regions:
        encoding = region.encoding
        usable = array.columns + min(array.spare_columns, encoding.shared())
        for part in _parts(region, slices, usable, tile):
            widths, counts = _pieces(part, slices, usable, where)
            parts.append(part)
            columns.extend(widths * part.blocks)
            conversions.extend(counts * part.blocks)
    bounds = (np.cumsum(values).astype(np.int32) for values in (columns, conversions))
    return Cut(tuple(parts), *bounds)


def _parts(region: Region, slices: int, usable: int, tile: Tile) -> Iterator[ColumnPart]:
    """Blocks of equal size, and the smaller last one apart."""
    encoding, outputs = region.encoding, len(region.outputs)
    unit = encoding.unit()
    most = most_outputs(outputs, slices, encoding, usable)
    if most < outputs:  # whole segments, unless not even one fits
        most = (most - most % unit) or most
    blocks = -(-outputs // most)
    even = ceil(outputs / blocks / unit) * unit
    size = most if tile == "fill" else min(most, even)
    yield ColumnPart(encoding, outputs // size, size)
    if outputs % size:
        yield ColumnPart(encoding, 1, outputs % size)


def most_outputs(outputs: int, slices: int, encoding: Encoding, usable: int) -> int:
    """Outputs that fit side by side; at least one, whose columns are then cut."""
    low, high = 1, outputs
    while low < high:
        middle = (low + high + 1) // 2
        if encoding.width(middle, slices) <= usable:
            low = middle
        else:
            high = middle - 1
    return low


def _pieces(part: ColumnPart, slices: int, usable: int, where: str) -> tuple[list[int], list[int]]:
    """Columns and conversions of each physical block of a logical one."""
    encoding = part.encoding
    width = encoding.width(part.outputs, slices)
    conversions = encoding.pattern(part.outputs, slices).conversions
    if width <= usable:
        return [width], [conversions]
    adjacent = width // conversions
    step = usable - usable % encoding.adjacent()
    if not step:
        raise MappingError(
            f"{encoding.name} needs {encoding.adjacent()} neighbouring columns, an array has "
            f"{usable}",
            where=where,
            hint="choose another encoding or a target with more columns",
        )
    widths = [min(step, width - at) for at in range(0, width, step)]
    return widths, [size // adjacent for size in widths]
