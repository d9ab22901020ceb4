"""Error feedback and sweeps: what they lower, what they never raise, what they bear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import float_layer, moments_of
from xbarc.instruments import moments as moments_module
from xbarc.ir.geometry import Window
from xbarc.ir.statistics import SecondMoments
from xbarc.mapping.chains import plain_arrangement as in_order
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.fitting.feedback import DAMPING, InputBlock, blocks, feed_back, sweep
from xbarc.mapping.fitting.grids import Alone, Coupled, RowGrid, Shifted
from xbarc.mapping.tiling import ColumnPart
from xbarc.numerics.types import Float64Array


def _moments(
    seed: int, *, inputs: int = 8, outputs: int = 5, groups: int = 1, samples: int = 400
) -> tuple[SecondMoments, Float64Array]:
    """Of correlated inputs, and the exact weights."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(groups, inputs, outputs))
    geometry = Window((1,), (1,), (1,), (0, 0)) if groups > 1 else None
    layer = float_layer(weights, geometry=geometry)
    common = rng.normal(size=(samples, 1, 1))
    x = common + 0.5 * rng.normal(size=(samples, groups, inputs)) + 1.0
    x = x.reshape(samples, -1) if groups == 1 else x.reshape(samples, -1, 1)
    fit, judge = moments_of(layer, x.astype(np.float32))
    return fit + judge, np.asarray(layer.weight.tensor.load(), dtype=np.float64)


def _error(block: InputBlock, steps: Float64Array, found: Float64Array) -> Float64Array:
    """Squared error of the products about their mean; axis: group."""
    left = block.target - found * steps[:, None]
    error: Float64Array = np.einsum("gio,gij,gjo->g", left, block.covariance, left)
    return error


def _grids(outputs: int) -> dict[str, RowGrid]:
    chain = (ColumnPart(find_encoding("acm"), 1, outputs),)
    star = (ColumnPart(find_encoding("bias-column"), 1, outputs),)
    return {
        "alone": Alone(-1, 1),
        "shifted": Shifted(1, np.ones((1, outputs))),
        "chain": Coupled(chain, in_order(np.arange(outputs)), 2),
        "star": Coupled(star, in_order(np.arange(outputs)), 3),
    }


def test_targets_and_factors_are_what_they_are_said_to_be() -> None:
    moments, weights = _moments(0, groups=2)
    (block,) = blocks(moments, weights)
    for group in range(2):
        covariance = block.covariance[group]
        damping = DAMPING * np.trace(covariance) / len(covariance)
        damped = covariance + damping * np.eye(len(covariance))
        factor = block.factor[group]
        assert np.array_equal(factor, np.triu(factor))
        np.testing.assert_allclose(factor.T @ factor, np.linalg.inv(damped), rtol=1e-6, atol=1e-9)
        # the same for both networks: the exact weights themselves are the target
        np.testing.assert_allclose(block.target[group], weights[group], rtol=1e-3, atol=1e-3)


def test_the_target_makes_good_what_the_prefix_lost() -> None:
    """Compiled inputs are half the exact ones: the target is twice the weights, almost."""
    rng = np.random.default_rng(1)
    layer = float_layer(rng.normal(size=(1, 6, 4)))
    exact = rng.normal(size=(4000, 6)).astype(np.float32)
    fit, _ = moments_of(layer, exact, exact / 2)
    weights = np.asarray(layer.weight.tensor.load(), dtype=np.float64)
    (block,) = blocks(fit, weights)
    np.testing.assert_allclose(block.target, 2 * weights, rtol=0.03, atol=0.02)


@pytest.mark.parametrize("grid", ["alone", "shifted", "chain", "star"])
def test_feedback_beats_rounding_on_correlated_inputs(grid: str) -> None:
    ratios = []
    for seed in range(6):
        moments, weights = _moments(seed, inputs=24)
        (block,) = blocks(moments, weights)
        steps = np.full((1, 5), 1.0)
        chosen = _grids(5)[grid]
        plain = np.stack([chosen.nearest(np.ones((1, 5)))(row[None])[0] for row in block.target[0]])
        fed = feed_back(block, steps, chosen)
        ratios.append(float((_error(block, steps, fed) / _error(block, steps, plain[None]))[0]))
    assert max(ratios) < 1
    assert np.median(ratios) < 0.5


def test_feedback_by_hand() -> None:
    """Two inputs that are always equal: 0.4 twice is one 0 and one 1, not twice 0."""
    covariance = np.array([[[1.0, 1.0], [1.0, 1.0]]])
    damped = covariance[0] + 0.01 * np.eye(2)
    factor = np.linalg.cholesky(np.linalg.inv(damped)).T[None]
    block = InputBlock(covariance, np.array([[[0.4], [0.4]]]), factor)
    found = feed_back(block, np.ones((1, 1)), Alone(-1, 1))
    assert found[0, :, 0].tolist() == [0.0, 1.0]


def test_uncorrelated_inputs_feed_nothing_back() -> None:
    rng = np.random.default_rng(2)
    target = rng.normal(size=(1, 9, 4))
    block = InputBlock(np.eye(9)[None], target, np.eye(9)[None])
    found = feed_back(block, np.ones((1, 4)), Alone(-2, 2))
    assert np.array_equal(found, np.clip(np.rint(target), -2, 2))


@settings(max_examples=40)
@given(
    st.integers(0, 2**16),
    st.sampled_from(["alone", "shifted", "chain", "star"]),
    st.integers(1, 3),
    st.floats(0.2, 3.0),
)
def test_a_sweep_never_raises_the_error(seed: int, name: str, groups: int, scale: float) -> None:
    """Also where outputs share columns and have steps of their own in each group."""
    moments, weights = _moments(seed, groups=groups, samples=40)
    (block,) = blocks(moments, weights)
    rng = np.random.default_rng(seed)
    steps = scale * np.exp(rng.normal(size=(groups, 5)))
    grid = _grids(5)[name]
    found = feed_back(block, steps, grid)
    before = _error(block, steps, found)
    for _ in range(3):
        found = sweep(block, steps, found, grid)
        after = _error(block, steps, found)
        assert (after <= before * (1 + 1e-9) + 1e-9).all()
        before = after


@settings(max_examples=10)
@given(st.integers(0, 2**16))
def test_sweeps_end_where_no_single_row_can_improve(seed: int) -> None:
    moments, weights = _moments(seed, inputs=4, outputs=2, samples=40)
    (block,) = blocks(moments, weights)
    steps = np.full((1, 2), 0.8)
    grid = Alone(-1, 1)
    found = feed_back(block, steps, grid)
    for _ in range(30):
        found = sweep(block, steps, found, grid)
    least = _error(block, steps, found)[0]
    for row, output, value in np.ndindex(4, 2, 3):
        other = found.copy()
        other[0, row, output] = value - 1
        assert _error(block, steps, other)[0] >= least - 1e-9 * (1 + least)


def test_many_rows_go_block_by_block() -> None:
    """More rows than are updated lazily together: the same as one by one."""
    moments, weights = _moments(7, inputs=150, outputs=3)
    (block,) = blocks(moments, weights)
    steps, grid = np.full((1, 3), 0.7), Alone(-2, 2)
    left, found = block.target.copy(), np.empty_like(block.target)
    for row in range(150):
        found[0, row] = grid.nearest(steps**2)(left[:, row] / steps)
        error = (left[0, row] - found[0, row] * steps[0]) / block.factor[0, row, row]
        left[0, row + 1 :] -= np.outer(block.factor[0, row, row + 1 :], error)
    fed = feed_back(block, steps, grid)
    assert (fed != found).mean() < 0.01  # ties of rounding apart
    np.testing.assert_allclose(_error(block, steps, fed), _error(block, steps, found), rtol=0.05)


def test_inputs_that_never_change() -> None:
    """No variance, no error: they are rounded, and left alone by sweeps."""
    rng = np.random.default_rng(8)
    layer = float_layer(rng.normal(size=(1, 5, 3)))
    x = rng.normal(size=(80, 5)).astype(np.float32)
    x[:, 1], x[:, 3] = 0.0, 2.5
    fit, _ = moments_of(layer, x)
    weights = np.asarray(layer.weight.tensor.load(), dtype=np.float64)
    (block,) = blocks(fit, weights)
    steps, grid = np.ones((1, 3)), Alone(-1, 1)
    found = feed_back(block, steps, grid)
    dead = np.clip(np.rint(weights[0, [1, 3]]), -1, 1)
    assert np.array_equal(found[0, [1, 3]], dead)
    assert np.array_equal(sweep(block, steps, found, grid)[0, [1, 3]], dead)


def test_nothing_ever_changes() -> None:
    layer = float_layer(np.ones((1, 3, 2)))
    fit, _ = moments_of(layer, np.ones((8, 3), dtype=np.float32))
    (block,) = blocks(fit, np.ones((1, 3, 2)))
    assert np.isfinite(block.factor).all()
    found = feed_back(block, np.ones((1, 2)), Alone(-1, 1))
    assert np.array_equal(sweep(block, np.ones((1, 2)), found, Alone(-1, 1)), found)


def test_one_input_and_one_sample() -> None:
    layer = float_layer(np.array([[[0.6]]]))
    fit, _ = moments_of(layer, np.array([[3.0]], dtype=np.float32))
    (block,) = blocks(fit, np.array([[[0.6]]]))
    assert feed_back(block, np.ones((1, 1)), Alone(-1, 1)).tolist() == [[[1.0]]]


def test_wide_layers_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, weights = _moments(9, inputs=20, samples=600)
    (one,) = blocks(whole, weights)
    monkeypatch.setattr(moments_module, "WIDEST", 8)
    cut, _ = _moments(9, inputs=20, samples=600)
    parts = blocks(cut, weights)
    assert [part.target.shape for part in parts] == [(1, 6, 5), (1, 7, 5), (1, 7, 5)]
    edges = [0, 6, 13, 20]
    for part, first, last in zip(parts, edges[:-1], edges[1:], strict=True):
        inner = one.covariance[:, first:last, first:last]
        np.testing.assert_allclose(part.covariance, inner, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(part.target, weights[:, first:last], rtol=1e-2, atol=1e-2)
    steps, grid = np.full((1, 5), 0.8), Alone(-2, 2)
    fed = np.concatenate([feed_back(part, steps, grid) for part in parts], axis=1)
    plain = np.clip(np.rint(weights / 0.8), -2, 2)
    assert _error(one, steps, fed)[0] < 0.8 * _error(one, steps, plain)[0]


def test_fewer_samples_than_inputs() -> None:
    """A covariance of low rank is damped, so that it has a factor."""
    moments, weights = _moments(10, inputs=12, samples=4)
    (block,) = blocks(moments, weights)
    assert np.linalg.matrix_rank(block.covariance[0], tol=1e-4) < 5
    assert np.isfinite(feed_back(block, np.ones((1, 5)), Alone(-1, 1))).all()
