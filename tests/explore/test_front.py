"""Fronts beside a double loop, volumes beside counted boxes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from xbarc.explore import hypervolume, on_front
from xbarc.numerics import Float64Array

POINTS = st.tuples(st.integers(1, 14), st.integers(1, 4)).flatmap(
    lambda shape: arrays(np.int64, shape, elements=st.integers(0, 5))
)


@given(POINTS)
def test_a_front_is_what_no_other_row_beats(points: np.ndarray) -> None:
    values = points.astype(np.float64)
    wanted = [not any((b <= a).all() and (b < a).any() for b in values) for a in values]
    assert on_front(values).tolist() == wanted


@given(POINTS)
def test_a_volume_is_the_count_of_dominated_boxes(points: np.ndarray) -> None:
    values = points.astype(np.float64)
    worst = np.full(values.shape[1], 5.0)
    corners = np.indices([5] * values.shape[1]).reshape(values.shape[1], -1).T
    covered = (values[:, None, :] <= corners[None, :, :]).all(axis=2).any(axis=0)
    assert hypervolume(values, worst) == float(covered.sum())


def test_unknown_values_are_on_no_front() -> None:
    values: Float64Array = np.array([[1.0, np.nan], [2.0, 2.0]])
    assert on_front(values).tolist() == [False, True]
