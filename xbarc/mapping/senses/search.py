"""Thresholds of split layers, from sums that were seen. Pure functions of arrays.

Outputs are searched one by one. A window of a pooled layer fires where any of its positions fires,
and a position where enough of its comparisons do. With all comparisons but one held fixed, the best
threshold of that one is found exactly: only positions that lack one vote matter, and of each window
only the largest of their sums. The same holds for the number of votes that decide. Each of these
steps can only lower the count of wrong bits, so going round ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from xbarc.numerics.types import AnyArray, BoolArray, Float64Array, Int64Array, IntArray

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
class Fit:
    """Thresholds that were found.

    Attributes:
        thresholds: axes: group, segment, conversion, level.
        votes: axes: group, output.
        wrong: share of windows that come out wrong; axes: group, output.
    """

    thresholds: IntArray
    votes: Int64Array
    wrong: Float64Array


def fit_thresholds(seen: SplitSums, start: IntArray, search: bool) -> Fit:
    """Votes by an exact scan, and thresholds with them where `search` asks for it.

    Args:
        seen: sums and the bits they should give.
        start: thresholds to begin with; axes: group, segment, conversion, level.
        search: False leaves the thresholds as they are.
    """
    groups, outputs = seen.wanted.shape[:2]
    levels = start.shape[3]
    flat = start.transpose(0, 2, 1, 3).reshape(groups * outputs, -1).astype(np.int32)
    votes = np.full(groups * outputs, -(-flat.shape[1] // 2), dtype=np.int64)
    wrong = np.zeros(groups * outputs, dtype=np.int64)
    sums = seen.sums.reshape(groups * outputs, *seen.sums.shape[2:])
    wanted = seen.wanted.reshape(groups * outputs, -1).astype(np.bool_)
    top = int(sums.max(initial=0))
    for output in range(groups * outputs):
        votes[output], wrong[output] = _descend(
            sums[output], wanted[output], flat[output], levels, top, _ROUNDS if search else 0
        )
    ordered = np.sort(flat.reshape(groups, outputs, -1, levels), axis=3)
    windows = max(1, wanted.shape[1])
    return Fit(
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
        share: what is to be dealt out, the layer's threshold less the mean total, in sums; axes:
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
        One number an output of all groups, each.
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


@nb.njit(nogil=True, cache=True)
def _descend(
    sums: IntArray,
    wanted: BoolArray,
    thresholds: IntArray,
    levels: int,
    top: int,
    rounds: int,
) -> tuple[int, int]:
    """Search one output; `thresholds` (axis: segment and level) are changed in place."""
    counts = np.zeros(sums.shape[1:], dtype=np.int64)
    for sense in range(thresholds.size):
        _add(counts, sums[sense // levels], thresholds[sense], 1)
    votes, wrong = _scan_votes(counts, wanted, thresholds.size)
    for _ in range(rounds):
        before = wrong
        for sense in range(thresholds.size):
            own = sums[sense // levels]
            _add(counts, own, thresholds[sense], -1)
            thresholds[sense], wrong = _scan_threshold(counts, own, wanted, votes, top)
            _add(counts, own, thresholds[sense], 1)
        votes, wrong = _scan_votes(counts, wanted, thresholds.size)
        if wrong >= before:
            break
    return votes, wrong


@nb.njit(nogil=True, cache=True)
def _add(counts: IntArray, sums: IntArray, threshold: int, sign: int) -> None:
    """Count one comparison in or out, at every position."""
    for window in range(sums.shape[0]):
        for position in range(sums.shape[1]):
            if sums[window, position] >= threshold:
                counts[window, position] += sign


@nb.njit(nogil=True, cache=True)
def _scan_votes(counts: IntArray, wanted: BoolArray, senses: int) -> tuple[int, int]:
    """The number of votes that gives the fewest wrong windows, and how many these are."""
    fired = np.zeros((2, senses + 2), dtype=np.int64)
    for window in range(counts.shape[0]):
        fired[np.int64(wanted[window]), counts[window].max()] += 1
    # with `votes` needed, windows of fewer stay silent: wrong are wanted ones below, others above
    best, best_wrong = 1, counts.shape[0] + 1
    silent_wanted = 0
    loud_unwanted = fired[0].sum()
    for votes in range(1, senses + 1):
        silent_wanted += fired[1, votes - 1]
        loud_unwanted -= fired[0, votes - 1]
        middle = abs(2 * votes - senses - 1) < abs(2 * best - senses - 1)
        wrong = silent_wanted + loud_unwanted
        if wrong < best_wrong or (wrong == best_wrong and middle):
            best, best_wrong = votes, wrong
    return best, best_wrong


@nb.njit(nogil=True, cache=True)
def _scan_threshold(
    others: IntArray, own: IntArray, wanted: BoolArray, votes: int, top: int
) -> tuple[int, int]:
    """The best threshold of one comparison beside the others' counts, and the wrong windows."""
    balance = np.zeros(top + 2, dtype=np.int64)
    wrong = 0  # with a threshold of 0: every window whose pivot exists fires
    for window in range(own.shape[0]):
        pivot, decided = -1, False
        for position in range(own.shape[1]):
            if others[window, position] >= votes:
                decided = True
            elif others[window, position] == votes - 1:
                pivot = max(pivot, own[window, position])
        wrong += (decided or pivot >= 0) != wanted[window]
        if not decided and pivot >= 0:  # silent from pivot + 1 on
            balance[pivot + 1] += 1 if wanted[window] else -1
    return _best_place(balance, wrong)


@nb.njit(nogil=True, cache=True)
def _best_place(balance: IntArray, wrong: int) -> tuple[int, int]:
    """Where the running count of wrong windows is least; of equal ones in a run, the middle."""
    least, first, last = wrong, 0, 0
    running = wrong
    for place in range(1, balance.size):
        running += balance[place]
        if running < least:
            least, first, last = running, place, place
        elif running == least and last == place - 1:
            last = place
    return (first + last + 1) // 2, least
