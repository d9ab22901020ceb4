# mypy: disable-error-code="no-any-return"
"""The compiled part of `search.py`: thresholds and votes of one output, each found exactly."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import BoolArray, IntArray, compiled


@compiled()
def descend(
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


@compiled()
def _add(counts: IntArray, sums: IntArray, threshold: int, sign: int) -> None:
    """Count one comparison in or out, at every position."""
    for window in range(sums.shape[0]):
        for position in range(sums.shape[1]):
            if sums[window, position] >= threshold:
                counts[window, position] += sign


@compiled()
def _scan_votes(counts: IntArray, wanted: BoolArray, senses: int) -> tuple[int, int]:
    """The number of votes that gives the fewest wrong windows, and how many these are."""
    fired = np.zeros((2, senses + 2), dtype=np.int64)
    for window in range(counts.shape[0]):
        most = counts[window, 0]
        for position in range(1, counts.shape[1]):
            most = max(most, counts[window, position])
        fired[np.int64(wanted[window]), most] += 1
    # with `votes` needed, windows of fewer stay silent: wrong are wanted ones below, others above
    best, best_wrong = 1, counts.shape[0] + 1
    silent_wanted = 0
    loud_unwanted = np.int64(0)
    for window in range(counts.shape[0]):
        loud_unwanted += not wanted[window]
    for votes in range(1, senses + 1):
        silent_wanted += fired[1, votes - 1]
        loud_unwanted -= fired[0, votes - 1]
        middle = abs(2 * votes - senses - 1) < abs(2 * best - senses - 1)
        wrong = silent_wanted + loud_unwanted
        if wrong < best_wrong or (wrong == best_wrong and middle):
            best, best_wrong = votes, wrong
    return best, best_wrong


@compiled()
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


@compiled()
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
