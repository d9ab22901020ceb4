"""What calibration data said about a layer, as plain values that pure functions take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.numerics import Float64Array, Int64Array, IntArray


@dataclass(frozen=True, eq=False)
class RangeStatistics:
    """Histogram of a layer's input over calibration data.

    Attributes:
        low: least value seen, at most 0.
        high: largest value seen, at least 0.
        counts: values a bin; exact zeros, which cost no rounding, are left out.
        edges: borders of the bins, one more than `counts`.
        samples: inferences that were looked at.
    """

    low: float
    high: float
    counts: Int64Array
    edges: Float64Array
    samples: int


@dataclass(frozen=True, eq=False)
class SecondMoments:
    """Sums over a layer's input vectors: what error feedback asks for.

    `x` is an input vector as the compiled prefix gives it, rounding included, and `y` the product
    of the same vector in the exact network with the exact weights. Wide layers are cut into blocks
    of inputs: products of inputs of two blocks are not kept, and `y` is the block's own share.

    Attributes:
        bounds: first input of each block, and the end.
        count: vectors.
        input_sum: sum of x; axes: group, input.
        inputs: sum of x x^T of each block; axes: group, input, input.
        target_sum: sum of y; axes: block, group, output.
        target_energy: sum of y**2; axes as `target_sum`.
        targets: sum of x y^T; axes: group, input, output.
    """

    bounds: IntArray
    count: int
    input_sum: Float64Array
    inputs: tuple[Float64Array, ...]
    target_sum: Float64Array
    target_energy: Float64Array
    targets: Float64Array

    def __add__(self, other: SecondMoments) -> SecondMoments:
        """Moments over both sets of vectors."""
        return SecondMoments(
            self.bounds,
            self.count + other.count,
            self.input_sum + other.input_sum,
            tuple(a + b for a, b in zip(self.inputs, other.inputs, strict=True)),
            self.target_sum + other.target_sum,
            self.target_energy + other.target_energy,
            self.targets + other.targets,
        )


@dataclass(frozen=True, eq=False)
class SumStatistics:
    """Histograms of a layer's column sums over calibration data.

    Conversions of one kind read the same weight slice with the same sign.

    Attributes:
        counts: axes: row block or 1, kind, input slice, bin.
        low: sum of the first bin.
        width: sums of a bin; 1 unless the range is very wide.
        vectors: input vectors that were looked at.
    """

    counts: Int64Array
    low: int
    width: int
    vectors: int

    @property
    def sums(self) -> Int64Array:
        """The sum that each bin stands for."""
        # The lower middle of an even bin: a sum is an integer.
        middle = (self.width - 1) // 2
        values: Int64Array = self.low + middle + self.width * np.arange(self.counts.shape[3])
        return values
