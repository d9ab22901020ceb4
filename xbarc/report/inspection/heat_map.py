"""Pictures of cell levels, as pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.numerics import Float64Array, IntArray, UInt8Array
from xbarc.report.inspection.views import BlockView

# Light to dark, so that a print in grey keeps the order of levels.
_ANCHORS = ((247, 250, 252), (166, 206, 227), (65, 130, 190), (20, 64, 120), (8, 20, 48))
# Warm grey, away from the blues of levels: no level looks like a place without a cell.
REST = (205, 196, 188)
# Bounds the height of a picture; further row blocks are in the table.
_MOST_STRIPS = 1024


def block_picture(view: BlockView, side: int = 512) -> UInt8Array:
    """A block, one square a cell where `side` pixels allow; axes: y, x, colour."""
    levels = shrink(view.cells, -(-max(view.cells.shape) // side))
    return _enlarge(colour(levels / (view.levels - 1)), side)


@dataclass(frozen=True)
class BlockGrid:
    """How the blocks of a layer lie in a picture.

    Attributes:
        strips: group and row block of each row of blocks; those beyond the most are left out.
        blocks: column blocks.
        down, across: blocks of the picture along each side.
        factor: cells along the side of a square that becomes one pixel before `scale`.
        scale: pixels of the picture for each of those.
        height, width: of the largest block, in those squares.
        gap: pixels between blocks.
    """

    strips: tuple[tuple[int, int], ...]
    blocks: int
    down: int
    across: int
    factor: int
    scale: int
    height: int
    width: int
    gap: int

    @property
    def is_matrix(self) -> bool:
        """Whether blocks lie as in the matrix; otherwise they follow each other line by line."""
        return self.across == self.blocks

    @property
    def pitch(self) -> tuple[int, int]:
        """Pixels from a block to the next, down and across."""
        return self.height * self.scale + self.gap, self.width * self.scale + self.gap

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture, pixels."""
        return self.down * self.pitch[0] - self.gap, self.across * self.pitch[1] - self.gap


def block_grid(step: CrossbarStep, side: int = 1024) -> BlockGrid | None:
    """The grid of a layer: that of the matrix unless it would be long and thin.

    Otherwise blocks follow each other line by line: by group, row block, column block. None where
    the layer has no blocks.
    """
    tiling = step.tiling
    strips = [(g, i) for g in range(step.groups) for i in range(len(tiling.row_bounds) - 1)]
    strips = strips[:_MOST_STRIPS]
    blocks = len(tiling.column_bounds) - 1
    if not strips or not blocks:
        return None
    height, width = (int(np.diff(b).max()) for b in (tiling.row_bounds, tiling.column_bounds))
    down, across = _layout(len(strips), blocks, height, width)
    factor = max(1, -(-down * height // side), -(-across * width // side))
    height, width = -(-height // factor), -(-width // factor)
    scale = max(1, min(16, side // max(down * height, across * width)))
    # Between blocks of a few pixels gaps would be most of the picture.
    gap = 2 if min(height, width) * scale >= 8 else 0
    return BlockGrid(tuple(strips), blocks, down, across, factor, scale, height, width, gap)


def layer_picture(step: CrossbarStep, side: int = 1024) -> UInt8Array:
    """The blocks of a layer in their grid, with gaps where there is room; axes: y, x, colour.

    A block that is smaller than the others leaves a rest.
    """
    grid = block_grid(step, side)
    if grid is None:
        return np.full((1, 1, 3), 255, dtype=np.uint8)
    # A generator: cells of one row block are unpacked at a time, whatever the layer's size.
    tiles = (tile for strip in grid.strips for tile in _strip(step, *strip, grid.factor))
    sheet = np.full((*grid.size, 3), REST, dtype=np.uint8)
    for index, tile in enumerate(tiles):
        y, x = divmod(index, grid.across)
        pixels = colour(tile).repeat(grid.scale, axis=0).repeat(grid.scale, axis=1)
        top, left = y * grid.pitch[0], x * grid.pitch[1]
        sheet[top : top + len(pixels), left : left + pixels.shape[1]] = pixels
    return sheet


def _layout(strips: int, blocks: int, height: int, width: int) -> tuple[int, int]:
    """Blocks down and across."""
    aspect = strips * height / (blocks * width)
    # Our choice: up to three to one a picture still fits a page beside text.
    if 1 / 3 <= aspect <= 3:
        return strips, blocks
    across = max(1, round(math.sqrt(strips * blocks * height / width)))
    return -(-strips * blocks // across), across


def _strip(step: CrossbarStep, group: int, block: int, factor: int) -> Iterator[Float64Array]:
    """Levels from 0 to 1 of the blocks of one row block; one strip is unpacked at a time."""
    first, last = (int(b) for b in step.tiling.row_bounds[block : block + 2])
    cells = step.cells.unpack((group, slice(first, last)))
    bounds = step.tiling.column_bounds
    top = (1 << step.cells.bits) - 1
    for left, right in pairwise(bounds):
        yield shrink(cells[:, left:right], factor) / top


def shrink(cells: UInt8Array, factor: int) -> Float64Array:
    """Means over squares of `factor` cells; the last ones may be smaller."""
    if factor <= 1 or not cells.size:
        return cells.astype(np.float64)
    rows = np.arange(0, cells.shape[0], factor)
    columns = np.arange(0, cells.shape[1], factor)
    sums = np.add.reduceat(np.add.reduceat(cells, rows, axis=0, dtype=np.int64), columns, axis=1)
    # By what is there: the last square may hold fewer cells.
    areas = np.outer(_lengths(rows, cells.shape[0]), _lengths(columns, cells.shape[1]))
    means: Float64Array = sums / areas
    return means


def _lengths(starts: IntArray, end: int) -> IntArray:
    return np.diff(starts, append=end)


def colour(shares: Float64Array) -> UInt8Array:
    """Colours of numbers from 0 (light) to 1 (dark); axes: those of `shares`, colour."""
    at = np.linspace(0.0, 1.0, len(_ANCHORS))
    channels = [np.interp(shares, at, [anchor[c] for anchor in _ANCHORS]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def level_colours(levels: int) -> list[str]:
    """Colour of each of so many levels, as CSS writes it."""
    found = colour(np.linspace(0.0, 1.0, levels))
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in found.tolist()]


def _enlarge(pixels: UInt8Array, side: int) -> UInt8Array:
    """Whole-number enlargement of small pictures."""
    # Whole numbers, so that squares stay sharp; 16 pixels a cell are enough to point at.
    factor = max(1, min(16, side // max(1, *pixels.shape[:2])))
    return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
