"""From packed cells to the integers that they stand for, byte by byte.

A sparse matrix says what each cell of a row counts for each output. Cells of one byte are looked up
together: a table of 256 numbers takes the place of unpacking and of a sparse product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics.packing import ALIGNED, PackedCells, levels_of_bytes, protect
from xbarc.numerics.types import AnyArray, IntArray

if TYPE_CHECKING:
    from xbarc.numerics import cell_loops
else:
    cell_loops = lazy_module("xbarc.numerics.cell_loops")

# Different tables of a layer: 4 MiB in all. Encodings repeat a handful; a matrix with more is
# better multiplied than looked up.
_MOST_TABLES = 1 << 12


@dataclass(frozen=True, eq=False)
class ByteTables:
    """What each byte of a row adds to each output.

    Attributes:
        byte, output, kind: of each entry: which byte, to which output, by which table.
        tables: axes: kind, value of the byte.
    """

    byte: IntArray
    output: IntArray
    kind: IntArray
    tables: IntArray

    @classmethod
    def of(cls, entries: tuple[IntArray, IntArray, IntArray], bits: int) -> ByteTables | None:
        """Tables of a sparse matrix; None where cells do not fill bytes, or tables are too many.

        Args:
            entries: output, column and value of each; those of one place add up.
            bits: width of a cell.
        """
        if bits not in ALIGNED:
            return None
        output, column, value = (np.asarray(part, dtype=np.int64) for part in entries)
        per = 8 // bits
        outputs = int(output.max(initial=0)) + 1
        meets, entry = np.unique(column // per * outputs + output, return_inverse=True)
        counts = np.zeros((len(meets), per), dtype=np.int64)
        np.add.at(counts, (entry, column % per), value)
        kinds, kind = np.unique(counts, axis=0, return_inverse=True)
        if len(kinds) > _MOST_TABLES:
            return None
        levels = levels_of_bytes(bits).astype(np.int64)
        tables = (kinds @ levels.T).astype(np.int32)
        order = _apart(meets % outputs)
        byte, output = meets[order] // outputs, meets[order] % outputs
        return cls(byte, output, kind.reshape(-1)[order], tables)

    def join(
        self, cells: PackedCells, place: tuple[int, slice], joined: AnyArray, to: IntArray
    ) -> None:
        """Add what some rows of cells stand for.

        Args:
            cells: axes: group, row, column.
            place: group and rows.
            joined: int32, is added to, wrapping; axes: row of the result, output.
            to: row of the result for each row of cells.
        """
        rows = protect(cells.data[place])
        places = np.asarray(to, dtype=np.int64)
        cell_loops.join_rows(rows, self.byte, self.output, self.kind, self.tables, places, joined)


def _apart(output: IntArray) -> IntArray:
    """An order in which entries of one output do not follow each other: no sum waits for itself."""
    by_output = np.argsort(output, kind="stable")
    ordered = output[by_output]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    rank = np.arange(len(output)) - np.repeat(starts, np.diff(np.append(starts, len(output))))
    return by_output[np.lexsort((ordered, rank))]
