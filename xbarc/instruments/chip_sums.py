"""The column sums of a layer on its chip, for converters that are set to what they will read."""

from __future__ import annotations

from math import ceil, floor

import numpy as np

from xbarc.executor import AnalogLayer, UnconvertedLayer
from xbarc.instruments.column_sums import Bins
from xbarc.ir import CrossbarStep
from xbarc.numerics import Float64Array, Int64Array, IntArray


class ChipSums:
    """As `column_sums.ColumnSums`; sums are real, and counted by the nearest whole number.

    Args:
        step: the layer; its converter settings are not used.
        levels: what each cell contributes, in level units; axes: group, row, column.
    """

    def __init__(self, step: CrossbarStep, levels: Float64Array) -> None:
        self.product = UnconvertedLayer(step, levels)
        self._layer = AnalogLayer(step, levels)

    def span(self) -> tuple[int, int]:
        """Least and largest sum that any input can make."""
        low, high = self._layer.span()
        return floor(low), ceil(high)

    def count(self, vectors: IntArray, group: int, segment: int, bins: Bins) -> None:
        """Count the sums of one group and segment; axes of `vectors`: vector, group, input."""
        for sums in self._layer.sums(vectors, group, segment):
            # Halves go up, as in the converter that will read these sums.
            index = (np.floor(sums + 0.5).astype(np.int64) - bins.low) // bins.width
            index += _first_bins(bins)[:, :, None]
            found = np.bincount(index.reshape(-1), minlength=bins.counts.size)
            np.add(bins.counts, found.reshape(bins.counts.shape), out=bins.counts)


def _first_bins(bins: Bins) -> Int64Array:
    """Number of the first bin of each conversion and input slice in all counts."""
    _, slices, size = bins.counts.shape
    found: Int64Array = (bins.kinds[:, None] * slices + np.arange(slices)) * size
    return found
