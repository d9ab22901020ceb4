"""How often errors like those that were met turn answers, rather than how often they just did.

Of a thousand samples some sixty lie so near a boundary that a coarse program may turn them, and
thirty do: which of them is chance. So every sample is given the errors of the others as well. They
are taken in the order of its exact scores (first, second, ...), and brought to the size that errors
have at its distance from the boundary: sure answers come with larger scores and larger errors.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import Float64Array

FEWEST = 64
"""Samples below which errors are not carried over."""

_MOST_ERRORS = 1024
_RANKS = 16
_DEGREE = 2
_LEAST_GAIN = 0.02


def turned_loss(exact: Float64Array, found: Float64Array, likely: Float64Array) -> float:
    """Mean likelihood that is lost where the largest score is another one.

    Args:
        exact: scores; axes: sample, class.
        found: those of the coarse program, alike.
        likely: of each class, alike.
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
    logs = np.log(np.maximum(squares, 1e-9 * squares.mean() + 1e-300))
    size = np.exp(powers @ np.linalg.lstsq(powers, logs, rcond=None)[0] / 2)
    return mean, size


def _pick_evenly(samples: int) -> slice:
    """Evenly spread samples whose errors serve, all if they are few."""
    return slice(None, None, -(-samples // _MOST_ERRORS))
