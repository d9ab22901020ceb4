"""Estimate how often errors change answers, from more than the samples whose answers changed.

Of a thousand samples some sixty lie so near a decision boundary that a coarse program may change
their answers, and some thirty change: which of them is chance. So every sample is also tried with
the errors of the other samples. Errors are matched by rank of the exact scores (first, second,
...), and scaled to the size that errors have at the sample's distance from the boundary: confident
answers have larger scores and larger errors.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import Float64Array

FEWEST = 64
"""Samples below which errors are not carried over."""

# Errors that each sample is given: the share of answers that turn is then known to 1.6 points at
# worst, for one sample, and samples are averaged.
_MOST_ERRORS = 1024
# Largest scores that an answer may turn to. With 1,024 errors they take 128 KiB a sample.
_RANKS = 16
# Of the curves in the margin: three numbers for each rank and three for the size, from 64 samples
# at least. A line could not follow errors that grow with the margin and then saturate.
_DEGREE = 2
# Share of the exact scores that a program must still follow for its common factor to be taken out.
# Below it the factor is above 50, and made of errors.
_LEAST_GAIN = 0.02


def turned_loss(exact: Float64Array, found: Float64Array, likely: Float64Array) -> float:
    """Mean likelihood that is lost where another score becomes the largest.

    Args:
        exact: scores; axes: sample, class.
        found: scores of the coarse program; axes as `exact`.
        likely: likelihood of each class; axes as `exact`.
    """
    order = np.argsort(-exact, axis=1, kind="stable")[:, :_RANKS]
    off = _rescale(found, exact) - exact
    first, off, chance = (np.take_along_axis(part, order, axis=1) for part in (exact, off, likely))
    if not off.any():
        return 0.0
    mean, size = _trend(first, off)
    errors = ((off - mean) / size[:, None])[_pick_evenly(len(off))]
    lost = 0.0
    for scores, scale, share in zip(first + mean, size.tolist(), chance, strict=True):
        answers = (scores + scale * errors).argmax(axis=1)
        # Scores are in the order of the exact ones, so 0 is the exact answer.
        lost += float(share[0] - share[answers].mean())
    return lost / len(exact)


def _rescale(found: Float64Array, exact: Float64Array) -> Float64Array:
    """Scores whose common factor, which turns no answer, is that of the exact ones."""
    if np.array_equal(found, exact):
        return exact
    a, b = (part - part.mean(axis=1, keepdims=True) for part in (exact, found))
    power, shared = float((a * a).sum()), float((a * b).sum())
    factor = power / shared if shared > _LEAST_GAIN * power else 1.0
    scores: Float64Array = factor * b + exact.mean(axis=1, keepdims=True)
    return scores


def _trend(first: Float64Array, off: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Mean and size of errors by distance from the boundary; axes: sample, rank, and sample."""
    margin = first[:, 0] - first[:, 1]
    place = np.log1p(margin / max(float(np.median(margin)), 1e-30))
    powers = place[:, None] ** np.arange(_DEGREE + 1)
    mean = powers @ np.linalg.lstsq(powers, off, rcond=None)[0]
    squares = ((off - mean) ** 2).mean(axis=1)
    # A sample without any error must not pull the curve to minus infinity.
    logs = np.log(np.maximum(squares, 1e-9 * squares.mean() + 1e-300))
    size = np.exp(powers @ np.linalg.lstsq(powers, logs, rcond=None)[0] / 2)
    return mean, size


def _pick_evenly(samples: int) -> slice:
    """Evenly spread samples whose errors serve, all if they are few."""
    return slice(None, None, -(-samples // _MOST_ERRORS))
