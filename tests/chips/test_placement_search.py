"""Responses, divergences, and orders that are judged by executing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import float_result, int_layer, mapped, program_of, small_target
from tests.chips.test_program_fit import LINES, _data, _program
from xbarc.chips.program_fit import FitOptions, fit_program
from xbarc.chips.responses import divergence, responses, some_images
from xbarc.executor.run import Executor
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import Program
from xbarc.mapping.place import column_lines
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.signed import rows_by_worth, some_columns, some_rows


def _single(outputs: int = 5) -> Program:
    target = small_target(array__rows=16, array__columns=32, array__active_rows=16)
    weights = np.random.default_rng(0).integers(-100, 101, (1, 12, outputs))
    layer = int_layer(weights, result=float_result(outputs, 1e-4))
    return program_of([mapped(layer, target)], target, (None, 12))


def _feeds(count: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"x": rng.integers(0, 256, (count, 12)).astype(np.uint8)}


@given(st.integers(0, 999), st.sampled_from([1, 3, 10, 400]))
@settings(max_examples=30, deadline=None)
def test_equal_answers_diverge_by_nothing(seed: int, scores: int) -> None:
    rng = np.random.default_rng(seed)
    plain = rng.normal(size=(7, scores))
    assert divergence(plain, plain) == pytest.approx(0, abs=1e-15)
    assert divergence(plain, plain + rng.normal(size=plain.shape)) > 0


def test_a_constant_on_all_scores_is_no_change() -> None:
    plain = np.random.default_rng(0).normal(size=(7, 10))
    assert divergence(plain, plain + 3.0) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("outputs", [1, 5])
def test_half_the_square_of_a_response_is_the_divergence(outputs: int) -> None:
    """The last layer loses a little of one output: scores follow exactly."""
    program, feeds = _single(outputs), _feeds()
    plain = np.asarray(Executor(program).run(feeds)[0], dtype=np.float64)
    found = responses(program, feeds).layers["layer"]
    bias = program.crossbar_steps[0].result.bias  # type: ignore[union-attr]
    for output in range(outputs):
        weaker = plain.copy()
        weaker[:, output] -= 0.01 * (plain[:, output] - bias[output])
        predicted = 0.5 * np.square(0.01 * found[:, output]).sum()
        assert divergence(plain, weaker) == pytest.approx(predicted, rel=0.05)


def test_images_beyond_the_end_come_from_the_beginning() -> None:
    data = {"x": np.arange(10), "labels": np.arange(10)}
    assert some_images(data, 2, 4)["x"].tolist() == [2, 3, 4, 5]
    assert some_images(data, 8, 4)["x"].tolist() == [6, 7, 8, 9]
    assert some_images(data, 8, 40)["x"].tolist() == list(range(10))
    assert "labels" not in some_images(data, 0, 1)


@pytest.mark.slow
def test_optimal_comes_nearer_to_the_plain_answers() -> None:
    program = _program()
    fitted = fit_program(program, _data(), FitOptions("optimal", effects=LINES, swaps=2))
    searched = fitted.searched
    assert searched is not None
    assert searched.after < 0.8 * searched.before
    again = fit_program(program, _data(), FitOptions("optimal", effects=LINES, swaps=2))
    assert again.as_json() == fitted.as_json()


@pytest.mark.slow
def test_other_placements_execute_nothing() -> None:
    fitted = fit_program(_program(), _data(), FitOptions("heaviest", effects=LINES))
    assert fitted.searched is None
    assert fitted.as_json()["executed"] is None


@given(st.integers(0, 999), st.sampled_from([0.0, 0.3, 1.0]))
@settings(max_examples=20, deadline=None)
def test_parts_change_places_among_themselves_only(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    step = _single().crossbar_steps[0]
    shape = step.cells.shape
    worth, losses = rng.normal(size=shape), rng.random(shape[1:])
    rows, columns = rng.random(shape[1]) < share, rng.random(shape[2]) < share
    moved = some_rows(step, worth, losses, rows)
    kept = np.asarray(step.tiling.row_input)[~rows]
    assert np.array_equal(np.asarray(moved.tiling.row_input)[~rows], kept)
    assert np.array_equal(effective_weights(moved), effective_weights(step))
    turned = some_columns(step, worth, losses, columns)
    assert np.array_equal(effective_weights(turned), effective_weights(step))
    found, before = cells_of(turned), cells_of(step)
    units = [u for line in column_lines(step) for u in line]
    still = np.concatenate([u for u in units if not columns[u[0]]] or [np.zeros(0, np.int64)])
    assert np.array_equal(found[:, :, still], before[:, :, still])


def test_all_rows_chosen_are_the_order_by_worth() -> None:
    rng = np.random.default_rng(5)
    step = _single().crossbar_steps[0]
    shape = step.cells.shape
    worth, losses = rng.normal(size=shape), rng.random(shape[1:])
    every = some_rows(step, worth, losses, np.ones(shape[1], dtype=bool))
    assert np.array_equal(
        every.tiling.row_input, rows_by_worth(step, worth, losses).tiling.row_input
    )
