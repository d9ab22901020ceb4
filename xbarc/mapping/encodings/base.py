"""What an encoding gives for the blocks of a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from xbarc.numerics.types import Int64Array, IntArray, UInt8Array


@dataclass(frozen=True, eq=False)
class Pattern:
    """Where the entries of `A` and `R` stand in a block of some outputs; indices are the block's.

    Attributes:
        conversions: conversions of the block.
        a_conversion, a_column, a_sign: entries of `A`; empty where it is the identity.
        r_output, r_conversion: places of the entries of `R`.
    """

    conversions: int
    a_conversion: IntArray
    a_column: IntArray
    a_sign: IntArray
    r_output: IntArray
    r_conversion: IntArray


@dataclass(frozen=True, eq=False)
class Encoded:
    """Cells of some row blocks and the entries of `R` that read them.

    Attributes:
        cells: axes: group, row, block, column of the block.
        r_value: entries in the order of the pattern; axes: group or 1, row block or 1, block or 1,
            entry.
    """

    cells: UInt8Array
    r_value: Int64Array


class Encoding(Protocol):
    """How signed weights sit on cells that are never negative."""

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """Cells of one sign that a weight needs, for weights in this range."""

    def width(self, outputs: int, slices: int) -> int:
        """Columns of a block of this many outputs."""

    def shared(self) -> int:
        """Columns of a block that serve all its outputs, such as a unit column."""

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """Places of the entries of `A` and `R`."""

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Cells for weights with axes group, row, block, output; row_bounds cut the row axis."""
