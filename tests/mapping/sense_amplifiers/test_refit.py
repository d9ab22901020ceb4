"""A classifier fitted to what a split network delivers."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xbarc.mapping import refit_classifier
from xbarc.numerics.types import Float64Array


def _case(seed: int, flips: float) -> tuple[Float64Array, ...]:
    """Clean features, features with bits turned, and a classifier of the clean ones."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(1200, 6)) @ rng.normal(size=(6, 20))
    clean = np.where(hidden + rng.normal(size=hidden.shape) >= 0, 1.0, -1.0)
    turned = np.where(rng.random(clean.shape) < flips * rng.random(20), -clean, clean)
    return clean, turned, rng.normal(size=(20, 4)) * 0.3, rng.normal(size=4)


def _divergence(wanted: Float64Array, found: Float64Array) -> float:
    def logs(scores: Float64Array) -> Float64Array:
        level = scores - scores.max(axis=1, keepdims=True)
        result: Float64Array = level - np.log(np.exp(level).sum(axis=1, keepdims=True))
        return result

    return float((np.exp(logs(wanted)) * (logs(wanted) - logs(found))).sum(axis=1).mean())


@settings(max_examples=20)
@given(seed=st.integers(0, 500))
def test_turned_bits_are_weighed_less(seed: int) -> None:
    clean, turned, weight, bias = _case(seed, 0.5)
    wanted = clean @ weight + bias
    fit = refit_classifier(turned[:800], wanted[:800], weight, bias)
    assert fit is not None
    assert fit.after < fit.before
    fresh = _divergence(wanted[800:], turned[800:] @ fit.weight + fit.bias)
    assert fresh < _divergence(wanted[800:], turned[800:] @ weight + bias)


@settings(max_examples=20)
@given(seed=st.integers(0, 500))
def test_what_is_right_stays(seed: int) -> None:
    clean, _, weight, bias = _case(seed, 0.0)
    assert refit_classifier(clean, clean @ weight + bias, weight, bias) is None


def test_too_little_to_judge_by_changes_nothing() -> None:
    clean, turned, weight, bias = _case(0, 0.5)
    wanted = clean @ weight + bias
    assert refit_classifier(turned[:99], wanted[:99], weight, bias) is None
    assert refit_classifier(turned, wanted[:, :1], weight[:, :1], bias[:1]) is None


def test_without_a_bias_there_is_none_afterwards() -> None:
    clean, turned, weight, bias = _case(3, 0.5)
    fit = refit_classifier(turned, clean @ weight, weight, bias * 0, biased=False)
    assert fit is not None
    assert not fit.bias.any()
    assert fit.weight.shape == weight.shape
