"""Factors of columns: the definition, written out, and both engines."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import float_result, int_layer, mapped, program_of, small_target
from tests.executor.test_engines import draw_adc, mapped_or_none
from tests.strategies import Case, cases
from xbarc.circuit import Chip, Effects
from xbarc.executor import Executor, FastLayer, PlainLayer, ReferenceLayer
from xbarc.ir import load_program, save_program
from xbarc.ir.effective import conversion_matrix, effective_weights, is_lossless, weight_sums
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import StaticInput
from xbarc.ir.trace import Trace
from xbarc.ir.verify import verify_program
from xbarc.mapping.place.permute import permute_columns
from xbarc.numerics.types import AnyArray
from xbarc.target import Target


def with_multiplier(target: Target, bits: int = 8) -> Target:
    return target.model_copy(update={"adc": target.adc.model_copy(update={"scale_bits": bits})})


def draw_scale(step: CrossbarStep, data: st.DataObject) -> CrossbarStep:
    """Factors of 0 to 255, with either leading axis left to broadcast."""
    blocks = len(step.tiling.row_bounds) - 1
    lead = [1 if data.draw(st.booleans()) else size for size in (step.groups, blocks)]
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    top = data.draw(st.sampled_from([1, 3, 15, 255]))
    scale = rng.integers(0, top + 1, (*lead, step.conversions)).astype(np.uint8)
    return replace(step, periphery=replace(step.periphery, column_scale=scale))


def accumulate_by_definition(step: CrossbarStep, vectors: AnyArray) -> AnyArray:
    """`sum 2**(d s) R f S'` in Python's integers, a term at a time; axes: vector, group, output."""
    p, tiling = step.periphery, step.tiling
    a = conversion_matrix(p, step.conversions, step.cells.columns).toarray()
    acc = np.zeros((len(vectors), step.groups, step.outputs), dtype=object)
    for v, g in np.ndindex(len(vectors), step.groups):
        cells = step.cells.unpack((g,)).astype(int)
        for n, block in enumerate(tiling.segment_block.tolist()):
            rows = slice(int(tiling.segment_bounds[n]), int(tiling.segment_bounds[n + 1]))
            for s in range(step.input_slices):
                wires = vectors[v, g][tiling.row_input[rows]] >> (step.dac_bits * s)
                sums = a @ ((wires & ((1 << step.dac_bits) - 1)) @ cells[rows])
                for entry, k in enumerate(p.r_conversion.tolist()):
                    lo, width, bits = (
                        int(array[tuple(np.minimum((g, n, k, s), np.array(array.shape) - 1))])
                        for array in (step.adc.lo, step.adc.step, step.adc.bits)
                    )
                    q = (2 * (int(sums[k]) - lo) + width) // (2 * width)
                    read = lo + width * min(max(q, 0), (1 << bits) - 1)
                    code = int(p.r_code[g % p.r_code.shape[0], block % p.r_code.shape[1], entry])
                    r = 0 if code == 0 else (1 if code > 0 else -1) << (abs(code) - 1)
                    assert p.column_scale is not None
                    f = p.column_scale[g % p.column_scale.shape[0], block % p.column_scale.shape[1]]
                    term = (r * int(f[k]) * read) << (step.dac_bits * s)
                    acc[v, g, p.r_output[entry]] += term
        beta = p.input_sum.reshape(step.groups, step.outputs)[g]
        acc[v, g] += int(vectors[v, g].sum()) * beta.astype(object)
    return acc


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "offset", "acm"])
@pytest.mark.parametrize("groups", [1, 2])
def test_engines_follow_the_definition(encoding: str, groups: int) -> None:
    rng = np.random.default_rng(groups)
    layer = int_layer(rng.integers(-8, 8, (groups, 11, 3)), weight_bits=4)
    target = small_target(
        array__rows=5, array__active_rows=3, array__columns=20, array__spare_columns=1
    )
    step = mapped(layer, target, encoding=encoding)
    blocks = len(step.tiling.row_bounds) - 1
    scale = rng.integers(0, 256, (groups, blocks, step.conversions)).astype(np.uint8)
    step = replace(
        step,
        periphery=replace(step.periphery, column_scale=scale),
        adc=replace(
            step.adc,
            bits=np.full((1, 1, 1, 1), 1, np.uint8),
            step=np.full((1, 1, 1, 1), 3, np.int32),
        ),
    )
    vectors = rng.integers(0, 256, (2, groups, 11)).astype(np.uint8)
    wanted = accumulate_by_definition(step, vectors.astype(int)).astype(np.int64)
    assert np.array_equal(ReferenceLayer(step).accumulate(vectors), wanted)
    assert np.array_equal(FastLayer(step).accumulate(vectors), wanted)


@given(cases(), st.data())
def test_fast_equals_reference_whatever_the_factors(case: Case, data: st.DataObject) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    if data.draw(st.booleans()):
        step = draw_adc(step, data)
    step = draw_scale(step, data)
    target = with_multiplier(case.target)
    program = program_of([step], target, [None] * case.tensor.ndim)
    verify_program(program)
    found, traces = [], [Trace(), Trace()]
    for engine, trace in zip(("fast", "reference"), traces, strict=True):
        values = {"x": case.tensor}
        Executor(program, engine).runner.run(step, values, trace)  # type: ignore[arg-type]
        found.append(values["y"])
    assert np.array_equal(found[0], found[1])
    assert traces[0].layer("layer").saturated == traces[1].layer("layer").saturated


@given(cases(), st.data())
def test_a_lossless_layer_with_factors_is_the_product_with_its_weights(
    case: Case, data: st.DataObject
) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_scale(step, data)
    assert is_lossless(step)
    weights = effective_weights(step)
    assert np.array_equal(weights.sum(axis=1, dtype=np.int64), weight_sums(step))
    wanted = PlainLayer(int_layer(weights, geometry=step.geometry, quantizer=step.quantizer))
    program = program_of([step], with_multiplier(case.target), [None] * case.tensor.ndim)
    values = {"x": case.tensor}
    Executor(program).runner.run(step, values)
    assert np.array_equal(values["y"], wanted.run(case.tensor, {}))


@given(cases(), st.data())
def test_factors_go_along_with_their_columns(case: Case, data: st.DataObject) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_scale(draw_adc(step, data), data)
    bounds = step.tiling.column_bounds.tolist()
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    order = np.concatenate([rng.permutation(np.arange(*ends)) for ends in pairwise(bounds)])
    moved = permute_columns(step, order)
    vectors = rng.integers(0, 1 << step.input_bits, (3, step.groups, step.inputs))
    found = [ReferenceLayer(s).accumulate(vectors.astype(np.uint16)) for s in (step, moved)]
    assert np.array_equal(found[0], found[1])


@given(st.integers(0, 2**32 - 1))
def test_terms_add_up_to_the_entries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    step = mapped(
        int_layer(rng.integers(-128, 128, (2, 9, 4))),
        small_target(array__rows=4, array__active_rows=4),
    )
    scale = rng.integers(0, 256, (2, 3, step.conversions)).astype(np.uint8)
    p = replace(step.periphery, column_scale=scale)
    assert p.r_lead == p.r_value.shape[:2] == (2, 3)
    for group, block in np.ndindex(2, 3):
        terms = p.r_terms(group, block)
        found = np.zeros((step.outputs, step.conversions), dtype=np.int64)
        np.add.at(found, (terms.output, terms.conversion), terms.sign << terms.exponent)
        wanted = np.zeros_like(found)
        np.add.at(wanted, (p.r_output, p.r_conversion), p.r_value[group, block])
        assert np.array_equal(found, wanted)
        assert len(terms.sign) <= 4 * len(p.r_output)  # half the bits of a factor


def test_chips_and_files_keep_the_factors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    quantizer = StaticInput(bits=4, scale=0.5, zero_point=2)
    layer = int_layer(
        rng.integers(-8, 8, (1, 40, 6)),
        weight_bits=4,
        quantizer=quantizer,
        result=float_result(6, 0.25),
    )
    target = small_target(
        adc__scale_bits=4,
        array__rows=16,
        array__active_rows=16,
        cell__variation__sigma__value=0.0,
    )
    step = mapped(layer, target, adc="2")
    scale = rng.integers(0, 16, (1, 3, step.conversions)).astype(np.uint8)
    step = replace(step, periphery=replace(step.periphery, column_scale=scale))
    program = program_of([step], target, [None, 40])
    program = replace(program, inputs=(replace(program.inputs[0], dtype="float32"),))
    path = tmp_path / "net.xbar"
    save_program(program, path)
    again = load_program(path)
    kept = again.crossbar_steps[0].periphery.column_scale
    assert kept is not None
    assert np.array_equal(kept, scale)
    x = {"x": rng.normal(size=(5, 40)).astype(np.float32)}
    wanted = Executor(program, "reference").run(x)[0]
    assert np.array_equal(Executor(again).run(x)[0], wanted)
    # on a chip whose cells do not deviate the analog engine reads the same codes
    still = Chip(again, Effects(frozenset({"variation"})))
    assert np.array_equal(Executor(again, chip=still).run(x)[0], wanted)
    plain = replace(step, periphery=replace(step.periphery, column_scale=None))
    without = Executor(replace(program, steps=(plain,))).run(x)[0]
    assert not np.array_equal(without, wanted)
