"""`--adc BITS` on columns that are subtracted before the converter: a range without data.

Their sums lie on both sides of zero, and with many-level cells most are far nearer to it than the
cells allow. So the range covers what inputs that are evenly spread would give, four standard
deviations to each side, and zero; its step is the least with which that fits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xbarc.ir import AdcSettings, CrossbarStep, conversion_matrix, input_tops
from xbarc.lazy import lazy_module
from xbarc.mapping.converters.runs import over_runs
from xbarc.numerics import Float64Array, Int64Array, IntArray, UInt8Array

if TYPE_CHECKING:
    from scipy import sparse
else:
    sparse = lazy_module("scipy.sparse")

# A sum of many independent terms leaves four standard deviations six times in 100,000 (normal
# law); fewer saturate more often, more make every step coarser.
_DEVIATIONS = 4.0


def capped_settings(
    step: CrossbarStep, key: IntArray, low: Int64Array, bits: UInt8Array, policy: str
) -> AdcSettings:
    """Lossless settings where they have few enough bits, coarse ones for the other converters.

    Args:
        step: the layer.
        key: equal numbers for conversions of one converter; axes: group, row block, conversion.
        low: lower ends of lossless settings; axes as `key`, and input slice or 1.
        bits: of lossless settings; axes as `low`; conversions of 0 bits stay as they are.
        policy: the number of bits.
    """
    most, order = int(policy), np.broadcast_to(key, bits.shape[:3])
    wide = over_runs(np.maximum, bits.max(axis=3), order)[..., None] > most
    likely_low, likely_high = likely_range(step)
    lo, width = coarse_setting(
        over_runs(np.minimum, likely_low, order), over_runs(np.maximum, likely_high, order), most
    )
    blocks = step.tiling.segment_block
    coarse = wide & (bits > 0)
    return AdcSettings(
        np.where(coarse, most, bits)[:, blocks].astype(np.uint8),
        np.where(coarse, lo[..., None], low)[:, blocks].astype(np.int32),
        np.where(coarse, width[..., None], 1)[:, blocks].astype(np.int32),
        policy,
    )


def likely_range(step: CrossbarStep) -> tuple[Int64Array, Int64Array]:
    """Both ends of what evenly spread inputs give; axes: group, row block, conversion.

    Codes of an input slice are taken to be independent and evenly spread from 0 to their top.
    """
    top = int(input_tops(step).max(initial=1))
    mean, square = _row_moments(step)
    middle = mean * (top / 2)
    reach = _DEVIATIONS * np.sqrt(square * (top * (top + 2) / 12))
    starts = np.flatnonzero(np.diff(step.tiling.segment_block, prepend=-1))
    low = np.minimum.reduceat(np.minimum(middle - reach, 0.0), starts, axis=1)
    high = np.maximum.reduceat(np.maximum(middle + reach, 0.0), starts, axis=1)
    return np.floor(low).astype(np.int64), np.ceil(high).astype(np.int64)


def _row_moments(step: CrossbarStep) -> tuple[Float64Array, Float64Array]:
    """Sums and summed squares of what each row adds; axes: group, segment, conversion."""
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    signed = sparse.csr_array(a)
    shape = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions)
    total, square = np.zeros(shape), np.zeros(shape)
    for segment in range(shape[1]):
        first, last = (int(b) for b in step.tiling.segment_bounds[segment : segment + 2])
        cells = step.cells.unpack_as(np.int32, (slice(None), slice(first, last)))
        for group in range(shape[0]):
            rows = (signed @ cells[group].T).astype(np.float64)
            total[group, segment], square[group, segment] = rows.sum(axis=1), (rows**2).sum(axis=1)
    return total, square


def coarse_setting(low: Int64Array, high: Int64Array, bits: int) -> tuple[Int64Array, Int64Array]:
    """Lower end and step with which this many bits cover a range and meet zero exactly.

    One bit has no room for zero: its two codes lie a fifth of the range apart, about its middle,
    which is where the halves of a bell curve have their means.
    """
    if bits == 1:
        apart: Int64Array = np.maximum(1, (high - low) // 5)
        return (low + high - apart) // 2, apart
    step: Int64Array = np.maximum(1, -((low - high) // ((1 << bits) - 2)))
    return (low // step) * step, step
