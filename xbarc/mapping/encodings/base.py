"""What an encoding gives for the blocks of a layer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from xbarc.mapping.forests import Forest
from xbarc.numerics import Int64Array, IntArray, UInt8Array, WeightCodes

# Weights of which a table is made: all of 16 bits, 512 KiB of codes. Wider ones are rare, and
# their table would no longer fit the second-level cache.
MOST_CODES = 1 << 16


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


@dataclass(frozen=True, eq=False)
class Region:
    """Outputs of a layer that share an encoding.

    Attributes:
        encoding: how.
        outputs: which, in the order in which they shall lie.
    """

    encoding: Encoding
    outputs: IntArray


class Encoding(Protocol):
    """How signed weights sit on cells that are never negative.

    The methods with a body here are what most encodings want; the others they write themselves.
    A layer is mapped by asking, in this order: `centre`, `rows` and `regions` (what
    is subtracted, which inputs and outputs lie together), `slices`, `width` and `pattern` (how many
    cells a weight takes, and where), then `encode`, once for some row blocks at a time. It must be
    a pure function of what it is given.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What `--encoding` calls it."""

    def unit(self) -> int:
        """Outputs of a block come in multiples of this, but for the last."""
        return 1

    def is_chained(self) -> bool:
        """Whether outputs share columns, so that their order and sign matter."""
        return False

    def centre(self, weights: IntArray) -> Int64Array | None:
        """The number subtracted from the weights of each output and added back by the input sum.

        Axes of weights: group, row, output; of the result: group, 1, output. None takes nothing.
        """
        del weights
        return None

    def rows(self, weights: IntArray, row_bounds: IntArray) -> tuple[IntArray, IntArray] | None:
        """Which inputs share a row block: input of each row, and the blocks' bounds.

        Axes of weights: group, row, output. None keeps the natural order.
        """
        del weights, row_bounds
        return None

    def regions(self, weights: IntArray, row_bounds: IntArray) -> tuple[Region, ...] | None:
        """Outputs that other encodings take over; axes of weights: group, row, output."""
        del weights, row_bounds
        return None

    def reach(self, cell_bits: int, slices: int) -> tuple[int, int]:
        """Least and largest weight that this many cells hold, outputs that share columns apart."""
        top = (1 << (cell_bits * slices)) - 1
        return -top, top

    def is_shifted(self) -> bool:
        """Whether all weights of an output may be shifted together, by half steps too."""
        return False

    @abstractmethod
    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """Least count of cells of one sign that a weight in this range can need."""

    def holds(self, weights: IntArray, cell_bits: int, slices: int) -> bool:
        """Whether blocks of these weights fit; axes: group, row, block, output."""
        del weights, cell_bits, slices
        return True

    @abstractmethod
    def width(self, outputs: int, slices: int) -> int:
        """Columns of a block of this many outputs."""

    def shared(self) -> int:
        """Columns of a block that serve all its outputs, such as a unit column."""
        return 0

    def adjacent(self) -> int:
        """Columns that must be neighbours in one array; 1 where none must."""
        return 1

    def is_paired(self) -> bool:
        """Whether each slice of a weight is the difference of two columns that are its own."""
        return False

    def forest(self, outputs: int) -> Forest | None:
        """Columns and outputs of a block of one slice as a graph; None where it is none."""
        del outputs
        return None

    @abstractmethod
    def pattern(self, outputs: int, slices: int) -> Pattern:
        """Places of the entries of `A` and `R`."""

    @abstractmethod
    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Cells for weights with axes group, row, block, output; row_bounds cut the row axis."""


class ByWeight(Encoding):
    """An encoding in which the cells of a weight depend on that weight alone.

    Whole layers then go from weights to packed cells by one table.
    """

    @abstractmethod
    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """Cells of each weight; axes: weight, column of its output."""

    @abstractmethod
    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """Entries of `R` as `Encoded.r_value`; axes of weights: group, row, block, output."""

    def codes(
        self, low: int, high: int, weight_bits: int, cell_bits: int, slices: int
    ) -> WeightCodes | None:
        """Packed cells of all weights of a range; None where the table would be too large."""
        del weight_bits
        # By the range of the layer: entries for weights that do not occur would be made in vain.
        if high - low >= MOST_CODES:
            return None
        every = np.arange(low, high + 1, dtype=np.int64)
        return WeightCodes.of(low, self.cells_of(every, cell_bits, slices), cell_bits)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Cells weight by weight."""
        del weight_bits
        wide = weights.astype(np.int64).reshape(-1)
        cells = self.cells_of(wide, cell_bits, slices).reshape(*weights.shape[:3], -1)
        return Encoded(cells, self.entries(weights, row_bounds, cell_bits, slices))
