"""Scales and steps from data: the prediction, its gradient, and what the passes make of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarc.numerics.types import Float64Array
from xbarc.passes.prediction import (
    CodeLevels,
    LayerFacts,
    least_error,
    predict_error,
    rounding_error,
)


def _facts(rng: np.random.Generator, groups: int, own: bool) -> list[LayerFacts]:
    """Two layers of `groups` groups; scale 1 to 4 between them, then steps."""
    channels, outputs = 2 * groups, 4
    inner = np.arange(1, 5)
    first = 5 + 4 * own
    facts = []
    for number, (ins, outs) in enumerate(((np.zeros(channels, int), inner), (inner, inner * 0))):
        size = len(ins) // groups
        steps = np.arange(5, 9) if own and not number else np.full(outputs, first)
        facts.append(
            LayerFacts(
                weights=rng.normal(size=(groups, size, 3, outputs // groups)).astype(np.float32),
                power=rng.uniform(0.5, 2, (groups, size)),
                sensitivity=rng.uniform(0.5, 2, groups * size),
                samples=np.abs(rng.normal(size=(groups * size, 16))),
                output_power=rng.uniform(0.5, 2, outputs),
                gain=rng.uniform(0.5, 2, outputs),
                blocks=2,
                inputs=ins,
                outputs=outs,
                weight_step=steps,
                input_step=first + 1,
                input_top=15,
                signed=False,
            )
        )
    return facts


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2]), st.booleans(), st.sampled_from([0, 63]))
def test_the_gradient_is_that_of_the_prediction(
    seed: int, groups: int, own: bool, adc: int
) -> None:
    rng = np.random.default_rng(seed)
    facts, levels = _facts(rng, groups, own), CodeLevels(3, adc)
    point = rng.normal(scale=0.5, size=11)
    point[0] = 0
    _, gradient = predict_error(point, facts, levels)
    nudge = rng.normal(size=11)
    nudge[0] = 0
    up, _ = predict_error(point + 1e-4 * nudge, facts, levels)
    down, _ = predict_error(point - 1e-4 * nudge, facts, levels)
    slope = (up - down) / 2e-4
    assert slope == pytest.approx(float(gradient @ nudge), rel=2e-2, abs=2e-3 * up)


@given(st.integers(1, 15))
def test_rounding_error_is_bounded_by_what_rounding_does(top: int) -> None:
    values = np.linspace(-top, top, 4001)
    error, _ = rounding_error(values, top)
    true = (values - np.rint(values)) ** 2
    assert np.all(error <= np.minimum(values**2, 1 / 12) + 1e-12)
    assert float(error.mean()) == pytest.approx(float(true.mean()), rel=0.5)
    beyond, _ = rounding_error(np.array([top + 2.0]), top)
    assert beyond[0] >= 4


def test_a_descent_undoes_a_bad_scaling() -> None:
    """A channel that is a thousand times too large costs nothing once it may be scaled."""
    rng = np.random.default_rng(0)
    good = _facts(rng, 1, own=False)
    levels = CodeLevels(3, 0)
    variables = np.array([0, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0])
    held = np.where(variables > 4, variables - 4, 0)
    start = np.zeros(11)
    _, best = least_error(start, good, levels, variables)
    bad = [_rescaled(fact, np.array([1.0, 1e3, 1e-3, 1.0])) for fact in good]
    assert predict_error(start, bad, levels)[0] > 5 * best
    _, stuck = least_error(start, bad, levels, held)
    _, found = least_error(start, bad, levels, variables)
    assert found == pytest.approx(best, rel=0.05)
    assert found < 0.5 * stuck


def _rescaled(fact: LayerFacts, factor: Float64Array) -> LayerFacts:
    """The same layer with its scaled channels multiplied, as a careless exporter would."""
    if fact.inputs.any():
        return replace(
            fact,
            weights=(fact.weights / factor[None, :, None, None]).astype(np.float32),
            power=fact.power * factor**2,
            samples=fact.samples * factor[:, None],
            sensitivity=fact.sensitivity / factor**2,
        )
    return replace(
        fact,
        weights=(fact.weights * factor).astype(np.float32),
        output_power=fact.output_power * factor**2,
        gain=fact.gain / factor**2,
    )
