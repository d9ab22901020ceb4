"""Two's complement slices: the sign bit has a column of its own, which counts negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import ByWeight, Pattern
from xbarc.mapping.encodings.one_signed import Single
from xbarc.numerics import Int64Array, IntArray, UInt8Array, slice_count, slice_weights

_SINGLE = Single()


@dataclass(frozen=True)
class TwosComplement(ByWeight):
    """All bits but the highest in slices, the highest in a column of one bit.

    Neither a partner nor an offset is needed; a small negative weight fills all its cells, so the
    column sums are large.
    """

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "twos-complement"

    def reach(self, cell_bits: int, slices: int) -> tuple[int, int]:
        """All slices but that of the sign."""
        half = 1 << (cell_bits * (slices - 1))
        return -half, half - 1

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """Slices of the lower bits, and one for the sign."""
        del weight_bits
        # -1 - w is w with all bits flipped: -128 needs 7 bits beside its sign, as 127 does.
        bits = max(int(weights_high).bit_length(), int(-1 - weights_low).bit_length(), 1)
        return slice_count(bits, cell_bits) + 1

    def width(self, outputs: int, slices: int) -> int:
        """One column per slice and output."""
        return outputs * slices

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """One entry of `R` a column; that of the sign is negative."""
        return _SINGLE.pattern(outputs, slices)

    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """The number modulo a power of two, and its sign."""
        low_bits = cell_bits * (slices - 1)
        # & on a negative int64 is its two's complement, modulo the power of two.
        lower = slice_weights(weights & ((1 << low_bits) - 1), cell_bits, slices - 1)
        sign = (weights < 0)[None].astype(np.uint8)
        return np.ascontiguousarray(np.concatenate([lower, sign]).T)

    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """A power of two a slice, that of the sign negative."""
        del row_bounds
        scale = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        scale[-1] = -scale[-1]
        return np.tile(scale, weights.shape[3]).reshape(1, 1, 1, -1)
