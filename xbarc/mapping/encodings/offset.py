"""Offset encoding with a unit column and flipped columns, as ISAAC does it (Shafiee 2016).

Stored is `w + 2**(m-1)`; a unit column of ones sums the inputs of the block, so the offset is
subtracted digitally. Where a slice's column is more than half full over a row block, its complement
`2**b - 1 - g` is stored and read back through the same unit column: the column's largest sum then
never exceeds half of the worst case, which saves one bit of every converter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import MOST_CODES, Encoded, Encoding, Pattern
from xbarc.numerics import (
    BoolArray,
    Int64Array,
    IntArray,
    UInt8Array,
    WeightCodes,
    slice_count,
    slice_weights,
)


@dataclass(frozen=True)
class Offset(Encoding):
    """Biased weights; the last column of a block is its unit column."""

    flip: bool = True

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "offset" if self.flip else "offset-unflipped"

    def reach(self, cell_bits: int, slices: int) -> tuple[int, int]:
        """The cells hold a number and its offset."""
        half = 1 << (cell_bits * slices - 1)
        return -half, half - 1

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """All bits of the weight, sign included."""
        del weights_low, weights_high
        return slice_count(weight_bits, cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """One column per slice and output, and the unit column."""
        return outputs * slices + 1

    def shared(self) -> int:
        """The unit column."""
        return 1

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """Each output reads its slices, then the unit column: offset, and two entries a flip."""
        columns = np.arange(outputs * slices, dtype=np.int32)
        owner = columns // slices
        unit = np.int32(outputs * slices)
        none = np.zeros(0, dtype=np.int32)
        all_outputs = np.arange(outputs, dtype=np.int32)
        r_output = np.concatenate([owner, all_outputs, owner, owner])
        # Entries are powers of two, so the factor 2**(b (j+1)) - 2**(b j) of a flip takes two of
        # them; where nothing is flipped they are 0.
        to_unit = np.full(outputs + 2 * len(columns), unit, dtype=np.int32)
        r_conversion = np.concatenate([columns, to_unit])
        return Pattern(len(columns) + 1, none, none, none.astype(np.int8), r_output, r_conversion)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Biased slices, complemented where that halves the largest sum, and the unit column."""
        plain = _slice_biased(weights, weight_bits, cell_bits, slices)
        sums = np.add.reduceat(plain, row_bounds[:-1], axis=1, dtype=np.int64)
        flips = self.flips(sums, row_bounds, cell_bits)
        cells = _complement(plain, flips, row_bounds, cell_bits)
        unit = np.ones((*weights.shape[:3], 1), dtype=np.uint8)
        entries = self.entries(flips, weight_bits, cell_bits, slices)
        return Encoded(np.concatenate([cells, unit], axis=3), entries)

    def codes(
        self, low: int, high: int, weight_bits: int, cell_bits: int, slices: int
    ) -> WeightCodes | None:
        """Packed slices of all weights of a range, before any column is flipped.

        None where the table would be too large.
        """
        if high - low >= MOST_CODES:
            return None
        every = np.arange(low, high + 1)[:, None]
        return WeightCodes.of(low, _slice_biased(every, weight_bits, cell_bits, slices), cell_bits)

    def flips(self, sums: Int64Array, row_bounds: IntArray, cell_bits: int) -> BoolArray:
        """Which columns are stored as complements.

        Args:
            sums: of the levels of each column; axes: group, row block, block, column.
            row_bounds: first row of each row block, and the end.
            cell_bits: bits of a cell.
        """
        half = (np.diff(row_bounds) * ((1 << cell_bits) - 1)).reshape(1, -1, 1, 1)
        # Exactly half is left alone: flipping would gain nothing.
        return np.logical_and(self.flip, 2 * sums > half)

    def entries(
        self, flips: BoolArray, weight_bits: int, cell_bits: int, slices: int
    ) -> Int64Array:
        """Of `R`: slices, offset, then `2**(b (j+1)) - 2**(b j)` of the sum for each flip."""
        outputs = flips.shape[3] // slices
        scale = np.tile(np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64)), outputs)
        offset = np.full((*flips.shape[:3], outputs), -(1 << (weight_bits - 1)), dtype=np.int64)
        direct = np.where(flips, -scale, scale)
        high = np.where(flips, scale << cell_bits, 0)
        low = np.where(flips, -scale, 0)
        return np.concatenate([direct, offset, high, low], axis=3)


def _slice_biased(weights: IntArray, weight_bits: int, cell_bits: int, slices: int) -> UInt8Array:
    """Slices of biased weights; the last axis becomes the columns of its outputs."""
    biased = weights.astype(np.int32) + (1 << (weight_bits - 1))
    parts = slice_weights(biased, cell_bits, slices)
    return np.moveaxis(parts, 0, -1).reshape(*weights.shape[:-1], -1)


def _complement(
    cells: UInt8Array, flips: BoolArray, row_bounds: IntArray, cell_bits: int
) -> UInt8Array:
    by_row = np.repeat(flips, np.diff(row_bounds), axis=1)
    return np.where(by_row, np.uint8((1 << cell_bits) - 1) - cells, cells)
