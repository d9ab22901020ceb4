"""The laws of variation: mean and deviation of what is drawn, and what each law allows."""

from __future__ import annotations

import math
import re
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.circuit import Chip, Effects
from xbarc.circuit.random import normals
from xbarc.circuit.variation_laws import vary
from xbarc.cost import level_zero_clipping
from xbarc.cost.device import clipped_moments
from xbarc.errors import InputError, TargetError
from xbarc.numerics.types import Float64Array
from xbarc.report import collect
from xbarc.target import VariationLaw, load_target

LAWS: tuple[VariationLaw, ...] = get_args(VariationLaw)
DRAWN = normals(0, "variation", (0, 0), 1 << 14)
FLOOR = 0.3


def draws(law: VariationLaw, mean: float, sigma: float) -> Float64Array:
    """Conductances above zero that a cell of this mean gets."""
    level = np.full(len(DRAWN), mean - FLOOR)
    return vary(level, np.full(len(DRAWN), sigma), DRAWN, FLOOR, law) + FLOOR


def close(found: Float64Array, mean: float, sigma: float) -> bool:
    """Say whether moments are within five standard errors, by the sample's own fourth moment."""
    errors = found - mean
    fourth = float((errors**4).mean())
    slack = 5 * math.sqrt(max(fourth - sigma**4, 0.0) / len(found)) + 1e-9
    return bool(
        abs(errors.mean()) <= 5 * sigma / math.sqrt(len(found)) + 1e-9
        and abs((errors**2).mean() - sigma**2) <= slack
    )


@pytest.mark.parametrize("law", LAWS)
@given(mean=st.floats(0.05, 40), share=st.floats(0.001, 0.9))
def test_mean_and_deviation_of_the_draws(law: VariationLaw, mean: float, share: float) -> None:
    sigma = share * mean
    expected = (mean, sigma)
    if law == "clipped-normal":
        expected = clipped_moments(mean, sigma)[1:]
    found = draws(law, mean, sigma)
    assert close(found, *expected)
    assert law == "normal" or found.min() >= 0


@given(mean=st.floats(0, 3), sigma=st.floats(0.01, 3))
def test_what_clipping_does_to_a_level(mean: float, sigma: float) -> None:
    share, first, deviation = clipped_moments(mean, sigma)
    found = draws("clipped-normal", mean, sigma)
    assert (found <= 1e-12).mean() == pytest.approx(share, abs=0.02)
    assert first >= mean - 1e-12
    assert deviation <= sigma * (1 + 1e-9)
    assert close(found, first, deviation)


def test_the_clipped_law_is_the_plain_formula_to_the_last_bit() -> None:
    level = np.repeat(np.arange(4.0), 1 << 12)
    plain = np.maximum(level + 0.175 * DRAWN, -FLOOR)
    assert np.array_equal(vary(level, 0.175 + 0 * level, DRAWN, FLOOR, "clipped-normal"), plain)


def test_the_logarithm_of_the_log_normal_law_is_normal() -> None:
    logarithms = np.log(draws("log-normal", 2.0, 0.5))
    width = math.sqrt(math.log1p(0.25**2))
    assert close(logarithms, math.log(2.0) - width**2 / 2, width)


def test_rram128_at_level_0() -> None:
    found = level_zero_clipping(load_target("rram128").cell)
    assert found.share == pytest.approx(0.33, abs=0.001)
    assert found.shift == pytest.approx(0.038, abs=0.001)
    assert found.sigma == pytest.approx(0.127, abs=0.001)
    assert found.unclipped == pytest.approx(2.28 / 13)
    for law in ("normal", "log-normal"):
        other = level_zero_clipping(load_target("rram128", [f"cell.variation.law={law}"]).cell)
        assert (other.share, other.shift, other.sigma) == (0.0, 0.0, found.unclipped)


@pytest.mark.parametrize("law", LAWS)
def test_chips_draw_by_the_law_of_their_target(law: VariationLaw) -> None:
    target = small_target(cell__variation__law=law)
    layer = int_layer(np.zeros((1, 128, 32), dtype=np.int64))
    program = program_of([mapped(layer, target)], target, (1, 128))
    step = program.crossbar_steps[0]
    effects = Effects(frozenset({"variation"}), seed=3)
    cells = Chip(program, effects).levels(step)
    assert np.array_equal(cells, Chip(program, effects).levels(step))
    expected = level_zero_clipping(target.cell)
    assert cells.mean() == pytest.approx(expected.shift, abs=0.005)
    assert cells.std() == pytest.approx(expected.sigma, rel=0.1)
    text = " ".join(collect(program).notes)
    assert ("33% of the draws at level 0" in text) == (law == "clipped-normal")


def test_wires_and_conductances_below_zero_are_refused_together() -> None:
    target = small_target(cell__variation__law="normal")
    layer = int_layer(np.ones((1, 4, 2), dtype=np.int64))
    program = program_of([mapped(layer, target)], target, (1, 4))
    with pytest.raises(InputError, match="conductances below zero"):
        Chip(program, Effects(frozenset({"variation", "lines"})))
    Chip(program, Effects(frozenset({"lines"})))


def test_the_log_normal_law_needs_conductances_above_zero() -> None:
    message = "log-normal variation needs a conductance above 0 at level 0"
    with pytest.raises(TargetError, match=re.escape(message)):
        load_target("hermes256", ["cell.variation.law=log-normal"])
    zero = "cell.conductance=[0.0, 14.0, 27.0, 40.0]"
    kind = ["cell.variation.kind=proportional", "cell.variation.law=log-normal"]
    figure = 'cell.variation.sigma.unit="fraction"'
    assert load_target("rram128", [zero, *kind, figure]).cell.variation.law == "log-normal"
