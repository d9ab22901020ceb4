"""What a report counts is what an executor does: the same numbers from two sides."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.builders import mapped, program_of
from tests.strategies import Case, cases
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import program_cost, step_timing
from xbarc.cost.counts import WIDTHS
from xbarc.cost.hardware import adc_places
from xbarc.cost.step_counts import vector_counts
from xbarc.errors import MappingError
from xbarc.executor.run import Executor
from xbarc.ir.effective import conversion_matrix
from xbarc.ir.network import Value
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.trace import LayerTrace, Trace
from xbarc.target import load_target

MODELS = Path(__file__).resolve().parents[2] / "models"


def program_for(case: Case, policy: str, seed: int | None) -> Program:
    """The case on crossbars, widths of its conversions replaced where a seed is given.

    Many are 0 then, in some cycles and segments alone.
    """
    try:
        step = mapped(case.layer, case.target, **{**case.options, "adc": policy})
    except MappingError:
        reject()  # it does not fit that target: nothing to count
    step = replace(step, input_shape=case.tensor.shape)
    if seed is not None:
        rng = np.random.default_rng(seed)
        segments = len(step.tiling.segment_bounds) - 1
        full = (step.groups, segments, step.conversions, step.input_slices)
        shape = [int(rng.choice([1, size])) for size in full]
        bits = (rng.integers(0, 6, shape) * rng.integers(0, 2, shape)).astype(np.uint8)
        step = replace(step, adc=replace(step.adc, bits=bits))
    program = program_of([step], case.target, case.tensor.shape)
    return replace(program, inputs=(Value("x", "uint16", case.tensor.shape),))


def observed(program: Program, feeds: dict[str, Any], *, fast: bool, codes: bool) -> Trace:
    trace = Trace(keep_codes=codes)
    Executor(program, "fast" if fast else "reference").run(feeds, trace=trace)
    return trace


def widths_of_codes(step: CrossbarStep, seen: LayerTrace) -> tuple[float, ...]:
    """Widths of the conversions that were made, which hold every code that came out."""
    found = np.zeros(WIDTHS, dtype=np.int64)
    for codes in seen.codes:
        bits = np.broadcast_to(step.adc.bits.swapaxes(2, 3), codes.shape[1:]).astype(np.int64)
        assert (codes >= 0).all()
        assert (codes < (1 << bits)).all()
        found += len(codes) * np.bincount(bits.ravel(), minlength=WIDTHS)
    return (0, *found[1:].tolist())  # a code of 0 bits is a constant: nothing was converted


def agree(program: Program, feeds: dict[str, Any], *, fast: bool) -> None:
    """Every layer's input vectors and conversions, and the totals."""
    trace = observed(program, feeds, fast=fast, codes=False)
    cost = program_cost(program)
    for layer in cost.layers:
        seen = trace.layer(layer.step.name)
        assert layer.counts.all_conversions == seen.conversions, layer.step.name
    total = sum(seen.conversions for seen in trace.layers.values())
    assert cost.counts.all_conversions == total


@settings(max_examples=60)
@given(
    cases(),
    st.sampled_from(["lossless", "worst-case", "1", "3"]),
    st.none() | st.integers(0, 99),
    st.booleans(),
)
def test_conversions_are_those_of_the_executor(
    case: Case, policy: str, seed: int | None, fast: bool
) -> None:
    """Every encoding and geometry; lossless, saturating and 0-bit converters; both engines."""
    agree(program_for(case, policy, seed), {"x": case.tensor}, fast=fast)


@settings(max_examples=40)
@given(cases(), st.sampled_from(["lossless", "2"]), st.none() | st.integers(0, 99))
def test_widths_are_those_of_the_codes(case: Case, policy: str, seed: int | None) -> None:
    program = program_for(case, policy, seed)
    layer = program_cost(program).layers[0]
    seen = observed(program, {"x": case.tensor}, fast=False, codes=True).layer("layer")
    assert layer.counts.conversions == widths_of_codes(layer.step, seen)
    assert layer.positions == seen.vectors


@settings(max_examples=40)
@given(cases(), st.integers(0, 99))
def test_no_converter_decides_more_bits_than_it_has(case: Case, seed: int) -> None:
    """Bits decided lie between what the conversions need and what their converters are wide."""
    layer = program_cost(program_for(case, "lossless", seed)).layers[0]
    needed = sum(bits * count for bits, count in enumerate(layer.counts.conversions))
    decided = sum(layer.counts.bit_steps)
    widest = max((bits for bits, count in enumerate(layer.counts.bit_steps) if count), default=0)
    assert needed <= decided <= widest * layer.counts.all_conversions


def made_at(step: CrossbarStep) -> list[tuple[int, int, int, int]]:
    """Group, segment, conversion and slice of every conversion that is made, one by one."""
    segments = len(step.tiling.segment_bounds) - 1
    full = (step.groups, segments, step.conversions, step.input_slices)
    bits = np.broadcast_to(step.adc.bits, full)
    return [place for place in np.ndindex(full) if bits[place]]


@settings(max_examples=60)
@given(cases(), st.integers(0, 99))
def test_what_is_not_converted_is_neither_sampled_nor_added(case: Case, seed: int) -> None:
    """Place by place: sampled columns, entries of `R`, and the busiest converter of each cycle."""
    step = program_for(case, "lossless", seed).crossbar_steps[0]
    seen = conversion_matrix(step.periphery, step.conversions, step.cells.columns).tolil().rows
    block_of, code = step.tiling.segment_block, step.periphery.r_code
    entries = np.zeros((*code.shape[:2], step.conversions), dtype=np.int64)
    for g, b, e in np.argwhere(code):
        entries[g, b, step.periphery.r_conversion[e]] += 1
    sampled, added = set[tuple[int, ...]](), 0
    for g, s, k, at in made_at(step):
        sampled |= {(g, s, column, at) for column in seen[k]}
        added += int(entries[g % entries.shape[0], block_of[s] % entries.shape[1], k])
    counts = vector_counts(step, case.target)
    silent = replace(step, adc=replace(step.adc, bits=np.zeros((1, 1, 1, 1), dtype=np.uint8)))
    of_inputs = vector_counts(silent, case.target)
    assert of_inputs.samples == of_inputs.all_conversions == 0
    assert counts.samples == len(sampled)
    assert counts.shift_adds - of_inputs.shift_adds == added
    assert counts.all_conversions == len(made_at(step))


@settings(max_examples=60)
@given(cases(), st.integers(0, 99))
def test_what_is_not_converted_takes_no_time(case: Case, seed: int) -> None:
    """Arrays whose row blocks have segments read them one by one: the busiest converter of each."""
    step = program_for(case, "lossless", seed).crossbar_steps[0]
    places, block_of = adc_places(step, case.target), step.tiling.segment_block
    loads = Counter[tuple[int, ...]]()
    members = {(g, int(block_of[s]), k, at) for g, s, k, at in made_at(step)}
    for g, b, k, at in members:
        loads[at, g, b, int(places[g, b, k])] += 1
    busiest = step_timing(step, case.target).conversions_per_adc
    several = np.bincount(block_of).max() > 1
    most = max(loads.values(), default=0)
    assert busiest == most if several or not loads else busiest >= most


def images(name: str, count: int) -> dict[str, Any]:
    data = np.load(MODELS / f"{name}.npz")
    return {"image": data["image"][:count]}


@pytest.mark.parametrize(
    ("model", "target", "adc", "settings"),
    [
        ("fashion-mlp", "rram128", "calibrated:4", ()),
        ("fashion-mlp", "rram128", "calibrated:3", ('adc.reference="per-cycle"',)),
        ("fashion-mlp", "rram128", "5", ("adc.stops_early=true",)),
        ("fashion-bnn-mlp", "bnn128", "lossless", ()),
    ],
)
def test_trained_nets_convert_as_often_as_reported(
    model: str, target: str, adc: str, settings: tuple[str, ...]
) -> None:
    """References a cycle, early stops, and binary layers split over sense amplifiers."""
    feeds, chip = images("fashion-calibration-256", 8), load_target(target, settings)
    options = CompileOptions(encoding=chip.precision.encoding, adc=adc)
    path = MODELS / f"{model}.onnx"
    program = compile_model(path, chip, options=options, calibration=feeds)
    one = {name: values[:1] for name, values in feeds.items()}
    agree(program, one, fast=True)
    agree(program, one, fast=False)
