"""Centre and offset: the mean of each output's weights is subtracted digitally (RAELLA's idea).

What is left goes onto differential pairs whose positive and negative sums are about equal, so that
the column sums, and above all their analog differences, stay near zero. After RAELLA (Andrulis et
al., ISCA 2023, arXiv 2304.07935); the choice of the rounded mean as the centre is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.mapping.encodings.base import ByWeight, Pattern
from xbarc.mapping.encodings.differential import Differential
from xbarc.numerics import Float64Array, Int64Array, IntArray, UInt8Array, bits_for


@dataclass(frozen=True)
class Centred(ByWeight):
    """Differential pairs of what each output's centre leaves."""

    analog: bool = False

    @property
    def name(self) -> str:
        """What `--encoding` calls it."""
        return "centre-analog" if self.analog else "centre"

    def centre(self, weights: IntArray) -> Int64Array:
        """The mean of each output's weights, rounded, as far as no weight then takes more bits."""
        mean: Float64Array = weights.mean(axis=1, keepdims=True, dtype=np.float64)
        low, high = weights.min(axis=1, keepdims=True), weights.max(axis=1, keepdims=True)
        # Clipped so that the farthest weight of every output still fits the bits that the layer
        # needs anyway: a centre must not cost a slice.
        top = (1 << bits_for(max(-int(low.min()), int(high.max())))) - 1
        return np.clip(np.rint(mean).astype(np.int64), high.astype(np.int64) - top, low + top)

    def adjacent(self) -> int:
        """As the pairs."""
        return self._pairs.adjacent()

    def is_paired(self) -> bool:
        """As the pairs."""
        return True

    def slices(self, weights_low: int, weights_high: int, weight_bits: int, cell_bits: int) -> int:
        """From the largest distance to the centre."""
        return self._pairs.slices(weights_low, weights_high, weight_bits, cell_bits)

    def width(self, outputs: int, slices: int) -> int:
        """Two columns per slice and output."""
        return self._pairs.width(outputs, slices)

    def pattern(self, outputs: int, slices: int) -> Pattern:
        """That of the pairs."""
        return self._pairs.pattern(outputs, slices)

    def cells_of(self, weights: Int64Array, cell_bits: int, slices: int) -> UInt8Array:
        """Those of the pairs."""
        return self._pairs.cells_of(weights, cell_bits, slices)

    def entries(
        self, weights: IntArray, row_bounds: IntArray, cell_bits: int, slices: int
    ) -> Int64Array:
        """Those of the pairs."""
        return self._pairs.entries(weights, row_bounds, cell_bits, slices)

    @property
    def _pairs(self) -> Differential:
        return Differential(self.analog)
