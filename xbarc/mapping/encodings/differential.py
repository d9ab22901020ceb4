"""Differential pairs: weight = plus - minus, each magnitude cut into bit slices.

Columns of an output, in order: slice 0 plus, slice 0 minus, slice 1 plus, and so on, so that the
two halves of a pair are neighbours. With `analog` the pair is subtracted before the converter: one
conversion a pair, with a negative lower end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern
from xbarc.mapping.forests import Forest
from xbarc.numerics import IntArray, bits_for, slice_count, slice_weights


@dataclass(frozen=True)
class Differential(Encoding):
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
        """Two columns a slice and output."""
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
        sign = np.where(columns % 2, -1, 1).astype(np.int8)
        conversions = np.arange(outputs * slices, dtype=np.int32)
        return Pattern(
            len(conversions), columns // 2, columns, sign, conversions // slices, conversions
        )

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """Magnitudes on the side of their sign, zero on the other."""
        del row_bounds, weight_bits
        wide = weights.astype(np.int32)
        plus = slice_weights(np.maximum(wide, 0), cell_bits, slices)
        minus = slice_weights(np.maximum(-wide, 0), cell_bits, slices)
        pairs = np.stack([plus, minus], axis=-1)  # slice, group, row, block, output, side
        cells = np.moveaxis(pairs, 0, 4).reshape(*weights.shape[:3], -1)
        exponents = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        if not self.analog:
            exponents = np.stack([exponents, -exponents], axis=1).reshape(-1)
        entries = np.tile(exponents, weights.shape[3])
        return Encoded(cells, entries.reshape(1, 1, 1, -1))
