"""Each rule, broken alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders import float_result, int_layer, mapped, program_of, small_target
from xbarc.errors import ProgramError, VerifyError
from xbarc.ir.choices import Candidate, ChoiceRecord
from xbarc.ir.facts import InputFacts
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window, is_countable
from xbarc.ir.network import DigitalFragment, ModelSource, Network, Value
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import FloatInput, RequantizedResult
from xbarc.ir.verify import (
    NETWORK_RULES,
    PROGRAM_RULES,
    STEP_RULES,
    broken_rules,
    check_program,
    verify_network,
    verify_program,
)
from xbarc.ir.verify.networks import geometry_faults
from xbarc.ir.verify.senses import SENSE_RULES
from xbarc.numerics import PackedCells

TARGET = small_target(array__rows=8, array__columns=16, array__active_rows=4, adc__max_bits=9)


def _step(**options: Any) -> CrossbarStep:
    weights = np.random.default_rng(0).integers(-127, 128, (1, 20, 5))
    return mapped(int_layer(weights), TARGET, **options)


def _program(step: CrossbarStep | None = None) -> Program:
    return program_of([step or _step()], TARGET, [None, 20])


def _rules(program: Program) -> list[str]:
    return sorted({rule for rule, _ in broken_rules(program)})


def _tiling(**changes: Any) -> CrossbarStep:
    step = _step()
    return replace(step, tiling=replace(step.tiling, **changes))


def _periphery(encoding: str = "differential", **changes: Any) -> CrossbarStep:
    step = _step(encoding=encoding)
    return replace(step, periphery=replace(step.periphery, **changes))


def _adc(**changes: Any) -> CrossbarStep:
    step = _step()
    return replace(step, adc=replace(step.adc, **changes))


def _settings(value: int, shape: tuple[int, ...] = (1, 1, 1, 1)) -> Any:
    return np.full(shape, value, dtype=np.int32)


def _column_scale(factor: int) -> CrossbarStep:
    return _periphery(column_scale=np.full((1, 1, _step().conversions), factor, dtype=np.uint8))


def _pair_across_blocks() -> CrossbarStep:
    step = _step(encoding="differential-analog")
    column = step.periphery.a_column.copy()
    column[0], column[-1] = column[-1], column[0]
    return replace(step, periphery=replace(step.periphery, a_column=column))


def _facts(low: int, high: int) -> InputFacts:
    return InputFacts(np.full((1, 20), low), np.full((1, 20), high))


def _wrong_steps() -> dict[str, CrossbarStep]:
    good = _step()
    rows = good.tiling.row_input.copy()
    rows[0] = rows[1]
    return {
        "bounds_rise": _tiling(row_bounds=np.array([0, 8, 8, 20])),
        "blocks_placed": _tiling(array=good.tiling.array[:, :1]),
        "columns_ordered": _tiling(column_order=np.zeros((1, 1, good.cells.columns), np.int32)),
        "rows_read_inputs": _tiling(row_input=rows),
        "periphery_indices": _periphery(r_output=good.periphery.r_output + 1),
        "periphery_shapes": _periphery(constant=np.zeros(4, dtype=np.int64)),
        "column_scales_sound": _periphery(column_scale=np.ones((1, 1, 3), dtype=np.uint8)),
        "conversions_stay_in_blocks": _pair_across_blocks(),
        "adc_shapes": _adc(step=_settings(0)),
        "result_shapes": replace(good, result=float_result(4)),
        "result_typed": replace(good, result=RequantizedResult(np.ones(5, np.float32), 256)),
        "geometry_sound": replace(good, geometry=Window((3,), (1,), (1,), (0, 0))),
        "input_shape_fits": replace(good, input_shape=(1, 19)),
        "input_chosen": replace(good, quantizer=FloatInput()),
        "facts_sound": replace(good, facts=_facts(3, 2)),
        "methods_named": replace(good, encoding="no name"),
        "weights_fit": _periphery(r_code=np.full_like(good.periphery.r_code, 30)),
        "accumulators_fit": _adc(step=_settings(2**31 - 1), bits=_settings(30).astype(np.uint8)),
    }


_OWN_TEST = {rule.__name__ for rule in SENSE_RULES}


@pytest.mark.parametrize(
    "rule", [rule.__name__ for rule in STEP_RULES if rule.__name__ not in _OWN_TEST]
)
def test_step_rule_broken_alone(rule: str) -> None:
    assert _rules(_program(_wrong_steps()[rule])) == [rule]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        *((name, True) for name in ("segmented:4", "their-pkg.method", "budget", "8")),
        *((name, False) for name in ("", "Offset", "a\x1b[2J", "a\n", "a" * 61, "-a", "=1+1")),
    ],
)
def test_names_of_methods(name: str, is_one: bool) -> None:
    named, policy = replace(_step(), encoding=name), _step()
    tried = Candidate(name), Candidate("offset")
    chosen = replace(policy, choice=ChoiceRecord("none", 0.0, "cheapest", tried))
    policy = replace(policy, adc=replace(policy.adc, policy=name))
    for step in (named, policy, chosen):
        assert _rules(_program(step)) == ([] if is_one else ["methods_named"])


def _no_model() -> DigitalFragment:
    return DigitalFragment("digital1", b"no model", ("y",), ("z",), (), 0, ())


def _wrong_programs() -> dict[str, Program]:
    good = _program()
    step = _step()
    tiling = step.tiling
    elsewhere = replace(tiling, array=tiling.array + good.arrays)
    arrays = tiling.array.copy()
    arrays[0, 0, 1] = arrays[0, 0, 0]
    return {
        "inputs_taken": replace(good, inputs=(replace(good.inputs[0], shape=(None, 19)),)),
        "names_unique": replace(
            good,
            steps=(step, replace(step, input="y", output="z", tiling=elsewhere)),
            arrays=2 * good.arrays,
        ),
        "values_flow": replace(good, steps=(replace(step, input="nowhere"),)),
        "arrays_counted": replace(good, arrays=good.arrays + 1),
        "blocks_inside_arrays": _program(_tiling(row_offset=tiling.row_offset + 5)),
        "blocks_do_not_overlap": _program(
            _tiling(
                array=np.unique(arrays, return_inverse=True)[1]
                .reshape(arrays.shape)
                .astype(np.int32)
            )
        ),
        "segments_within_limit": replace(good, target=small_target(array__active_rows=3)),
        "adc_buildable": _program(_adc(bits=_settings(10).astype(np.uint8))),
        "adc_reference_allowed": _program(_adc(lo=_settings(0, (1, 1, 1, step.input_slices)))),
        "column_scales_buildable": _program(_column_scale(3)),
        "fragments_closed": replace(good, steps=(*good.steps, _no_model())),
        "facts_proven": _program(replace(step, facts=_facts(0, 254))),
        "settings_built": replace(good, settings=(("adc", "7"), ("encoding", "differential"))),
        "cells_of_target": _program(
            replace(step, cells=PackedCells(step.cells.data, 1, step.cells.columns))
        ),
    }


@pytest.mark.parametrize("rule", [rule.__name__ for rule in PROGRAM_RULES])
def test_program_rule_broken_alone(rule: str) -> None:
    program = _wrong_programs()[rule]
    assert _rules(program) == [rule]
    with pytest.raises(VerifyError, match=rule):
        verify_program(program)
    with pytest.raises(ProgramError, match=f"breaks the rule {rule}"):
        check_program(program, "file.xbar")


def test_a_policy_in_bits_is_an_upper_bound() -> None:
    step = _step()
    capped = replace(step, adc=replace(step.adc, policy="3"))
    assert _rules(_program(capped)) == ["settings_built"]


def test_factors_of_columns_are_as_wide_as_the_multiplier() -> None:
    scaled = replace(_program(_column_scale(7)), target=small_target(adc__scale_bits=3))
    assert _rules(scaled) == []
    wider = replace(_program(_column_scale(8)), target=small_target(adc__scale_bits=3))
    assert _rules(wider) == ["column_scales_buildable"]


def test_bounds_of_sums_know_the_factors_of_columns() -> None:
    """One of them breaks with the largest factor, and does not with a factor of 1."""
    step = _periphery(r_code=np.full_like(_step().periphery.r_code, 22))
    for factor, wanted in ((1, []), (255, ["weights_fit"])):
        scale = np.full((1, 1, step.conversions), factor, dtype=np.uint8)
        scaled = replace(step, periphery=replace(step.periphery, column_scale=scale))
        program = replace(_program(scaled), target=small_target(adc__scale_bits=8))
        assert _rules(program) == wanted
    wide = _adc(step=_settings(2**30), bits=_settings(10).astype(np.uint8))
    for factor, wanted in ((1, []), (255, ["accumulators_fit"])):
        scale = np.full((1, 1, step.conversions), factor, dtype=np.uint8)
        scaled = replace(wide, periphery=replace(wide.periphery, column_scale=scale))
        program = replace(_program(scaled), target=small_target(adc__scale_bits=8))
        assert _rules(program) == wanted


def test_a_sound_program_breaks_nothing() -> None:
    assert _rules(_program()) == []


def _network(**changes: Any) -> Network:
    layer = int_layer(np.ones((1, 3, 2), dtype=np.int64))
    values = (Value("x", "uint8", (1, 3)),), (Value("y", "int64", None),)
    network = Network("net", ModelSource("net.onnx", "0" * 64), *values, (layer,))
    return replace(network, **changes)


def _wrong_networks() -> dict[str, Network]:
    layer = int_layer(np.ones((1, 3, 2), dtype=np.int64))
    return {
        "network_names_unique": _network(layers=(layer, replace(layer, input="y", output="z"))),
        "network_values_flow": _network(outputs=(Value("q", "int64", None),)),
        "network_shapes_agree": _network(layers=(replace(layer, constant=np.zeros(3, np.int64)),)),
        "network_geometry_sound": _network(layers=(replace(layer, geometry=Dense(batch=(2,))),)),
    }


@pytest.mark.parametrize("rule", [rule.__name__ for rule in NETWORK_RULES])
def test_network_rule_broken_alone(rule: str) -> None:
    network = _wrong_networks()[rule]
    assert [r.__name__ for r in NETWORK_RULES if list(r(network))] == [rule]
    with pytest.raises(VerifyError, match=rule):
        verify_network(network)


def test_a_sound_network_breaks_nothing() -> None:
    verify_network(_network())


SCATTER = Scatter((2,), (1,), (1,), (0, 0), (0,))


@pytest.mark.parametrize(
    "geometry",
    [
        Dense(batch=(-1, -1)),
        replace(SCATTER, output_padding=()),
        replace(SCATTER, output_padding=(-1,)),
        replace(SCATTER, output_shape=(3, 3)),
        replace(SCATTER, output_shape=(-3,)),
        replace(SCATTER, pads=(0,)),
        replace(SCATTER, strides=(0,)),
        replace(SCATTER, dilations=(1 << 62,)),
    ],
)
def test_numbers_that_make_no_loop(geometry: Geometry) -> None:
    assert list(geometry_faults(geometry, 1, 4, 4))


def test_numbers_that_make_a_loop() -> None:
    for geometry in (Dense(), SCATTER, replace(SCATTER, output_shape=(0,), output_padding=(3,))):
        assert not list(geometry_faults(geometry, 1, 4, 4))


@pytest.mark.parametrize("shape", [(1 << 41, 20), (-1, 20), (20, 1), ()])
def test_counts_for_an_input_that_no_layer_takes(shape: tuple[int, ...]) -> None:
    assert _rules(_program(replace(_step(), input_shape=shape))) == ["input_shape_fits"]


def test_counts_for_more_vectors_than_64_bits_hold() -> None:
    """A small input whose padding makes the vectors many."""
    shape = (1, 20, 3, 3)
    near, far = (Window((1, 1), (1, 1), (1, 1), (pad,) * 4) for pad in (9, 1 << 30))
    layer = replace(_step(), geometry=far, input_shape=shape)
    assert "input_shape_fits" in _rules(_program(layer))
    assert not is_countable(far, shape)
    assert is_countable(near, shape)
