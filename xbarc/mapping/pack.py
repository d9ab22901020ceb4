"""Blocks to physical arrays.

Within a layer, small blocks of different groups lie on the diagonal of one array: each has its own
wordlines and bitlines, the cells between them stay at level 0, so all may be active together.
Across layers, blocks that never run at the same time lie side by side on bitlines of one array.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xbarc.numerics import IntArray
from xbarc.options import Pack
from xbarc.target import Array


@dataclass(eq=False)
class ArrayPool:
    """Hands out arrays, and the free bitlines of arrays that are partly filled.

    Attributes:
        used: arrays handed out so far.
        free: array, next free bitline; only kept where layers may share arrays.
    """

    array: Array
    pack: Pack
    used: int = 0
    free: list[list[int]] = field(default_factory=list)

    def copy(self) -> ArrayPool:
        """A pool in the same state, to try something on."""
        return ArrayPool(self.array, self.pack, self.used, [list(item) for item in self.free])

    def adopt(self, other: ArrayPool) -> None:
        """Take over the state of a copy."""
        self.used, self.free = other.used, other.free

    def place(
        self, groups: int, rows: IntArray, columns: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Array, first wordline and first bitline of every block; axes: group, row, column block.

        Args:
            groups: matrices of the layer.
            rows: rows of each row block.
            columns: columns of each column block.
        """
        shape = (groups, len(rows), len(columns))
        if self.pack == "network" and np.prod(shape) == 1 and columns[0] <= self.array.columns // 2:
            return self._beside(int(columns[0]))
        together = self._on_diagonal(rows, columns)
        slot = np.arange(groups)[:, None, None] % together
        turn = np.arange(groups)[:, None, None] // together
        arrays_each = -(-groups // together)
        first = self.used + np.concatenate([[0], np.cumsum(arrays_each.reshape(-1))])
        array = first[:-1].reshape(shape[1:]) + turn
        self.used = int(first[-1])
        row_offset = slot * rows[None, :, None]
        column_offset = slot * columns[None, None, :]
        offsets = (np.broadcast_to(o, shape).astype(np.int32) for o in (row_offset, column_offset))
        row, column = offsets
        return array.astype(np.int32), row, column

    def _on_diagonal(self, rows: IntArray, columns: IntArray) -> IntArray:
        """How many groups share an array; axes: row block, column block."""
        if self.pack == "none":
            return np.ones((len(rows), len(columns)), dtype=np.int64)
        by_row = self.array.rows // rows[:, None]
        by_column = self.array.columns // columns[None, :]
        return np.maximum(1, np.minimum(by_row, by_column)).astype(np.int64)

    def _beside(self, columns: int) -> tuple[IntArray, IntArray, IntArray]:
        """Put one small block beside others, whose layers run at other times."""
        fits = (item for item in self.free if item[1] + columns <= self.array.columns)
        chosen = next(fits, None)
        if chosen is None:
            chosen = [self.used, 0]
            self.free.append(chosen)
            self.used += 1
        array, at = chosen
        chosen[1] += columns
        one = np.ones((1, 1, 1), dtype=np.int32)
        return one * array, one * 0, one * at
