from itertools import permutations
from typing import Any

import numpy as np
import pytest

from tests.builders import int_layer, mapped, small_target
from xbarc.ir.effective import is_lossless
from xbarc.ir.program import CrossbarStep
from xbarc.mapping.converters.adc import converter_keys
from xbarc.mapping.place.groups import arrange_groups
from xbarc.mapping.place.layer import arrange_columns
from xbarc.mapping.place.permute import resize_converters
from xbarc.options import parse_adc_savings
from xbarc.target import Target

TARGET = small_target(
    array__rows=16, array__columns=32, array__active_rows=16, adc__columns_per_adc=8
)


def _step(target: Target = TARGET, rows: int = 40, **options: Any) -> CrossbarStep:
    rng = np.random.default_rng(0)
    weights = rng.integers(-128, 128, (1, rows, 9)) // rng.integers(1, 60, 9)
    return mapped(int_layer(weights), target, adc_savings=parse_adc_savings("group"), **options)


def _weight(step: CrossbarStep, seed: int = 1) -> Any:
    return np.random.default_rng(seed).random(step.cells.shape[1:])


def test_no_converter_changes_a_bit() -> None:
    step = _step()
    assert step.tiling.column_order is not None
    moved = arrange_groups(step, _weight(step), 8)
    assert moved.tiling.column_order is not None
    assert not np.array_equal(moved.tiling.column_order, step.tiling.column_order)
    assert np.array_equal(resize_converters(moved, TARGET).adc.bits, step.adc.bits)
    assert is_lossless(resize_converters(moved, TARGET))
    before, after = converter_keys(step, TARGET), converter_keys(moved, TARGET)
    assert before.shape[0] == 1
    for old, new in zip(before[0], after[0], strict=True):
        pairs = set(zip(old.tolist(), new.tolist(), strict=True))
        assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_places_stay_a_permutation_of_each_block() -> None:
    step = _step()
    moved = arrange_groups(step, _weight(step), 8).tiling
    assert moved.column_order is not None
    for order in moved.column_order.reshape(-1, step.cells.columns):
        for first, last in zip(moved.column_bounds[:-1], moved.column_bounds[1:], strict=True):
            assert sorted(order[first:last].tolist()) == list(range(last - first))


def test_no_order_of_groups_is_cheaper() -> None:
    """Against every order of the full groups, priced by the distance from the driver."""
    step = _step(rows=16)
    weight = _weight(step)
    moved = arrange_groups(step, weight, 8).tiling.column_order
    assert moved is not None
    assert step.tiling.column_order is not None
    first, last = (int(b) for b in step.tiling.column_bounds[:2])
    old, new = (np.asarray(order[0, 0, first:last]) for order in (step.tiling.column_order, moved))
    heavy = weight[:, first:last].sum(axis=0)
    full = (last - first) // 8
    costs = []
    for slots in permutations(range(full)):
        place = np.where(old < 8 * full, np.array([*slots, full])[old // 8] * 8 + old % 8, old)
        costs.append(float((heavy * place).sum()))
    assert full > 1
    assert float((heavy * new).sum()) == pytest.approx(min(costs))


def test_columns_in_natural_order_are_not_touched() -> None:
    step = mapped(int_layer(np.ones((1, 8, 3), dtype=np.int64)), TARGET)
    assert arrange_groups(step, _weight(step), 8) is step


def test_sortings_keep_what_was_grouped() -> None:
    """An order of columns by wires gives nothing of the converters' grouping away."""
    step = _step()
    placed, gap = arrange_columns(step, _weight(step), None, 8)
    assert gap == 0
    assert placed.tiling.column_order is not None
    assert placed.cells is step.cells
