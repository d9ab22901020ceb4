"""A real classifier fitted to what comes out of a split network. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import Float64Array

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_module("scipy.special")

# In units of the mean square of the features. The curvature of n samples is at most n / 2 of these
# on average over directions, so that 30 holds weights as firmly as 60 samples pull, and 3000 as
# 6,000. Two to a decade; held-back samples choose among them.
_PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)
# No step raises what is lowered, so that any number is safe; with a fixed bound of the curvature
# they converge linearly.
_ROUNDS = 40
_NOTHING = 1e-14
"""A divergence of equal scores: sums of a few thousand float64 shares round to about 1e-16."""
_HELD_BACK = 5  # every fifth sample judges, and four fifths teach; our choice
# A fifth of the samples judges: at least 20. Our choice of what is too few to show a gain.
_FEWEST = 100


@dataclass(frozen=True, eq=False)
class Refit:
    """New weights of a classifier, and what they are worth on samples that did not choose them.

    Attributes:
        weight: axes: feature, class.
        bias: axis: class.
        before, after: mean divergence (Kullback and Leibler, nats) of the scores' softmax from the
            wanted one.
    """

    weight: Float64Array
    bias: Float64Array
    before: float
    after: float


def refit_classifier(
    features: Float64Array,
    wanted: Float64Array,
    weight: Float64Array,
    bias: Float64Array,
    *,
    biased: bool = True,
) -> Refit | None:
    """Weights whose scores on `features` tell the same classes as the wanted scores.

    The divergence of the softmax is lowered, with a penalty on leaving the old weights; samples
    that are held back choose the penalty, and whether anything changes at all.

    Args:
        features: of the split network; axes: sample, feature.
        wanted: scores of the unsplit network; axes: sample, class.
        weight: axes: feature, class.
        bias: axis: class.
        biased: False where the classifier has no bias; then `bias` is zeros and stays so.

    Returns:
        None where held-back samples are not served better, by the divergence and by the squared
        error of the scores; and where there is one class, or too few samples.
    """
    if len(features) < _FEWEST or wanted.shape[1] < 2:
        return None
    data = np.column_stack([features, np.ones(len(features))]) if biased else features
    goal = special.softmax(wanted, axis=1)
    old = np.vstack([weight, bias]) if biased else weight
    judge = np.arange(len(data)) % _HELD_BACK == _HELD_BACK - 1
    tried = [_lower_divergence(data[~judge], goal[~judge], old, penalty) for penalty in _PENALTIES]
    losses = [_divergence(goal[judge], data[judge] @ new) for new in tried]
    best = int(np.argmin(losses))
    before = _divergence(goal[judge], data[judge] @ old)
    errors = [_error(wanted[judge], data[judge] @ each) for each in (old, tried[best])]
    if before <= _NOTHING or losses[best] >= before or errors[1] > errors[0]:
        return None
    share = _HELD_BACK / (_HELD_BACK - 1)  # the penalty stands beside a sum over samples
    new = _lower_divergence(data, goal, old, _PENALTIES[best] * share)
    count = weight.shape[0]
    return Refit(new[:count], new[count] if biased else bias, before, losses[best])


def _lower_divergence(
    data: Float64Array, goal: Float64Array, old: Float64Array, penalty: float
) -> Float64Array:
    """Weights after steps that never raise the penalised divergence.

    Half the second moments of the data bound its curvature from above.
    """
    strength = penalty * float(np.mean(data**2))
    bound = 0.5 * data.T @ data + strength * np.eye(data.shape[1])
    inverse = np.linalg.inv(bound)
    new = old
    for _ in range(_ROUNDS):
        slope = data.T @ (special.softmax(data @ new, axis=1) - goal) + strength * (new - old)
        new = new - inverse @ slope
    return new


def _divergence(goal: Float64Array, scores: Float64Array) -> float:
    shares = np.maximum(special.softmax(scores, axis=1), 1e-300)
    logs = np.log(np.maximum(goal, 1e-300)) - np.log(shares)
    return float((goal * logs).sum(axis=1).mean())


def _error(wanted: Float64Array, scores: Float64Array) -> float:
    """Mean squared error; what all scores of a sample have in common tells nothing."""
    off = scores - wanted
    return float(((off - off.mean(axis=1, keepdims=True)) ** 2).mean())
