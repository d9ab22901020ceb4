"""Steps: the real value of one integer, for each output, on a logarithmic grid of candidates."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import Float64Array

# The 4.1 octaves of `_candidates` in steps of 5 %, and of .3 %.
_FEWEST, _MOST = 56, 900
# Weights times candidates. A layer of a million weights keeps the least count, 56.
_WORK = 2e8
FACTORS = (0.84, 1.19, 0.71, 1.41, 1.68)
"""Candidates around the best step of plain rounding; error feedback likes other steps than it."""
FINE_FACTORS = (0.94, 1.06)
"""Candidates around the best of those."""


def rounding_steps(
    weights: Float64Array, importance: Float64Array, low: int, high: int
) -> Float64Array:
    """Steps of least weighted squared rounding error, for outputs that stand alone.

    Candidates are 5 % apart in large layers. In small ones, whose error is a rough function of the
    step, they are up to 16 times as dense.

    Args:
        weights: axes: group, input, output.
        importance: what a squared error of each input counts; axes: group, input.
        low: least integer.
        high: largest integer.

    Returns:
        Axes: group, output.
    """
    reach = np.maximum(
        weights.max(axis=1, initial=0) / max(high, 1),
        (-weights).max(axis=1, initial=0) / max(-low, 1),
    )
    full = np.where(reach > 0, reach, 1.0)
    best, least = full.copy(), np.full(full.shape, np.inf)
    # Two arrays for all candidates: new ones for each took longer than the arithmetic.
    scaled, whole = np.empty_like(weights), np.empty_like(weights)
    for ratio in _candidates(weights.size):
        steps = full * ratio
        np.divide(weights, steps[:, None], out=scaled)
        np.rint(scaled, out=whole)
        np.clip(whole, low, high, out=whole)
        np.subtract(scaled, whole, out=scaled)
        np.square(scaled, out=scaled)
        cost = np.einsum("gi,gio->go", importance, scaled) * steps**2
        better = cost < least
        best[better], least[better] = steps[better], cost[better]
    return best


def _candidates(size: int) -> Float64Array:
    """Shares of the step that just reaches the largest weight; of few weights a larger may do."""
    count = int(np.clip(_WORK / max(1, size), _FEWEST, _MOST))
    return np.exp2(np.linspace(-3.5, 0.6, count))


def spread(weights: Float64Array, importance: Float64Array) -> Float64Array:
    """Root of the weighted mean square of each output; 1 for an output of zeros."""
    total = np.maximum(importance.sum(axis=1), np.finfo(np.float64).tiny)
    square = np.einsum("gi,gio->go", importance, weights**2) / total[:, None]
    return np.where(square > 0, np.sqrt(square), 1.0)
