"""What a trace holds of a layer: codes of its wordlines, and what its converters made of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from tests.binary_models import bnn_target, compiled, dense_net, senses
from tests.viewer.programs import conv_program
from xbarc.executor import Executor
from xbarc.ir import CrossbarStep, LayerTrace, Program, Trace
from xbarc.ir.effective import conversion_matrix
from xbarc.numerics.types import AnyArray, Int64Array


def traced(
    program: Program, engine: Literal["fast", "reference"], *batches: dict[str, AnyArray]
) -> Trace:
    whole = Trace(keep_codes=True)
    for feeds in batches:
        one = Trace(keep_codes=True)
        Executor(program, engine).run(feeds, trace=one)
        whole.join(one)
    return whole


def column_sums(step: CrossbarStep, driven: Int64Array, group: int, segment: int) -> Int64Array:
    """What conversions see; `driven` has the axes vector, row."""
    first, last = (int(b) for b in step.tiling.segment_bounds[segment : segment + 2])
    cells = step.cells.unpack()[group, first:last].astype(np.int64)
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    found: Int64Array = (a @ (driven[:, first:last] @ cells).T).T
    return found


def wanted_codes(step: CrossbarStep, inputs: AnyArray) -> Int64Array:
    """Codes by the definition, from what the wordlines carried."""
    shape = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions, step.input_slices)
    lo, width, bits = (
        np.broadcast_to(each, shape).astype(np.int64)
        for each in (step.adc.lo, step.adc.step, step.adc.bits)
    )
    codes = np.zeros((len(inputs), *shape[:2], shape[3], shape[2]), dtype=np.int64)
    for group, segment, cycle in np.ndindex(shape[0], shape[1], shape[3]):
        lines = inputs[:, group, step.tiling.row_input].astype(np.int64)
        driven = lines >> step.dac_bits * cycle & (1 << step.dac_bits) - 1
        at = group, segment, slice(None), cycle
        near = (2 * (column_sums(step, driven, group, segment) - lo[at]) + width[at]) // (
            2 * width[at]
        )
        codes[:, group, segment, cycle] = np.clip(near, 0, (1 << bits[at]) - 1)
    return codes


def kept(trace: LayerTrace) -> tuple[AnyArray, AnyArray]:
    return np.concatenate(trace.inputs), np.concatenate(trace.codes)


@pytest.mark.parametrize(
    "options", [{"encoding": "differential", "adc": 4}, {"encoding": "differential-analog"}]
)
def test_codes_follow_from_what_the_wordlines_carried(
    options: dict[str, Any], tmp_path: Path
) -> None:
    """Convolution, depthwise one and products, converters that saturate too; two batches."""
    program = conv_program(tmp_path, **options)
    rng = np.random.default_rng(0)
    batches = [{"x": rng.normal(size=(n, 4, 5, 5)).astype(np.float32)} for n in (2, 1)]
    fast, slow = (traced(program, engine, *batches) for engine in ("fast", "reference"))
    for step in program.crossbar_steps:
        inputs, codes = kept(fast.layer(step.name))
        assert inputs.shape == (len(codes), step.groups, step.inputs)
        assert np.array_equal(codes, wanted_codes(step, inputs))
        assert all(map(np.array_equal, kept(slow.layer(step.name)), (inputs, codes)))


def test_comparisons_follow_from_what_the_wordlines_carried(tmp_path: Path) -> None:
    program = compiled(dense_net(tmp_path), bnn_target(16, 16))
    feeds = {"b0": np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32)}
    trace = traced(program, "fast", feeds)
    for step in senses(program):
        assert step.sense is not None
        inputs, codes = kept(trace.layer(step.name))
        lines = inputs[:, 0, step.tiling.row_input]
        driven = (lines & step.sense.drive != 0).astype(np.int64)
        thresholds = np.broadcast_to(
            step.sense.thresholds,
            (1, len(step.tiling.segment_bounds) - 1, step.conversions, step.sense.levels),
        )
        for segment, theta in enumerate(thresholds[0]):
            sums = column_sums(step, driven, 0, segment)
            wanted = (sums[:, :, None] >= theta).sum(axis=2)
            assert np.array_equal(codes[:, 0, segment, 0], wanted)


def test_nothing_is_kept_unasked(tmp_path: Path) -> None:
    program, trace = conv_program(tmp_path), Trace()
    Executor(program).run({"x": np.zeros((1, 4, 5, 5), dtype=np.float32)}, trace=trace)
    assert all(not layer.inputs and not layer.codes for layer in trace.layers.values())
