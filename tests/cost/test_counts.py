from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.programs import (
    dense_step,
    digital_step,
    grouped_step,
    ints,
    program_of,
    small_program,
    small_target,
)
from xbarc.cost import WIDTHS, Counts, full_chip, program_cost, step_timing, widths
from xbarc.cost.step_counts import join_segments, segments_of_block, vector_counts
from xbarc.target import load_target


@st.composite
def counts(draw: st.DrawFn) -> Counts:
    whole = st.integers(0, 1 << 40)
    values: dict[str, Any] = {}
    for field in fields(Counts):
        wide = field.name in ("conversions", "adcs", "bit_steps")
        values[field.name] = tuple(draw(whole) for _ in range(WIDTHS)) if wide else draw(whole)
    return Counts(**values)


def test_segments_of_a_block_join() -> None:
    """Two in the first block and one in the second, or one in each: as a loop over them does."""
    step = dense_step()
    alone = replace(step.tiling, segment_bounds=step.tiling.row_bounds)
    for one in (step, replace(step, tiling=alone)):
        ends = np.cumsum(segments_of_block(one))
        values = np.arange(2 * ends[-1] * 3).reshape(2, -1, 3)
        wanted = [part.sum(axis=1) for part in np.split(values, ends[:-1], axis=1)]
        assert np.array_equal(join_segments(one, np.add, values), np.stack(wanted, axis=1))
    assert segments_of_block(step).tolist() == [2, 1]


@given(counts(), counts(), counts())
def test_counts_add_in_any_order(a: Counts, b: Counts, c: Counts) -> None:
    assert (a + b) + c == a + (c + b)
    assert a + Counts() == a


@given(counts(), st.integers(0, 1000))
def test_times_is_repeated_addition(a: Counts, n: int) -> None:
    assert a.times(n) + a == a.times(n + 1)
    assert a.times(0) == Counts()


def test_widths_refuses_what_no_adc_has() -> None:
    assert widths({3: 5})[3] == 5
    with pytest.raises(ValueError, match="0 to 16 bits"):
        widths({17: 1})


def test_a_layer_counted_by_hand() -> None:
    found = vector_counts(dense_step(), small_target())
    assert found == Counts(
        array_reads=(2 * 2 + 2 * 1) * 3,  # arrays x segments of both row blocks, 3 input slices
        array_pulses=(2 * 2 + 2 * 1) * 3,  # one level a slice of one bit
        wordline_drives=(2 * 4 + 2 * 1) * 3,
        samples=3 * 6 * 3,  # segments x columns x slices
        conversions=widths({1: 9, 2: 9, 3: 18, 4: 18}),
        shift_adds=6 * 3 * 3,  # an entry of R a column
        register_bytes=4 + 2 * 3 * 2,  # 30 bits, sums of 3 outputs in 2 bytes from 2 row blocks
        buffer_bytes=2 + 3 * 2,  # 15 bits in, 3 outputs back
        router_bytes=2 * 3 * 2,
        crossbar_macs=15,
    )


def test_groups_in_one_array_are_read_one_after_another() -> None:
    step, target = grouped_step(), small_target()
    found, timing = vector_counts(step, target), step_timing(step, target)
    assert found.array_reads == 2 * 2
    assert found.samples == 2 * 2 * 2  # both columns of a pair
    assert found.all_conversions == 2 * 2  # one conversion a pair
    assert timing.segments == 2
    assert timing.vector_ns == 2 * 2 * 100


def test_no_router_without_a_mesh() -> None:
    target = small_target('hierarchy.network="none"')
    assert vector_counts(dense_step(), target).router_bytes == 0


def test_beta_costs_a_digital_sum() -> None:
    step = dense_step()
    beta = replace(step.periphery, input_sum=ints(0, 3, 1))
    extra = vector_counts(replace(step, periphery=beta), small_target()).shift_adds
    assert extra - vector_counts(step, small_target()).shift_adds == 5 + 2


def test_factors_of_columns_cost_a_multiplication_a_conversion() -> None:
    step, target = dense_step(), small_target("adc.scale_bits=4")
    scale = np.full((1, 1, step.conversions), 255, dtype=np.uint8)
    scaled = replace(step, periphery=replace(step.periphery, column_scale=scale))
    plain, found = vector_counts(step, target), vector_counts(scaled, target)
    assert plain.column_scalings == 0
    assert found.column_scalings == found.all_conversions == plain.all_conversions
    # sums of eight more bits: three outputs of two bytes become three, in two row blocks
    assert found.register_bytes - plain.register_bytes == 2 * 3
    assert found.buffer_bytes - plain.buffer_bytes == 3


def test_broadcast_settings_count_like_written_out_ones() -> None:
    step = dense_step()
    full = np.broadcast_to(step.adc.bits, (1, 3, 6, 3)).copy()
    written = replace(step, adc=replace(step.adc, bits=full))
    target = small_target()
    assert vector_counts(step, target) == vector_counts(written, target)


def test_the_cycle_is_the_slower_of_read_and_conversion() -> None:
    timing = step_timing(dense_step(), small_target("adc.rate=0.01"))
    assert timing.conversions_per_adc == 2
    assert timing.convert_ns == 200
    assert timing.cycle_ns == 200
    assert timing.vector_ns == 2 * 3 * 200  # two segments of one row block, three slices


def test_hardware_of_a_program() -> None:
    found = program_cost(small_program()).counts
    assert (found.arrays, found.macros, found.tiles, found.chips) == (5, 3, 2, 1)
    # arrays 0, 2: 3 and 4 bits; 1, 3: one converter of 2 bits, its idle neighbour too; 4: 4 bits
    assert found.adcs == widths({2: 4, 3: 2, 4: 4})
    assert found.cells_written == 30 + 8
    assert found.linked_chips == 0


def test_links_count_where_one_chip_is_not_enough() -> None:
    program = small_program("hierarchy.tiles_per_chip=1")
    assert program_cost(program).counts.linked_chips == 2


def test_shares_of_layers_add_up_to_the_program() -> None:
    shared = grouped_step(tiling=replace(grouped_step().tiling, array=np.full((2, 1, 1), 3)))
    cost = program_cost(program_of(dense_step(), shared, target=small_target(), arrays=4))
    first, second = (layer.counts for layer in cost.layers)
    both = first + second
    # array 3 holds 2 cells of the dense layer and 8 of the grouped one
    assert first.arrays == pytest.approx(3.2)
    for name in ("arrays", "macros", "tiles", "chips", "adcs"):
        assert getattr(both, name) == pytest.approx(getattr(cost.counts, name))


def test_latency_adds_up_and_shared_arrays_slow_the_pipeline() -> None:
    apart = program_cost(small_program())
    assert apart.latency_ns == 4 * 600 + 3 * 400
    assert apart.interval_ns == 4 * 600
    shared = grouped_step(tiling=replace(grouped_step().tiling, array=np.full((2, 1, 1), 3)))
    together = program_cost(program_of(dense_step(), shared, target=small_target(), arrays=4))
    assert together.interval_ns == together.latency_ns


def test_unknown_positions_leave_counts_out_and_say_why() -> None:
    steps = (dense_step(input_shape=None), grouped_step(input_shape=(3,)), digital_step(None))
    cost = program_cost(program_of(*steps, target=small_target(), arrays=5))
    assert cost.latency_ns is None
    assert cost.interval_ns is None
    assert [(left.name, left.kind) for left in cost.left_out] == [
        ("dense", "crossbar"),
        ("grouped <b>&", "crossbar"),
        ("rest", "digital"),
    ]
    assert cost.counts.all_conversions == 0
    assert cost.layers[0].vector.all_conversions == 54


def test_a_program_without_crossbars_costs_nothing() -> None:
    cost = program_cost(program_of(digital_step(), target=small_target(), arrays=0))
    assert cost.counts == Counts(digital_macs=7)
    assert cost.interval_ns == 0


def test_a_whole_chip() -> None:
    chip = full_chip(load_target("isaac"))
    assert (chip.arrays, chip.macros, chip.tiles, chip.chips) == (16128, 2016, 168, 1)
    assert chip.adcs == widths({8: 16128})


def test_every_conversion_pays_for_its_bits_on_its_own_converter() -> None:
    """By hand: each conversion of each segment and slice, and the converter that makes it."""
    step, target = dense_step(), small_target("costs.adc.flash_bits=1")
    program = program_of(step, digital_step(), grouped_step(), target=target, arrays=5)
    found = program_cost(program).layers[0].vector
    widths_of = {
        (0, 0): 3,
        (0, 1): 4,
        (1, 0): 2,
    }  # column block and converter; arrays 0, 2 and 1, 3
    expected: dict[int, float] = {}
    for _segment in range(3):
        for _slice in range(3):
            for conversion, bits in enumerate([3, 3, 4, 4, 1, 2]):
                block, place = divmod(conversion, 4)
                converter = widths_of[(block, place // 2)]
                expected[converter] = expected.get(converter, 0) + bits
    assert found.bit_steps == widths(expected)
    assert found.conversions == widths({1: 9, 2: 9, 3: 18, 4: 18})


def test_comparators_side_by_side_decide_all_their_bits_at_once() -> None:
    target = small_target()
    program = program_of(dense_step(), grouped_step(), target=target, arrays=5)
    found = program_cost(program).layers[0].vector
    # the converter of 2 bits makes conversions of 1 and 2 bits: 2 bits each, 9 of either
    assert found.bit_steps[2] == 2 * 18
    assert found.bit_steps[3] == 3 * 18
