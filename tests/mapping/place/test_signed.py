import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from xbarc.circuit.layer_matrix import Importance, real_weights
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.place.layer import cells_of
from xbarc.mapping.place.signed import (
    cell_worth,
    columns_by_worth,
    output_losses,
    place_losses,
    rows_by_worth,
)
from xbarc.numerics.types import Float64Array

TARGET = small_target(array__rows=16, array__columns=16, array__active_rows=16)


def _step(seed: int = 0, groups: int = 1, encoding: str = "differential") -> CrossbarStep:
    weights = np.random.default_rng(seed).integers(-100, 101, (groups, 40, 6))
    return mapped(int_layer(weights), TARGET, encoding=encoding)


def _importance(step: CrossbarStep, seed: int = 0) -> Importance:
    inputs = np.random.default_rng(seed).random((step.groups, 200, step.inputs))
    matrix = inputs.transpose(0, 2, 1) @ inputs / 200
    return Importance(matrix, inputs.mean(axis=1), np.ones((step.groups, step.outputs)))


@given(st.integers(0, 99), st.sampled_from([1, 2]))
@settings(max_examples=20, deadline=None)
def test_cells_share_the_price_of_their_outputs(seed: int, groups: int) -> None:
    """Losing all cells is losing all outputs."""
    step = _step(seed, groups)
    pull = np.random.default_rng(seed).normal(size=(groups, step.outputs))
    worth = cell_worth(step, pull, _importance(step, seed))
    assert np.allclose(worth.sum(axis=(1, 2)), pull.sum(axis=1))


def test_a_worth_is_the_slope_of_the_loss() -> None:
    """One cell loses a little: its outputs lose what its worth says, at a price of one each."""
    step, pull = _step(), np.ones((1, 6))
    importance = _importance(step)
    worth = cell_worth(step, pull, importance)
    wanted = real_weights(step, cells_of(step))
    for row, column in ((0, 3), (17, 8), (39, 20)):
        levels = cells_of(step)
        levels[0, row, column] *= 0.9
        lost = output_losses(wanted, real_weights(step, levels), importance).sum()
        assert abs(lost - 0.1 * worth[0, row, column]) < 1e-12


def test_uniform_attenuation_is_a_loss_of_all_outputs() -> None:
    step = _step()
    wanted = real_weights(step, cells_of(step))
    lost = output_losses(wanted, 0.8 * wanted, _importance(step))
    assert np.allclose(lost, 0.2)


def test_outputs_without_energy_lose_nothing() -> None:
    step = mapped(int_layer(np.zeros((1, 5, 3), dtype=np.int64)), TARGET)
    wanted = real_weights(step, cells_of(step))
    importance = _importance(step)
    assert not output_losses(wanted, wanted, importance).any()
    assert not cell_worth(step, np.ones((1, 3)), importance).any()


def _losses(step: CrossbarStep) -> Float64Array:
    """More the farther from the driver and from the sense side, which lies behind the last row."""
    _, rows, columns = step.cells.shape
    lost = np.arange(rows)[::-1][:, None] % 16 + np.arange(columns)[None] % 16
    return np.broadcast_to(0.01 * lost, step.cells.shape).astype(np.float64)


def test_rows_and_columns_cost_no_more_than_before() -> None:
    step = _step()
    importance, pull = _importance(step), np.linspace(-1, 2, 6)[None]
    losses = _losses(step)[0]

    def cost(placed: CrossbarStep) -> float:
        return float((cell_worth(placed, pull, importance)[0] * losses).sum())

    worth = cell_worth(step, pull, importance)
    rows = rows_by_worth(step, worth, losses)
    both = columns_by_worth(rows, cell_worth(rows, pull, importance), losses, 8)
    assert cost(both) < cost(rows) < cost(step)
    assert np.array_equal(effective_weights(both), effective_weights(step))


def test_losses_are_known_where_something_conducts() -> None:
    step = _step()
    found = place_losses(step, 0.75 * cells_of(step))
    conducts = cells_of(step)[0] > 0
    assert np.allclose(found[conducts], 0.25)
    assert np.isnan(found[~conducts]).all()
