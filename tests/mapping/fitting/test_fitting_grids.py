"""Grids, steps, and the quality of a fit: small pieces against brute force and numpy."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.builders import float_layer, moments_of
from xbarc.instruments import moments as moments_module
from xbarc.ir.geometry import Window
from xbarc.ir.statistics import SecondMoments
from xbarc.mapping.chains import Arrangement
from xbarc.mapping.chains import plain_arrangement as in_order
from xbarc.mapping.encodings import find_encoding
from xbarc.mapping.fitting.grids import Alone, Coupled, RowGrid, Shifted
from xbarc.mapping.fitting.quality import product_sums
from xbarc.mapping.fitting.scales import rounding_steps, spread
from xbarc.mapping.tiling import ColumnPart
from xbarc.numerics.types import Float64Array, IntArray


@st.composite
def rows_of(draw: st.DrawFn, outputs: int) -> Float64Array:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(draw(st.integers(1, 3)), outputs)) * draw(st.sampled_from([0.3, 2, 9]))


def _deviation(rows: Float64Array, found: Float64Array, weight: Float64Array) -> Float64Array:
    return np.asarray((weight * (rows - found) ** 2).sum(axis=1))


@given(rows_of(4), st.integers(-5, 0), st.integers(0, 5))
def test_alone_is_the_nearest_integer(rows: Float64Array, low: int, high: int) -> None:
    found = Alone(low, high).nearest(np.ones((1, 4)))(rows)
    every = np.arange(low, high + 1)
    assert np.isin(found, every).all()
    least = np.abs(rows[:, :, None] - every).min(axis=2)
    np.testing.assert_allclose(np.abs(rows - found), least, atol=1e-12)


@given(rows_of(4), st.integers(1, 7), st.integers(-6, 6))
def test_shifted_is_the_nearest_of_its_parity(rows: Float64Array, top: int, k: int) -> None:
    shifts = np.array([k, k + 1, 0, top], dtype=np.float64)
    found = Shifted(top, shifts[None]).nearest(np.ones((1, 4)))(rows)
    for output in range(4):
        every = 2 * np.arange(top + 1) - shifts[output]
        assert np.isin(found[:, output], every).all()
        least = np.abs(rows[:, output, None] - every).min(axis=1)
        np.testing.assert_allclose(np.abs(rows - found)[:, output], least, atol=1e-12)


def _coupled(name: str, blocks: int, outputs: int, levels: int, places: Arrangement) -> Coupled:
    return Coupled((ColumnPart(find_encoding(name), blocks, outputs),), places, levels)


def _representable(grid: Coupled) -> IntArray:
    """Every row that the columns of one block can hold; axes: row, output."""
    (part,) = grid.parts
    forest = part.encoding.forest(part.outputs)
    assert forest is not None
    levels = np.array(list(product(range(grid.levels), repeat=forest.vertices)))
    if forest.pinned:
        ((vertex, _),) = forest.pinned
        levels = levels[levels[:, vertex] == grid.levels // 2]
    return np.unique(levels[:, forest.plus] - levels[:, forest.minus], axis=0)


@settings(max_examples=25)
@given(
    rows_of(3),
    st.sampled_from(["acm", "segmented:2", "bias-column", "bias-column-mid", "differential"]),
    st.sampled_from([2, 3]),
    st.permutations(range(3)),
    st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3),
)
def test_coupled_is_the_best_row_that_columns_hold(
    rows: Float64Array, name: str, levels: int, order: list[int], signs: list[int]
) -> None:
    places = Arrangement(np.array(order), np.array(signs, dtype=np.int8), 0.0, 0.0, 0.0, None)
    grid = _coupled(name, 1, 3, levels, places)
    importance = np.array([1.0, 0.2, 3.0])
    found = grid.nearest(importance[None])(rows)
    every = np.empty((len(_representable(grid)), 3))
    every[:, order] = _representable(grid) * np.array(signs)
    held = {tuple(row) for row in every.tolist()}
    assert all(tuple(row) in held for row in found.tolist())
    least = [_deviation(row, every, importance).min() for row in rows]
    np.testing.assert_allclose(_deviation(rows, found, importance), least, atol=1e-9)


def test_coupled_blocks_do_not_see_each_other() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(4, 6)) * 2
    importance = rng.random(6) + 0.1
    grid = _coupled("acm", 2, 3, 3, in_order(np.arange(6)))
    alone = _coupled("acm", 1, 3, 3, in_order(np.arange(3)))
    found = grid.nearest(importance[None])(rows)
    for start in (0, 3):
        part = slice(start, start + 3)
        assert np.array_equal(found[:, part], alone.nearest(importance[None, part])(rows[:, part]))


def test_importance_may_differ_from_group_to_group() -> None:
    """The same targets, with either output more important: its own error is the smaller."""
    grid = _coupled("acm", 1, 2, 2, in_order(np.arange(2)))
    rows = np.array([[1.0, 1.0], [1.0, 1.0]])  # two steps down need three levels, there are two
    found = grid.nearest(np.array([[10.0, 1.0], [1.0, 10.0]]))(rows)
    assert found.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(0, 2**16))
def test_few_rows_and_many_rows_are_encoded_alike(groups: int, count: int, seed: int) -> None:
    """Rows come group by group; few go by encoders prepared for them, many at once."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(groups * count, 6)) * 2
    importance = rng.random((groups, 6)) + 0.1
    grid = _coupled("acm", 2, 3, 3, in_order(np.arange(6)))
    found = grid.nearest(importance)(rows)
    for group in range(groups):
        own = grid.nearest(importance[group : group + 1])
        for row in range(group * count, (group + 1) * count):
            assert np.array_equal(found[row], own(rows[row : row + 1])[0])


def test_candidates_are_mixed_output_by_output() -> None:
    chosen = np.array([[True, False]])
    one, other = Shifted(3, np.array([[1.0, 2.0]])), Shifted(3, np.array([[5.0, 6.0]]))
    mixed = one.mix_with(other, chosen)
    assert isinstance(mixed, Shifted)
    assert mixed.k.tolist() == [[5.0, 2.0]]
    assert Alone(0, 1).mix_with(Alone(0, 1), chosen) == Alone(0, 1)
    with pytest.raises(TypeError, match="two kinds"):
        one.mix_with(Alone(0, 1), chosen)
    grid = _coupled("acm", 1, 2, 2, in_order(np.arange(2)))
    with pytest.raises(TypeError, match="cannot be mixed"):
        grid.mix_with(grid, chosen)


@settings(max_examples=20)
@example(0, (-8, 7))  # the best step is beyond the one that just reaches the largest weight
@given(st.integers(0, 2**16), st.sampled_from([(-1, 1), (-3, 3), (-2, 1), (-8, 7)]))
def test_rounding_steps_are_no_worse_than_a_finer_search(seed: int, ends: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    weights, importance = rng.normal(size=(1, 30, 1)), rng.random((1, 30)) + 0.1
    low, high = ends

    def error(step: float) -> float:
        left = weights[0, :, 0] - step * np.clip(np.rint(weights[0, :, 0] / step), low, high)
        return float((importance[0] * left**2).sum())

    found = float(rounding_steps(weights, importance, low, high)[0, 0])
    largest = np.abs(weights).max()
    finest = min(error(step) for step in np.geomspace(largest / 100, 2 * largest, 1500))
    assert error(found) <= 1.1 * finest


def test_steps_of_nothing() -> None:
    zeros = np.zeros((2, 3, 2))
    assert (rounding_steps(zeros, np.ones((2, 3)), -1, 1) > 0).all()
    assert spread(zeros, np.ones((2, 3))).tolist() == [[1.0, 1.0], [1.0, 1.0]]
    assert spread(np.full((1, 4, 1), -3.0), np.ones((1, 4))).tolist() == [[3.0]]


@pytest.mark.parametrize("grid", [Alone(0, 0), Shifted(0, np.zeros((1, 2)))])
def test_a_grid_of_one_number(grid: RowGrid) -> None:
    assert not grid.nearest(np.ones((1, 2)))(np.array([[5.0, -5.0]])).any()


def _case(
    seed: int, groups: int = 2, samples: int = 60
) -> tuple[SecondMoments, Float64Array, Float64Array, Float64Array]:
    """Moments; then compiled vectors, exact products, and weights to judge; group first."""
    rng = np.random.default_rng(seed)
    inputs, outputs = 5, 3
    layer = float_layer(rng.normal(size=(groups, inputs, outputs)))
    if groups > 1:
        layer = float_layer(layer.weight.tensor.load(), geometry=Window((1,), (1,), (1,), (0, 0)))
    mix = rng.normal(size=(inputs * groups, inputs * groups))
    exact = (rng.normal(size=(samples, inputs * groups)) @ mix + 2).astype(np.float32)
    compiled = exact + 0.3 * rng.normal(size=exact.shape).astype(np.float32)
    shape = (samples, inputs * groups) + (() if groups == 1 else (1,))
    fit, judge = moments_of(layer, exact.reshape(shape), compiled.reshape(shape))
    x = compiled.reshape(samples, groups, inputs).transpose(1, 0, 2).astype(np.float64)
    e = exact.reshape(samples, groups, inputs).transpose(1, 0, 2).astype(np.float64)
    fitted = layer.weight.tensor.load() + 0.3 * rng.normal(size=(groups, inputs, outputs))
    return fit + judge, x, e @ layer.weight.tensor.load().astype(np.float64), fitted


@pytest.mark.parametrize("groups", [1, 2])
@settings(max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_product_sums_are_those_of_explicit_vectors(groups: int, seed: int) -> None:
    moments, x, y, weights = _case(seed, groups)
    sums = product_sums(moments, weights)
    z = x @ weights
    for found, wanted in (
        (sums.z, z.mean(axis=1)),
        (sums.y, y.mean(axis=1)),
        (sums.zz, (z**2).mean(axis=1)),
        (sums.zy, (z * y).mean(axis=1)),
        (sums.yy, (y**2).mean(axis=1)),
        (sums.energy, y.var(axis=1)),
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-3)
    gain, offset = np.array(1.3), np.array(-0.4)
    error = ((y - gain * z - offset) ** 2).mean(axis=1)
    np.testing.assert_allclose(sums.error(gain, offset), error, rtol=1e-4, atol=1e-3)


@settings(max_examples=10)
@given(seed=st.integers(0, 2**16))
def test_gain_and_offset_are_least_squares(seed: int) -> None:
    moments, x, y, weights = _case(seed)
    gain, offset = product_sums(moments, weights).line()
    z = x @ weights
    for group, output in np.ndindex(gain.shape):
        design = np.column_stack([z[group, :, output], np.ones(z.shape[1])])
        best = np.linalg.lstsq(design, y[group, :, output], rcond=None)[0]
        if best[0] <= 0:  # a fit that anticorrelates is left as it is
            assert gain[group, output] == 1
            best[0] = 1
            best[1] = (y[group, :, output] - z[group, :, output]).mean()
        np.testing.assert_allclose(gain[group, output], best[0], rtol=1e-3)
        np.testing.assert_allclose(offset[group, output], best[1], rtol=1e-3, atol=2e-3)


def test_a_product_that_never_changes_gets_an_offset_only() -> None:
    moments, _, y, weights = _case(3, 1)
    gain, offset = product_sums(moments, 0 * weights).line()
    assert (gain == 1).all()
    np.testing.assert_allclose(offset, y.mean(axis=1), rtol=1e-4)


def test_blocks_of_a_wide_layer_count_as_uncorrelated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Means add up over blocks, covariances across blocks are taken for zero."""
    monkeypatch.setattr(moments_module, "WIDEST", 3)
    moments, x, y, weights = _case(5, 1, samples=4000)
    sums = product_sums(moments, weights)
    np.testing.assert_allclose(sums.z, (x @ weights).mean(axis=1), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(sums.y, y.mean(axis=1), rtol=1e-3, atol=1e-3)
    variance = sum(
        (x[0][:, rows] @ weights[0, rows]).var(axis=0) for rows in (slice(0, 2), slice(2, 5))
    )
    np.testing.assert_allclose(sums.zz - sums.z**2, variance[None], rtol=1e-3, atol=1e-3)
