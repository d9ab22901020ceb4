"""Differential pairs: weight = plus - minus, each magnitude cut into bit slices.

Columns of an output, in order: slice 0 plus, slice 0 minus, slice 1 plus, and so on, so that the
two halves of a pair are neighbours. With `analog` the pair is subtracted before the converter: one
conversion a pair, with a negative lower end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import ByWeight, Pattern
from xbarc.mapping.forests import Forest
from xbarc.numerics import (
    Int64Array,
    IntArray,
    UInt8Array,
    bits_for,
    slice_count,
    slice_weights,
)


@dataclass(frozen=True)
class Differential(ByWeight):
    """Plus and minus columns, subtracted digitally or, with `analog`, before the converter."""

    analog: bool = False

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "differential-analog" if self.analog else "differential"

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """From the largest magnitude that occurs: 8 bits, not 7, where -128 does."""
        del weight_bits
        return slice_count(bits_for(max(-weights_low, weights_high, 0)), cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """Two columns per slice and output."""
        return 2 * outputs * slices

    def adjacent(self) -> int:
        """The halves of a pair whose difference is taken before the converter."""
        return 2 if self.analog else 1

    def is_paired(self) -> bool:
        """Every slice of every weight."""
        return True

    def forest(self, outputs: int) -> Forest:
        """Every output has two columns of its own."""
        return Forest.matching(outputs)

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """Analog subtraction is two entries of `A` a conversion, digital two of `R` an output."""
        columns = np.arange(self.width(outputs, slices), dtype=np.int32)
        none = np.zeros(0, dtype=np.int32)
        if not self.analog:
            owner = columns // (2 * slices)
            return Pattern(len(columns), none, none, none.astype(np.int8), owner, columns)
        # Plus at even columns: neighbours, so that wires take nearly equal shares of both.
        sign = np.where(columns % 2, -1, 1).astype(np.int8)
        conversions = np.arange(outputs * slices, dtype=np.int32)
        return Pattern(
            len(conversions), columns // 2, columns, sign, conversions // slices, conversions
        )

    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """Magnitudes on the side of their sign, zero on the other."""
        sides = np.stack([np.maximum(weights, 0), np.maximum(-weights, 0)])
        parts = slice_weights(sides, cell_bits, slices)  # slice, side, weight
        return np.moveaxis(parts, 2, 0).reshape(len(weights), -1)

    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """A power of two a slice, negative for the minus column."""
        del row_bounds
        exponents = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        if not self.analog:
            # Interleaved as the columns are; with `analog` the sign is an entry of `A` instead.
            exponents = np.stack([exponents, -exponents], axis=1).reshape(-1)
        return np.tile(exponents, weights.shape[3]).reshape(1, 1, 1, -1)
