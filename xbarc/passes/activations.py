"""Ranges of activations: from calibration statistics, or left to run time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.ir import DynamicInput, FloatInput, MatrixLayer, RangeStatistics, StaticInput
from xbarc.numerics import Float64Array
from xbarc.options import RangeMethod

# Our grid: 20 % to 100 % of the range in steps of 1 %, which are 20 of the histogram's 2048 bins.
# Near its least the error is flat, so a finer grid gains little.
_SHRINK = np.linspace(0.2, 1.0, 81)


def quantize_input(
    layer: MatrixLayer, bits: int, statistics: RangeStatistics | None, method: RangeMethod
) -> MatrixLayer:
    """Choose how the layer's input becomes codes; integer inputs stay as the model gives them."""
    if not isinstance(layer.quantizer, FloatInput):
        return layer
    if statistics is None or not statistics.samples:
        return replace(layer, quantizer=DynamicInput(bits))
    low, high = choose_range(statistics, bits, method)
    return replace(layer, quantizer=static_input(low, high, bits))


def static_input(low: float, high: float, bits: int) -> StaticInput:
    """The quantiser whose codes cover `[low, high]`, zero included and exact."""
    low, high = min(low, 0.0), max(high, 0.0)
    top = (1 << bits) - 1
    scale = float(np.float32((high - low) / top))
    # A range of one point, or one that float32 rounds to nothing: any scale does.
    if not scale > 0:
        return StaticInput(bits, 1.0, 0)
    zero = int(np.clip(np.rint(-low / scale), 0, top))
    return StaticInput(bits, scale, zero)


def choose_range(
    statistics: RangeStatistics, bits: int, method: RangeMethod
) -> tuple[float, float]:
    """Lower and upper end of the range.

    `minmax` covers all that was seen; `percentile` leaves out 0.01 % at each end; `mse` takes the
    range of least squared error, clipping and rounding together, over the histogram.
    """
    low, high = statistics.low, statistics.high
    if method == "minmax" or high <= low:
        return low, high
    if method == "percentile":
        return _percentile(statistics, 1e-4)
    errors = [_squared_error(statistics, low * f, high * f, bits) for f in _SHRINK]
    best = _SHRINK[int(np.argmin(errors))]
    return low * float(best), high * float(best)


def _percentile(statistics: RangeStatistics, share: float) -> tuple[float, float]:
    total = np.cumsum(statistics.counts) / max(1, int(statistics.counts.sum()))
    first = int(np.searchsorted(total, share, side="right"))
    last = int(np.searchsorted(total, 1 - share, side="left"))
    edges = statistics.edges
    low = min(0.0, float(edges[min(first, len(edges) - 2)]))
    high = max(0.0, float(edges[min(last + 1, len(edges) - 1)]))
    return low, high


def _squared_error(statistics: RangeStatistics, low: float, high: float, bits: int) -> float:
    middle: Float64Array = (statistics.edges[:-1] + statistics.edges[1:]) / 2
    clipped = np.maximum(low - middle, 0) + np.maximum(middle - high, 0)
    rounding = ((high - low) / ((1 << bits) - 1)) ** 2 / 12
    inside = clipped == 0
    return float((statistics.counts * (clipped**2 + inside * rounding)).sum())
