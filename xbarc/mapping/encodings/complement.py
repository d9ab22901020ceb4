"""Two's complement slices: the sign bit has a column of its own, which counts negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern
from xbarc.mapping.encodings.one_signed import Single
from xbarc.numerics import IntArray, slice_count, slice_weights

_SINGLE = Single()


@dataclass(frozen=True)
class TwosComplement(Encoding):
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
        bits = max(int(weights_high).bit_length(), int(-1 - weights_low).bit_length(), 1)
        return slice_count(bits, cell_bits) + 1

    def width(self, outputs: int, slices: int) -> int:
        """One column a slice and output."""
        return outputs * slices

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """One entry of `R` a column; that of the sign is negative."""
        return _SINGLE.pattern(outputs, slices)

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        """The number modulo a power of two, and its sign."""
        del row_bounds, weight_bits
        wide = weights.astype(np.int64)
        low_bits = cell_bits * (slices - 1)
        lower = slice_weights(wide & ((1 << low_bits) - 1), cell_bits, slices - 1)
        parts = np.concatenate([lower, (wide < 0)[None].astype(np.uint8)])
        cells = np.moveaxis(parts, 0, 4).reshape(*weights.shape[:3], -1)
        scale = np.int64(1) << (cell_bits * np.arange(slices, dtype=np.int64))
        scale[-1] = -(np.int64(1) << low_bits)
        return Encoded(cells, np.tile(scale, weights.shape[3]).reshape(1, 1, 1, -1))
