"""Distance of a coarse program's outputs from the exact ones, and its cost in top-1.

Counting labels says little where few answers change: of a thousand samples, five more or less are
half a point, which is as much as chance. So the *expected* loss is given beside the counted one.
The exact scores, at the temperature that fits the labels best, give a likelihood of each class; a
sample whose answer changes costs the difference of the two likelihoods. Which answers change is
chance as well, so each sample is tried with the errors of the others (`expected_loss`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from xbarc.calibration.expected_loss import FEWEST, turned_loss
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array, Int64Array

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_module("scipy.special")

# Of the jackknife, as many as there are folds: each leaves out an eighth, and costs one judgement.
_GROUPS = 8
# In units of the spread of all scores, in steps of 5 %: the likelihood is flat around its best.
_TEMPERATURES = np.geomspace(0.05, 50.0, 139)


@dataclass(eq=False)
class Scores:
    """The exact outputs, one array a batch, and the class of each sample if it is known."""

    labels: AnyArray | None
    exact: list[AnyArray] = field(default_factory=list)

    def difference(self, outputs: Sequence[AnyArray]) -> float:
        """Summed squared difference to the exact outputs."""
        pairs = zip(self.exact, outputs, strict=True)
        return float(sum(((a - b) ** 2).sum() for a, b in pairs))

    @property
    def power(self) -> float:
        """Summed squares of the exact outputs."""
        return float(sum((part**2).sum() for part in self.exact))

    def decibels(self, outputs: Sequence[AnyArray]) -> float | None:
        """SQNR; None where nothing differs."""
        return decibels(self.power, self.difference(outputs))

    def top1(self, outputs: Sequence[AnyArray]) -> float | None:
        """Share of labels met; None without labels."""
        if self.labels is None:
            return None
        rows = answers(outputs)
        return float((rows == self.labels[: len(rows)]).mean())

    def spread(self, outputs: Sequence[AnyArray]) -> float | None:
        """Standard error of the difference in top-1: from samples that turned right or wrong."""
        if self.labels is None:
            return None
        exact, found = answers(self.exact), answers(outputs)
        labels = self.labels[: len(exact)]
        turned = ((exact == labels) != (found == labels)).sum()
        return float(np.sqrt(turned) / max(1, len(labels)))

    def expected_loss(self, outputs: Sequence[AnyArray]) -> float | None:
        """Top-1 that is lost by expectation, 0 to 1; None without labels."""
        if self.labels is None:
            return None
        return _expect_loss(_rows(self.exact), _rows(outputs), self.labels)

    def expected_error(self, outputs: Sequence[AnyArray]) -> float | None:
        """Standard error of the expected loss, for other samples of the same kind.

        Temperature and sizes of errors are found anew without each of `_GROUPS` groups of samples
        (jackknife). None without labels, or with too few samples to leave some out.
        """
        exact, found = _rows(self.exact), _rows(outputs)
        if self.labels is None or len(exact) < 2 * _GROUPS:
            return None
        group = np.arange(len(exact)) % _GROUPS
        without = [
            _expect_loss(
                exact[group != g], found[group != g], self.labels[: len(exact)][group != g]
            )
            for g in range(_GROUPS)
        ]
        return float(np.sqrt((_GROUPS - 1) * np.var(without)))


def _expect_loss(exact: Float64Array, found: Float64Array, labels: AnyArray) -> float:
    likely = likelihoods(exact, labels)
    if len(exact) >= FEWEST and exact.shape[1] > 1:
        return turned_loss(exact, found, likely)
    number = np.arange(len(likely))
    lost = likely[number, exact.argmax(axis=1)] - likely[number, found.argmax(axis=1)]
    return float(lost.mean())


def answers(outputs: Sequence[AnyArray]) -> Int64Array:
    """The class with the largest score of each sample."""
    found: Int64Array = _rows(outputs).argmax(axis=1)
    return found


def decibels(signal: float, error: float) -> float | None:
    """Ratio of powers; None where one of them is nothing."""
    return 10 * float(np.log10(signal / error)) if signal > 0 and error > 0 else None


def likelihoods(scores: Float64Array, labels: AnyArray) -> Float64Array:
    """Softmax of scores at the temperature that best says which of the two largest is the label.

    That is what counts where an answer turns. Over all classes and samples together, the many sure
    ones decide the temperature, and make the others look surer than they are.

    Args:
        scores: logits, or shares that add up to one; axes: sample, class.
        labels: class of each sample.
    """
    # Of a model that ends in a Softmax: its logits but for a constant, which changes nothing.
    logits = np.log(np.maximum(scores, 1e-12)) if _are_shares(scores) else scores
    leads = _leads(logits, labels[: len(logits)].astype(np.int64))
    unit = float(logits.std()) or 1.0
    costs = [np.logaddexp(0.0, -leads / (unit * t)).sum() for t in _TEMPERATURES.tolist()]
    best = unit * float(_TEMPERATURES[int(np.argmin(costs))])
    found: Float64Array = special.softmax(logits / best, axis=1)
    return found


def _leads(logits: Float64Array, labels: Int64Array) -> Float64Array:
    """By how much the label's score leads the other of the two largest, where it is one of them."""
    if logits.shape[1] < 2:
        return np.zeros(0)
    two = np.argsort(-logits, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(logits, two, axis=1).T
    met = two == labels[:, None]
    found: Float64Array = np.where(met[:, 0], first - second, second - first)[met.any(axis=1)]
    return found


def _rows(outputs: Sequence[AnyArray]) -> Float64Array:
    rows: Float64Array = np.concatenate([part.reshape(len(part), -1) for part in outputs])
    return rows


def _are_shares(scores: Float64Array) -> bool:
    return bool((scores >= 0).all() and np.allclose(scores.sum(axis=1), 1.0, atol=1e-3))
