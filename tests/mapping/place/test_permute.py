import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.executor.test_engines import mapped_or_none
from tests.strategies import Case, cases
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.ir.effective import effective_weights, is_lossless
from xbarc.mapping.place import (
    column_lines,
    column_units,
    permute_columns,
    permute_rows,
    to_sense_side,
)
from xbarc.mapping.place.permute import resize_converters


@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_placement_never_changes_a_lossless_result(case: Case, seed: int) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        [
            rng.permutation(np.arange(a, b))
            for a, b in zip(
                step.tiling.segment_bounds[:-1], step.tiling.segment_bounds[1:], strict=True
            )
        ]
    )
    placed = permute_rows(step, rows)
    order: list[int] = []
    for units in column_lines(step):
        for u in rng.permutation(len(units)).tolist():
            order.extend(units[u].tolist())
    placed = permute_columns(placed, np.array(order))
    placed = resize_converters(to_sense_side(placed, case.target), case.target)
    assert is_lossless(placed)
    assert np.array_equal(effective_weights(placed), effective_weights(step))
    vectors = rng.integers(0, 1 << step.input_bits, (4, step.groups, step.inputs)).astype(np.uint16)
    wanted = ReferenceLayer(step).accumulate(vectors)
    assert np.array_equal(ReferenceLayer(placed).accumulate(vectors), wanted)
    assert np.array_equal(FastLayer(placed).accumulate(vectors), wanted)


def test_pairs_stay_together() -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 20, 6))
    for encoding in ("differential", "differential-analog"):
        target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
        step = mapped(int_layer(weights), target, encoding=encoding)
        units = column_units(step)
        assert {len(unit) for block in units for unit in block} == {2}
        columns = np.concatenate([unit for block in units for unit in block])
        assert columns.tolist() == list(range(step.cells.columns))


def test_single_columns_are_free() -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 20, 3))
    step = mapped(int_layer(weights), small_target(), encoding="offset")
    assert {len(unit) for block in column_units(step) for unit in block} == {1}


def test_small_blocks_go_to_the_sense_side() -> None:
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    step = mapped(int_layer(np.ones((1, 20, 2), dtype=np.int64)), target)
    moved = to_sense_side(step, target)
    assert moved.tiling.row_offset[0, :, 0].tolist() == [0, 12]


def test_equal_units_may_leave_their_block() -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 20, 12))
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    step = mapped(int_layer(weights), target)
    assert len(column_units(step)) > 1
    assert len(column_lines(step)) == 1
    joined = mapped(int_layer(weights), target, encoding="differential-analog")
    assert len(column_lines(joined)) == len(column_units(joined)) > 1
