"""How well a fit gives the exact products, and the best gain and offset, from second moments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.ir import SecondMoments
from xbarc.numerics import Float64Array


@dataclass(frozen=True, eq=False)
class Sums:
    """Statistics of products z of fitted weights against the exact products y.

    Each array has the axes group, output.
    """

    count: int
    z: Float64Array
    y: Float64Array
    zz: Float64Array
    zy: Float64Array
    yy: Float64Array

    @property
    def energy(self) -> Float64Array:
        """Variance of the exact products."""
        return np.maximum(self.yy - self.y**2, 0)

    def line(self) -> tuple[Float64Array, Float64Array]:
        """Gain and offset of each output that bring z nearest to y."""
        variance = self.zz - self.z**2
        live = variance > 1e-12 * np.maximum(self.zz, np.finfo(np.float64).tiny)
        gain = np.where(live, (self.zy - self.z * self.y) / np.where(live, variance, 1), 1.0)
        gain = np.where(gain > 0, gain, 1.0)  # a fit that anticorrelates is no fit
        return gain, self.y - gain * self.z

    def error(self, gain: Float64Array, offset: Float64Array) -> Float64Array:
        """Mean of (y - gain z - offset)**2."""
        square = self.yy + gain**2 * self.zz + offset**2
        mixed = gain * self.zy + offset * self.y - gain * offset * self.z
        return np.maximum(square - 2 * mixed, 0)


def product_sums(moments: SecondMoments, weights: Float64Array) -> Sums:
    """Sums for fitted weights; covariances across blocks of a wide layer count as zero.

    Args:
        moments: over the vectors to be judged by.
        weights: axes: group, input, output.
    """
    groups, _, outputs = weights.shape
    total = {name: np.zeros((groups, outputs)) for name in ("z", "y", "zz", "zy", "yy")}
    for number, (first, last) in enumerate(pairwise(moments.bounds.tolist())):
        part = _block_sums(moments, weights, number, slice(first, last))
        for name in ("zz", "zy", "yy"):  # across blocks only means are known
            left, right = name
            cross = total[left] * part[right] + total[right] * part[left]
            total[name] += part[name] + cross
        total["z"] += part["z"]
        total["y"] += part["y"]
    return Sums(moments.count, **total)


def _block_sums(
    moments: SecondMoments, weights: Float64Array, number: int, rows: slice
) -> dict[str, Float64Array]:
    """Means over the vectors of one block."""
    own, count = weights[:, rows], moments.count
    return {
        "z": (moments.input_sum[:, None, rows] @ own)[:, 0] / count,
        "y": moments.target_sum[number] / count,
        "zz": ((moments.inputs[number] @ own) * own).sum(axis=1) / count,
        "zy": (moments.targets[:, rows] * own).sum(axis=1) / count,
        "yy": moments.target_energy[number] / count,
    }
