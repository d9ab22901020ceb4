"""From answers to figures with bounds, and which classes of designs can still win.

Two designs are compared on the same samples: they disagree on few of them, so their difference is
known far better than either accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.explore.work import NO_LABEL, Answers
from xbarc.numerics import BoolArray, Float64Array

# Standard errors by which one design must lead another before the other is given up: at three, one
# comparison in some 700 goes wrong by chance, and a design has to lose only once.
_ERRORS = 3.0

# Judged figures that are means over samples, and so have bounds. The signal to error of a whole run
# is none: nothing is given up by it.
BOUNDED = ("top1", "agreement")


@dataclass(frozen=True, eq=False)
class Judged:
    """What samples say of one class on one model.

    Attributes:
        samples: how many were answered.
        figures: `top1`, `agreement` and `sqnr_db`; None where the data do not tell.
        right: share of chips that were right, by figure; axis: sample.
        float_right: the same of the float model.
    """

    samples: int
    figures: Mapping[str, float | None]
    right: Mapping[str, Float64Array]
    float_right: Mapping[str, Float64Array]

    @property
    def floats(self) -> dict[str, float | None]:
        """Figures of the float model on the same samples."""
        return {name: float(right.mean()) for name, right in self.float_right.items()}


def judge(chips: Sequence[Answers]) -> Judged:
    """Join what the chips of one class say of the same samples."""
    first = chips[0]
    right: dict[str, Float64Array] = {}
    floats: dict[str, Float64Array] = {}
    if bool((first.expected >= 0).all()):
        truths = {"agreement": first.expected}
        if bool((first.labels != NO_LABEL).all()):
            truths["top1"] = first.labels
        for name, truth in truths.items():
            right[name] = np.mean([one.classes == truth for one in chips], axis=0)
            floats[name] = (first.expected == truth).astype(np.float64)
    figures: dict[str, float | None] = {
        name: float(right[name].mean()) if name in right else None for name in BOUNDED
    }
    figures["sqnr_db"] = _sqnr_db(chips)
    return Judged(len(first.classes), figures, right, floats)


def _sqnr_db(chips: Sequence[Answers]) -> float | None:
    """Signal to error over all samples and chips; None where either is no number."""
    signal = float(sum(one.signal.sum() for one in chips))
    error = float(sum(one.error.sum() for one in chips))
    if not (np.isfinite(signal) and np.isfinite(error)) or signal <= 0:
        return None
    return 10 * float(np.log10(signal / error)) if error else float("inf")


def join_answers(parts: Sequence[Answers]) -> Answers:
    """Answers on one run of samples after another."""
    return Answers(
        classes=np.concatenate([part.classes for part in parts]),
        expected=np.concatenate([part.expected for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        error=np.concatenate([part.error for part in parts]),
        signal=np.concatenate([part.signal for part in parts]),
        seconds=sum(part.seconds for part in parts),
    )


def surely_no_worse(right: Float64Array) -> BoolArray:
    """Which classes are no worse than others beyond doubt, and differ from them.

    Args:
        right: share of chips that were right; axes: class, sample.

    Returns:
        Axes: class that leads, class that trails. The lead is that of the paired difference, less
        three standard errors; one sample that disagrees is added, so that few samples that all
        agree prove nothing.
    """
    count = right.shape[1]
    sums = right.sum(axis=1)
    lead = (sums[:, None] - sums[None, :]) / count
    # Squared differences, summed: of right and wrong, the samples on which two disagree.
    products = right @ right.T
    own = np.diag(products)
    apart = np.maximum(own[:, None] + own[None, :] - 2 * products, 0.0)
    found: BoolArray = lead - _ERRORS * np.sqrt(apart + 1) / count >= 0
    return found


def highest_mean(right: Float64Array, reference: Float64Array | None = None) -> float:
    """The most that the mean over all data could be, above that of a reference where one is given.

    Args:
        right: axis: sample.
        reference: of the same samples.
    """
    apart = right if reference is None else right - reference
    spread = float(np.square(apart - apart.mean()).sum())
    return float(apart.mean()) + _ERRORS * float(np.sqrt(spread + 1)) / len(right)
