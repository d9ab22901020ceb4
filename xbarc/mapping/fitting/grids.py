"""What a row of cells can hold: integers an output, alone or coupled along a forest of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xbarc.mapping.forest import Forest, encode
from xbarc.mapping.order import Arrangement
from xbarc.mapping.tiling import Part
from xbarc.numerics.types import Float64Array


class Grid(Protocol):
    """Integers nearest to a row of numbers, as far as the cells can hold them together."""

    def nearest(self, rows: Float64Array, importance: Float64Array) -> Float64Array:
        """Integers for rows of targets.

        Args:
            rows: targets in units of each output's step; axes: row, output.
            importance: what a squared deviation of each output counts; axis: output.
        """


@dataclass(frozen=True)
class Alone(Grid):
    """Every output takes any integer from low to high."""

    low: int
    high: int

    def nearest(self, rows: Float64Array, importance: Float64Array) -> Float64Array:
        """Rounded half to even and clipped."""
        del importance
        return np.clip(np.rint(rows), self.low, self.high)


@dataclass(frozen=True, eq=False)
class Shifted(Grid):
    """Every output takes `2 m - k` with `m` from 0 to top, and a `k` of its own.

    Steps are halves, so that two levels may stand for -1 and +1.

    Attributes:
        k: axis: output.
    """

    top: int
    k: Float64Array

    def nearest(self, rows: Float64Array, importance: Float64Array) -> Float64Array:
        """The nearest number of each output's parity."""
        del importance
        return 2 * np.clip(np.rint((rows + self.k) / 2), 0, self.top) - self.k


@dataclass(frozen=True, eq=False)
class Coupled(Grid):
    """Outputs share columns: the best levels of a row by dynamic programming on each block.

    Attributes:
        parts: blocks of the layer.
        places: order and sign of the outputs.
        levels: levels of a column.
    """

    parts: tuple[Part, ...]
    places: Arrangement
    levels: int

    def nearest(self, rows: Float64Array, importance: Float64Array) -> Float64Array:
        """The representable row of least weighted squared deviation."""
        order, signs = self.places.order, self.places.signs.astype(np.float64)
        turned = rows[:, order] * signs
        weight = importance[order]
        found = np.empty_like(turned)
        start = 0
        for part in self.parts:
            stop = start + part.blocks * part.outputs
            found[:, start:stop] = self._block(turned[:, start:stop], weight[start:stop], part)
            start = stop
        result = np.empty_like(found)
        result[:, order] = found * signs
        return result

    def _block(self, rows: Float64Array, weight: Float64Array, part: Part) -> Float64Array:
        """Blocks of like size at once: each is another row for the same forest."""
        forest = _forest(part)
        shaped = rows.reshape(-1, part.outputs)
        by_row = np.broadcast_to(
            weight.reshape(1, part.blocks, part.outputs), (len(rows), part.blocks, part.outputs)
        )
        values = encode(forest, shaped, self.levels, by_row.reshape(-1, part.outputs)).values
        return values.reshape(rows.shape).astype(np.float64)


def _forest(part: Part) -> Forest:
    forest = part.encoding.forest(part.outputs)
    if forest is None:
        raise ValueError(f"{part.encoding.name} is no forest of columns")
    return forest
