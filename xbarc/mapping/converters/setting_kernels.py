# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Range and step of least error for a histogram of sums: the compiled part.

With running sums of the histogram's moments, the error of one code is four subtractions whatever
its width, so a setting is judged in `2**bits` steps. `calibrated.py` is the typed face.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from xbarc.numerics import compiled


@compiled()
def _place(sums, first):
    """Bins whose sum is below `first`; sums are evenly spaced."""
    if len(sums) < 2:
        return 0 if len(sums) == 0 or sums[0] >= first else 1
    gap = sums[1] - sums[0]
    return min(max((first - sums[0] + gap - 1) // gap, 0), len(sums))


@compiled()
def setting_error(sums, moments, lo, step, bits):
    """Sum of squared differences between sums and what they read back as.

    Args:
        sums: the sum of each bin, rising.
        moments: running sums, from 0, of weight, weight times sum, weight times squared sum; axes:
            moment, bin and the end.
        lo: sum of code 0.
        step: sums between two codes.
        bits: width of a code.
    """
    codes = 1 << bits
    total, before = 0.0, 0
    for code in range(codes):
        after = len(sums)
        if code < codes - 1:
            after = max(before, _place(sums, lo + (code + 1) * step - step // 2))
        if after > before:
            value = np.float64(lo + code * step)
            m0 = moments[0, after] - moments[0, before]
            m1 = moments[1, after] - moments[1, before]
            m2 = moments[2, after] - moments[2, before]
            total += m2 - 2.0 * value * m1 + value * value * m0
        before = after
        if before == len(sums):
            break
    # Differences of running sums can round below zero.
    return max(total, 0.0)


@compiled()
def best_setting(sums, moments, bits, tries):
    """Lower end, step and error of the best setting found for this many bits.

    Steps from the whole range down; for each, lower ends over what the range leaves free; then a
    closer look around the best.
    """
    low, high = 0, len(sums) - 1
    while low <= high and not moments[0, low + 1] > moments[0, low]:
        low += 1
    if low > high:
        return np.int64(0), np.int64(1), 0.0
    while not moments[0, high + 1] > moments[0, high]:
        high -= 1
    first, last = np.int64(sums[low]), np.int64(sums[high])
    # Every sum has a code of its own: no search can be better than exact.
    if last - first < 1 << bits and (len(sums) < 2 or sums[1] - sums[0] == 1):
        return first, np.int64(1), 0.0
    # One code for all: the mean has the least squared error.
    if bits == 0:
        mean = np.int64(np.rint(moments[1, -1] / moments[0, -1]))
        return mean, np.int64(1), setting_error(sums, moments, mean, 1, 0)
    codes = np.int64((1 << bits) - 1)
    widest = max(np.int64(1), -((first - last) // codes))
    best = (first, widest, setting_error(sums, moments, first, widest, bits))
    steps: Any = min(widest, np.int64(tries))
    for turn in range(steps):
        step = max(np.int64(1), widest - (widest * turn) // steps)
        best = _try_ends(sums, moments, bits, step, first, last, tries, best)
    reach = max(np.int64(1), widest // steps)
    for near in range(max(np.int64(1), best[1] - reach), best[1] + reach + 1):
        best = _try_ends(sums, moments, bits, np.int64(near), first, last, tries, best)
    return best


@compiled()
def _try_ends(sums, moments, bits, step, first, last, tries, best):
    """Lower ends from the first sum to where the range ends at the last, and a bit beyond."""
    free = max(last - first - ((1 << bits) - 1) * step, np.int64(0)) + step // 2
    apart = max(np.int64(1), free // tries)
    lo = first - step // 2
    while lo <= first + free:
        error = setting_error(sums, moments, lo, step, bits)
        if error < best[2]:
            best = (lo, step, error)
        lo += apart
    return best
