"""What each column of a block is for: its output, its sign there, and the slice of the weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.numerics import Int64Array, UInt8Array
from xbarc.pages import SERIES, red_green_blue
from xbarc.report.inspection.views import BlockView

PLUS, MINUS, NEITHER = (31, 93, 168), (194, 65, 12), (90, 98, 110)
"""Columns that add to their outputs, that subtract, and all others."""

HUES = tuple(map(red_green_blue, SERIES))
"""Of outputs and of exponents, one after the other and from the start again."""


@dataclass(frozen=True, eq=False)
class ColumnMarks:
    """What the columns of a block are for; axis of each array: column.

    Attributes:
        output: output of the group to which the column adds most; -1: none.
        sign: 1 or -1 where the column has that sign in every output, else 0.
        exponent: of the power of two by which the column enters that output, factors of columns
            left out; -1: it enters none.
    """

    output: Int64Array
    sign: Int64Array
    exponent: Int64Array

    def take(self, order: Int64Array) -> ColumnMarks:
        """The marks of these columns, in this order."""
        return ColumnMarks(self.output[order], self.sign[order], self.exponent[order])

    def sign_colours(self) -> UInt8Array:
        """Axes: column, colour."""
        return _pick([MINUS, NEITHER, PLUS], self.sign + 1)

    def slice_colours(self) -> UInt8Array:
        """Axes: column, colour."""
        return _pick(
            [*HUES, NEITHER], np.where(self.exponent < 0, len(HUES), self.exponent % len(HUES))
        )


def _pick(colours: Sequence[tuple[int, int, int]], index: Int64Array) -> UInt8Array:
    found: UInt8Array = np.array(colours, dtype=np.uint8)[index]
    return found


def column_marks(view: BlockView) -> ColumnMarks:
    """Marks of a block's columns, from `R A`."""
    columns = view.cells.shape[1]
    output, sign, exponent = (np.full(columns, fill, dtype=np.int64) for fill in (-1, 0, -1))
    scale = view.column_scale
    for column, factors in enumerate(_factors(view)):
        entries = {at: value for at, value in factors.items() if value}
        if not entries:
            continue
        best = max(entries, key=lambda at: (abs(entries[at]), -at))
        signs = {value > 0 for value in entries.values()}
        output[column] = best
        sign[column] = 0 if len(signs) > 1 else 1 if signs == {True} else -1
        conversion = next(k for k, c, _ in view.a.tolist() if c == column)
        own = abs(entries[best]) // max(1, int(scale[conversion]) if scale is not None else 1)
        exponent[column] = own.bit_length() - 1
    return ColumnMarks(output, sign, exponent)


def _factors(view: BlockView) -> list[dict[int, int]]:
    """What a level in each column adds to each output."""
    makes: dict[int, list[tuple[int, int]]] = {}
    for output, conversion, value in view.r.tolist():
        makes.setdefault(conversion, []).append((output, value))
    found: list[dict[int, int]] = [{} for _ in range(view.cells.shape[1])]
    for conversion, column, sign in view.a.tolist():
        for output, value in makes.get(conversion, ()):
            found[column][output] = found[column].get(output, 0) + sign * value
    return found
