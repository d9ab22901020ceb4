"""One column per output: positive weights only, and what was added is subtracted digitally.

The least weight of an output is subtracted from all its weights and given back through the digital
sum of the inputs: `W = W' - o 1`, with `W' >= 0` (after arXiv 1910.13850, whose nets are trained
with weights of one sign; the digital sum for nets that are not is ours).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import ByWeight, Pattern
from xbarc.mapping.encodings.one_signed import Single
from xbarc.numerics import Int64Array, IntArray, UInt8Array, slice_count

_SINGLE = Single()


@dataclass(frozen=True)
class Unipolar(ByWeight):
    """A column per slice and output; the offset of each output goes through `beta`."""

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "unipolar"

    def centre(self, weights: IntArray) -> Int64Array:
        """The least weight of each output."""
        least: IntArray = weights.min(axis=1, keepdims=True)
        return least.astype(np.int64)

    def is_shifted(self) -> bool:
        """The offset is digital, so it is free."""
        return True

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """From the widest span of an output's weights."""
        del weight_bits
        # One cell at least: an output of equal weights leaves zeros, which still need a column to
        # stand on.
        return slice_count(max(1, int(weights_high - weights_low).bit_length()), cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """One column per slice and output."""
        return _SINGLE.width(outputs, slices)

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """One entry of `R` a column."""
        return _SINGLE.pattern(outputs, slices)

    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """Slices of what the centre left, which is never negative."""
        return _SINGLE.cells_of(weights, cell_bits, slices)

    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """A power of two a slice."""
        return _SINGLE.entries(weights, row_bounds, cell_bits, slices)
