import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from xbarc.circuit.layer_matrix import real_weights
from xbarc.errors import MappingError
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.pairs import (
    PairGrid,
    descend,
    encode_pairs,
    encode_with_feedback,
    feedback_factor,
    find_pairs,
)
from xbarc.numerics.types import AnyArray


def _step(encoding: str = "differential", rows: int = 24) -> CrossbarStep:
    weights = np.random.default_rng(0).integers(-100, 101, (1, rows, 5))
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    return mapped(int_layer(weights), target, encoding=encoding)


def _whole(step: CrossbarStep) -> PairGrid:
    shape = step.cells.shape[1:]
    return PairGrid(np.ones(shape), np.full(shape, -1), 4, 0.1)


@pytest.mark.parametrize("encoding", ["differential", "differential-analog"])
def test_perfect_cells_get_the_weights_themselves(encoding: str) -> None:
    step = _step(encoding)
    wanted = real_weights(step, cells_of(step))[0]
    cells, given_ = encode_pairs(wanted, find_pairs(step), _whole(step))
    assert np.allclose(given_, wanted, atol=1e-9)
    assert np.allclose(real_weights(step, cells[None])[0], wanted)


def test_what_is_said_to_be_given_is_given() -> None:
    step = _step()
    rng = np.random.default_rng(1)
    share = rng.uniform(0.4, 1.0, step.cells.shape[1:])
    grid = PairGrid(share, np.full(share.shape, -1), 4, 0.1)
    wanted = 0.5 * real_weights(step, cells_of(step))[0]
    cells, given_ = encode_pairs(wanted, find_pairs(step), grid)
    real = share * (cells + 0.1) - 0.1
    assert np.allclose(real_weights(step, real[None])[0], given_)
    plain = real_weights(step, (share * (cells_of(step)[0] + 0.1) - 0.1)[None])[0]
    assert abs(given_ - wanted).mean() < 0.2 * abs(0.5 * plain / 0.5 - 2 * wanted).mean()


@given(st.integers(0, 999), st.sampled_from([0.02, 0.1, 0.5]))
@settings(max_examples=30, deadline=None)
def test_stuck_cells_keep_their_level_and_partners_help(seed: int, rate: float) -> None:
    step = _step()
    rng = np.random.default_rng(seed)
    stuck = np.where(
        rng.random(step.cells.shape[1:]) < rate, rng.choice([0, 3], step.cells.shape[1:]), -1
    )
    wanted = real_weights(step, cells_of(step))[0]
    grid = PairGrid(np.ones(stuck.shape), stuck, 4, 0.1)
    cells, given_ = encode_pairs(wanted, find_pairs(step), grid)
    assert (cells[stuck >= 0] == stuck[stuck >= 0]).all()
    left = np.where(stuck >= 0, stuck, cells_of(step)[0])
    untreated = real_weights(step, left[None])[0]
    assert abs(given_ - wanted).sum() <= abs(untreated - wanted).sum() + 1e-9


def _output_error(found: AnyArray, wanted: AnyArray, matrix: AnyArray) -> float:
    change = found - wanted
    return float(np.einsum("io,io->", change, matrix @ change))


def test_feedback_lowers_the_error_of_outputs_not_of_weights() -> None:
    step = _step(rows=64)
    rng = np.random.default_rng(2)
    mix = rng.normal(size=(64, 8)) @ rng.normal(size=(8, 64)) / 8
    x = np.abs(rng.normal(size=(500, 64)) @ (0.2 * np.eye(64) + mix))
    matrix = x.T @ x / len(x)
    grid = PairGrid(
        rng.uniform(0.5, 1, step.cells.shape[1:]), np.full(step.cells.shape[1:], -1), 4, 0
    )
    pairs = find_pairs(step)
    wanted = 0.6 * real_weights(step, cells_of(step))[0] / 16  # coarse next to the grid
    _, plain = encode_pairs(wanted, pairs, grid)
    _, fed = encode_with_feedback(wanted, pairs, grid, feedback_factor(matrix))
    assert _output_error(fed, wanted, matrix) < 0.5 * _output_error(plain, wanted, matrix)
    assert abs(fed - wanted).mean() > abs(plain - wanted).mean()


def test_other_encodings_are_refused() -> None:
    with pytest.raises(MappingError, match="no weights on pairs"):
        find_pairs(_step("offset"))


@given(st.integers(0, 999), st.sampled_from([0.0, 0.1]), st.booleans())
@settings(max_examples=20, deadline=None)
def test_descent_never_raises_the_error_of_outputs(seed: int, rate: float, sliced: bool) -> None:
    step = _step("differential" if sliced else "differential-analog", rows=20)
    rng = np.random.default_rng(seed)
    x = rng.exponential(size=(200, 20))
    matrix = x.T @ x / len(x)
    shape = step.cells.shape[1:]
    stuck = np.where(rng.random(shape) < rate, rng.choice([0, 3], shape), -1)
    grid = PairGrid(rng.uniform(0.5, 1, shape), stuck, 4, 0.1)
    pairs = find_pairs(step)
    wanted = 0.7 * real_weights(step, cells_of(step))[0]
    start, plain = encode_pairs(wanted, pairs, grid)
    cells = descend(wanted, start, pairs, grid, matrix)
    real = grid.share * (cells + grid.floor) - grid.floor
    found = real_weights(step, real[None])[0]
    assert _output_error(found, wanted, matrix) <= _output_error(plain, wanted, matrix) + 1e-9
    assert (cells[stuck >= 0] == stuck[stuck >= 0]).all()


def test_descent_without_correlation_is_the_nearest_level() -> None:
    step = _step("differential-analog", rows=20)
    shape = step.cells.shape[1:]
    grid = PairGrid(np.random.default_rng(3).uniform(0.5, 1, shape), np.full(shape, -1), 4, 0.1)
    pairs = find_pairs(step)
    wanted = 0.7 * real_weights(step, cells_of(step))[0]
    start, _ = encode_pairs(wanted, pairs, grid)
    assert np.array_equal(descend(wanted, start, pairs, grid, np.eye(20)), start)
