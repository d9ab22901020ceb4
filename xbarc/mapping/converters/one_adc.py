"""One converter setting for every column of every layer, from the sums that were seen.

Pure functions: the compiler gathers the sums. A code stands for `lo + step q`; `lo` is a multiple
of `step`, so that a sum of zero, the most frequent one, is always read back exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.ir import AdcSettings, CrossbarStep, FloatResult
from xbarc.numerics import Float64Array, Int64Array

POLICY = "uniform"
# Steps are 7.5 % apart where the coarsest is 1,000 times the finest, and zero is tried at every 3 %
# of the codes. Each pair is one pass over the distinct sums. Our choice, not tuned.
_STEPS, _PLACES = 96, 33


@dataclass(frozen=True, eq=False)
class SumHistogram:
    """Column sums of a layer, each with how much a squared error of it counts.

    Attributes:
        values: distinct sums, rising.
        weights: axis as `values`.
    """

    values: Int64Array
    weights: Float64Array


def sum_histogram(step: CrossbarStep, sums: Int64Array, accumulators: Int64Array) -> SumHistogram:
    """Weigh sums by the share of the layer's signal that an error of them would spoil.

    Args:
        step: the layer.
        sums: axes: vector, group, segment, input slice, conversion.
        accumulators: what they give without conversion; axes: vector, group, output.
    """
    scale = _output_scales(step)
    signal = float((accumulators.astype(np.float64).var(axis=0) * scale**2).sum())
    entries = np.zeros((step.groups, len(step.tiling.row_bounds) - 1, step.conversions))
    squared = step.periphery.r_value.astype(np.float64) ** 2
    squared = squared * (scale**2)[:, None, step.periphery.r_output]
    spread = np.broadcast_to(squared, (*entries.shape[:2], squared.shape[2]))
    for place in np.ndindex(*entries.shape[:2]):
        np.add.at(entries[place], step.periphery.r_conversion, spread[place])
    slices = 4.0 ** (step.dac_bits * np.arange(step.input_slices))
    each = entries[:, step.tiling.segment_block][:, :, None, :] * slices[:, None]
    counted = np.broadcast_to(each / max(signal * len(sums), 1e-30), sums.shape)
    values, places = np.unique(sums, return_inverse=True)
    total = np.bincount(places.reshape(-1), weights=counted.reshape(-1))
    return SumHistogram(values, total.astype(np.float64))


def _output_scales(step: CrossbarStep) -> Float64Array:
    """Real value of one step of each output's accumulator; axes: group, output."""
    result = step.result
    if not isinstance(result, FloatResult):
        return np.ones((step.groups, step.outputs))
    scale = result.scale.astype(np.float64)
    each = step.groups * step.outputs // scale.size  # kernel positions of a channel
    return np.repeat(scale, each).reshape(step.groups, step.outputs)


def choose_adc(histograms: Sequence[SumHistogram], bits: int) -> tuple[int, int]:
    """`lo` and `step` of least weighted squared error over all histograms together."""
    values = np.concatenate([item.values for item in histograms])
    weights = np.concatenate([item.weights for item in histograms])
    values, places = np.unique(values, return_inverse=True)
    weights = np.bincount(places, weights=weights).astype(np.float64)
    top = (1 << bits) - 1
    low, high = min(int(values[0]), 0), max(int(values[-1]), 1)
    best = (np.inf, 0, 1)
    for step in _candidates(low, high, top):
        most = min(-(low // step), top)
        for codes in np.unique(np.linspace(0, most, _PLACES).round().astype(np.int64)).tolist():
            error = _error(values, weights, -codes * step, step, top)
            best = min(best, (error, -codes * step, step))
    return best[1], best[2]


def _candidates(low: int, high: int, top: int) -> list[int]:
    """Steps from 1 to the one that covers everything, evenly in their logarithm."""
    widest = max(1, -(-(high - low) // top) + 1)
    steps = np.exp(np.linspace(0, np.log(widest), _STEPS)).round().astype(np.int64)
    return [int(step) for step in np.unique(steps)]


def _error(values: Int64Array, weights: Float64Array, lo: int, step: int, top: int) -> float:
    codes = np.clip((2 * (values - lo) + step) // (2 * step), 0, top)
    return float((weights * (values - lo - step * codes).astype(np.float64) ** 2).sum())


def one_setting(lo: int, step: int, bits: int) -> AdcSettings:
    """The same setting for every conversion of a layer."""
    shape = (1, 1, 1, 1)
    return AdcSettings(
        np.full(shape, bits, dtype=np.uint8),
        np.full(shape, lo, dtype=np.int32),
        np.full(shape, step, dtype=np.int32),
        POLICY,
    )
