"""Thresholds of split layers, from sums that were seen. Pure functions of arrays.

Outputs are searched one by one. A window of a pooled layer fires where any of its positions fires,
and a position where enough of its comparisons do. With all comparisons but one held fixed, the best
threshold of that one is found exactly: only positions that lack one vote matter, and of each window
only the largest of their sums. The same holds for the number of votes that decide. Each of these
steps can only lower the count of wrong bits, so going round ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.mapping.sense_amplifiers import search_loops
else:
    search_loops = lazy_module("xbarc.mapping.sense_amplifiers.search_loops")

# Each round lowers the count of wrong bits or is the last, and a few are enough; this bounds the
# time.
_ROUNDS = 30


@dataclass(frozen=True, eq=False)
class SplitSums:
    """What the comparisons of a layer see on data, and what should come of it.

    Attributes:
        sums: sums of one group's matrix; a position outside the picture holds -1, which reaches no
            threshold; axes: group, output, segment, window, position.
        wanted: the unsplit network's own bits, or its real sums; axes: group, output, window.
    """

    sums: IntArray
    wanted: AnyArray


@dataclass(frozen=True, eq=False)
class ThresholdFit:
    """Thresholds that were found.

    Attributes:
        thresholds: axes: group, segment, conversion, level.
        votes: axes: group, output.
        wrong: share of windows that come out wrong; axes: group, output.
    """

    thresholds: IntArray
    votes: Int64Array
    wrong: Float64Array


def fit_thresholds(seen: SplitSums, start: IntArray, search: bool) -> ThresholdFit:
    """Votes by an exact scan, and thresholds with them where `search` asks for it.

    Args:
        seen: sums and the bits they should give.
        start: thresholds to begin with; axes: group, segment, conversion, level.
        search: False leaves the thresholds as they are.
    """
    groups, outputs = seen.wanted.shape[:2]
    levels = start.shape[3]
    # Everything of one layout: the search is compiled for each.
    flat = start.transpose(0, 2, 1, 3).reshape(groups * outputs, -1).astype(np.int32, order="C")
    # The majority, to begin with.
    votes = np.full(groups * outputs, -(-flat.shape[1] // 2), dtype=np.int64)
    wrong = np.zeros(groups * outputs, dtype=np.int64)
    sums = np.ascontiguousarray(seen.sums.reshape(groups * outputs, *seen.sums.shape[2:]))
    wanted = seen.wanted.reshape(groups * outputs, -1).astype(np.bool_, order="C")
    top = int(sums.max(initial=0))
    for output in range(groups * outputs):
        votes[output], wrong[output] = search_loops.descend(
            sums[output], wanted[output], flat[output], levels, top, _ROUNDS if search else 0
        )
    ordered = np.sort(flat.reshape(groups, outputs, -1, levels), axis=3)
    windows = max(1, wanted.shape[1])
    return ThresholdFit(
        np.ascontiguousarray(ordered.transpose(0, 2, 1, 3)),
        votes.reshape(groups, outputs),
        wrong.reshape(groups, outputs) / windows,
    )


def mean_totals(seen: SplitSums) -> Float64Array:
    """The mean over positions of all segments' sums together; axes: group, output."""
    inside = seen.sums >= 0
    totals = np.where(inside, seen.sums, 0).sum(axis=(3, 4), dtype=np.float64)
    counts = np.maximum(1, inside.sum(axis=(3, 4)))
    mean: Float64Array = (totals / counts).sum(axis=2)
    return mean


def mean_thresholds(seen: SplitSums, share: Float64Array, places: Float64Array) -> IntArray:
    """Each group's mean, plus its share of how far the layer's threshold lies from the total's.

    Args:
        seen: sums.
        share: what is to be distributed, the layer's threshold less the mean total, in sums; axes:
            group, output.
        places: where the levels lie, in standard deviations.

    Returns:
        Axes: group, segment, conversion, level.
    """
    inside = seen.sums >= 0
    counts = np.maximum(1, inside.sum(axis=(3, 4)))
    real = np.where(inside, seen.sums, 0)
    mean = real.sum(axis=(3, 4), dtype=np.float64) / counts
    square = np.einsum("gosnp,gosnp->gos", real, real, dtype=np.float64) / counts
    sigma = np.sqrt(np.maximum(0.0, square - mean**2))
    each = mean + share[:, :, None] / seen.sums.shape[2]
    levels = each[..., None] + sigma[..., None] * places
    thresholds: IntArray = np.ceil(levels).astype(np.int32).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(thresholds)


def fit_counts(seen: SplitSums, thresholds: IntArray) -> tuple[Float64Array, Float64Array]:
    """Slope and start of the line from counts to the wanted real sums, by least squares.

    Returns:
        One number per output of all groups, each.
    """
    counts = np.zeros(seen.wanted.shape, dtype=np.float64)
    for segment in range(seen.sums.shape[2]):
        sums = seen.sums[:, :, segment, :, 0]
        for level in range(thresholds.shape[3]):
            counts += sums >= thresholds[:, segment, :, level][..., None]
    wanted = seen.wanted.astype(np.float64)
    centred = counts - counts.mean(axis=2, keepdims=True)
    spread = (centred**2).sum(axis=2)
    product = (centred * (wanted - wanted.mean(axis=2, keepdims=True))).sum(axis=2)
    slope = np.divide(product, spread, out=np.zeros_like(product), where=spread > 0)
    start = wanted.mean(axis=2) - slope * counts.mean(axis=2)
    return slope.reshape(-1), start.reshape(-1)
