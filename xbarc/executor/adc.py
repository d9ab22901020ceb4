"""The converter: an integer column sum goes in, a code comes out, saturating at both ends."""

from __future__ import annotations

from math import prod

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.numerics import BoolArray, Int64Array, IntArray


def convert(sums: Int64Array, lo: IntArray, step: IntArray, bits: IntArray) -> Int64Array:
    """`clamp(floor((S - lo) / step + 1/2), 0, 2**bits - 1)` in integers; arguments broadcast."""
    codes = _round(sums, lo, step)
    clamped: Int64Array = np.clip(codes, 0, (np.int64(1) << bits.astype(np.int64)) - 1)
    return clamped


def _round(sums: Int64Array, lo: IntArray, step: IntArray) -> Int64Array:
    """`floor((S - lo) / step + 1/2)`."""
    offset: Int64Array = sums - lo
    # `(2 x + 1) // 2` is `x`: the division takes longer than all the rest of a lossless conversion
    if (step == 1).all():
        return offset
    wide = step.astype(np.int64)
    codes: Int64Array = (2 * offset + wide) // (2 * wide)
    return codes


def read_back(codes: Int64Array, lo: IntArray, step: IntArray) -> Int64Array:
    """The sum that a code stands for: `lo + step q`."""
    return lo + step.astype(np.int64) * codes


def saturates(sums: Int64Array, lo: IntArray, step: IntArray, bits: IntArray) -> BoolArray:
    """Whether a sum lies where the clamp changes its code."""
    codes = _round(sums, lo, step)
    return (codes < 0) | (codes >> bits.astype(np.int64) > 0)


def conversions_of_vector(step: CrossbarStep) -> int:
    """Conversions of one input vector: what has 0 bits always reads `lo`, so none is made.

    A comparison of a sense amplifier counts as one.
    """
    bits = step.adc.bits
    segments = len(step.tiling.segment_bounds) - 1
    full = prod((step.groups, segments, step.conversions, step.input_slices))
    if step.sense is not None:
        return full * step.sense.levels
    return int(np.count_nonzero(bits)) * full // max(1, bits.size)
