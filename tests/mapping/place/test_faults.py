import numpy as np
import pytest

from tests.builders import int_layer, mapped, small_target
from xbarc.circuit.layer_matrix import Importance
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.place.faults import FaultJob, fault_cost, place_around_faults
from xbarc.mapping.place.layer import cells_of
from xbarc.numerics.types import Int64Array
from xbarc.target import Target


def _case(encoding: str = "differential") -> tuple[CrossbarStep, Target]:
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    weights = np.random.default_rng(0).integers(-100, 101, (1, 40, 6))
    weights[:, ::3] = 0
    return mapped(int_layer(weights), target, encoding=encoding), target


def _job(step: CrossbarStep, target: Target, rate: float = 0.03, seed: int = 0) -> FaultJob:
    def stuck(array: int) -> Int64Array:
        rng = np.random.default_rng([seed, array])
        drawn = rng.random((16, 16))
        return np.where(drawn < rate, 0, np.where(drawn < 1.3 * rate, 3, -1)).astype(np.int64)

    importance = Importance(np.eye(40)[None], np.zeros((1, 40)), np.ones((1, 6)))
    return FaultJob(target, importance, stuck)


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "offset"])
def test_order_lowers_the_cost_and_keeps_the_weights(encoding: str) -> None:
    step, target = _case(encoding)
    job = _job(step, target)
    placed, before, after = place_around_faults(step, job)
    assert after < 0.6 * before
    assert np.isclose(fault_cost(placed, job), after)
    assert np.array_equal(effective_weights(placed), effective_weights(step))


def test_a_chip_without_faults_costs_nothing() -> None:
    step, target = _case()
    _, before, after = place_around_faults(step, _job(step, target, rate=0.0))
    assert before == after == 0


def test_a_stuck_cell_under_what_it_would_be_anyway_is_free() -> None:
    step, target = _case()
    zero = cells_of(step)[0, :16, :16] == 0

    def stuck(array: int) -> Int64Array:
        return np.where(zero & (array == 0), 0, -1).astype(np.int64)

    job = FaultJob(target, _job(step, target).importance, stuck)
    cost = fault_cost(step, job)
    # the partner at 0 too, or a digit of the other sign: all within reach of the pair
    assert cost == 0
