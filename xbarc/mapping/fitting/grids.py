"""What a row of cells can hold: integers an output, alone or coupled along a forest of columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xbarc.mapping.chains import Arrangement
from xbarc.mapping.forests import Forest, RowEncoder, encode
from xbarc.mapping.tiling import ColumnPart
from xbarc.numerics import BoolArray, Float64Array

Nearest = Callable[[Float64Array], Float64Array]
"""Integers for targets in units of each output's step; axes: group, output."""
# Up to here, encoders that are prepared once for each group are called row by row; above, one call
# encodes all rows. On chains of 31 to 64 outputs one row takes a third to a half of the time of a
# call, three rows nearly the same, and 16 rows 1.3 to 2.1 times as long. The integers are the same.
_FEW_ROWS = 3


class RowGrid(Protocol):
    """Integers nearest to rows of numbers, as far as the cells can hold them together."""

    def nearest(self, importance: Float64Array) -> Nearest:
        """A function from targets to integers.

        Args:
            importance: what a squared deviation of each output counts; axes: group or 1, output.
        """

    def mix_with(self, other: RowGrid, chosen: BoolArray) -> RowGrid:
        """This grid for some outputs, the other for those chosen; axes: group, output."""


@dataclass(frozen=True)
class Alone(RowGrid):
    """Every output takes any integer from low to high."""

    low: int
    high: int

    def nearest(self, importance: Float64Array) -> Nearest:
        """Rounded half to even and clipped.

        By two ufuncs: `np.clip` takes as long again to see what it was given, once for each row.
        """
        del importance
        low, high = np.float64(self.low), np.float64(self.high)
        return lambda rows: np.minimum(np.maximum(np.rint(rows), low), high)

    def mix_with(self, other: RowGrid, chosen: BoolArray) -> RowGrid:
        """This grid: every output has the same integers to choose from."""
        del other, chosen
        return self


@dataclass(frozen=True, eq=False)
class Shifted(RowGrid):
    """Every output takes `2 m - k` with `m` from 0 to top, and a `k` of its own.

    Steps are halves, so that two levels may stand for -1 and +1.

    Attributes:
        k: axes: group, output.
    """

    top: int
    k: Float64Array

    def nearest(self, importance: Float64Array) -> Nearest:
        """The nearest number of each output's parity."""
        del importance
        return lambda rows: 2 * np.clip(np.rint((rows + self.k) / 2), 0, self.top) - self.k

    def mix_with(self, other: RowGrid, chosen: BoolArray) -> RowGrid:
        """Offsets from both."""
        if not isinstance(other, Shifted):
            raise TypeError("grids of two kinds")
        return Shifted(self.top, np.where(chosen, other.k, self.k))


@dataclass(frozen=True, eq=False)
class Coupled(RowGrid):
    """Outputs share columns: the best levels of a row by dynamic programming on each block.

    Attributes:
        parts: blocks of the layer.
        places: order and sign of the outputs.
        levels: levels of a column.
    """

    parts: tuple[ColumnPart, ...]
    places: Arrangement
    levels: int

    def nearest(self, importance: Float64Array) -> Nearest:
        """The representable row of least weighted squared deviation."""
        order, signs = self.places.order, self.places.signs.astype(np.float64)
        blocks = self._blocks(importance[:, order])

        def rows_nearest(rows: Float64Array) -> Float64Array:
            turned = rows[:, order] * signs
            found = np.empty_like(turned)
            for where, solve in blocks:
                found[:, where] = solve(turned[:, where])
            result = np.empty_like(found)
            result[:, order] = found * signs
            return result

        return rows_nearest

    def mix_with(self, other: RowGrid, chosen: BoolArray) -> RowGrid:
        """Outputs that share columns are taken from one candidate, all of them."""
        del other, chosen
        raise TypeError("outputs that share columns cannot be mixed")

    def _blocks(self, weight: Float64Array) -> list[tuple[slice, Nearest]]:
        found, start = [], 0
        for part in self.parts:
            forest = _forest(part)
            for _ in range(part.blocks):
                where = slice(start, start + part.outputs)
                found.append((where, _solver(forest, self.levels, weight[:, where])))
                start += part.outputs
        return found


def _solver(forest: Forest, levels: int, weight: Float64Array) -> Nearest:
    """One block: a row per group by encoders that are prepared for it, many rows at once.

    Args:
        forest: columns and outputs.
        levels: of a column.
        weight: axes: group or 1, output. Rows come group by group, as many of each.
    """
    each = [RowEncoder(forest, levels, own) for own in weight[:_FEW_ROWS]]

    def solve(rows: Float64Array) -> Float64Array:
        count = len(rows) // len(weight)
        if len(rows) <= _FEW_ROWS:
            found = [each[number // count].encode_row(row) for number, row in enumerate(rows)]
            return np.stack(found).astype(np.float64)
        by_row = weight if len(weight) == 1 else np.repeat(weight, count, axis=0)
        return encode(forest, rows, levels, by_row).values.astype(np.float64)

    return solve


def _forest(part: ColumnPart) -> Forest:
    forest = part.encoding.forest(part.outputs)
    if forest is None:
        raise ValueError(f"{part.encoding.name} is not a forest of columns")
    return forest
