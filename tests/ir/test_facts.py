"""Facts about inputs: no code beyond them, no conversion wider than they ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.executor.test_engines import mapped_or_none
from tests.strategies import Case, cases
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.executor.reference import adc_at
from xbarc.ir.effective import effective_weights, is_lossless, slice_ranges
from xbarc.ir.facts import InputFacts, slice_drives
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.converters import adc, adc_settings
from xbarc.numerics.types import AnyArray, Int64Array


@given(st.integers(1, 6), st.integers(0, 255), st.integers(0, 255))
def test_slices_of_an_interval(dac_bits: int, one: int, other: int) -> None:
    low, high = min(one, other), max(one, other)
    slices = -(-8 // dac_bits)
    facts = InputFacts(np.array([[low]]), np.array([[high]]))
    least, most = slice_drives(facts, dac_bits, slices)
    codes = np.arange(low, high + 1)[:, None]
    values = codes >> (dac_bits * np.arange(slices)) & ((1 << dac_bits) - 1)
    assert np.array_equal(least[0, 0], values.min(axis=0))
    assert np.array_equal(most[0, 0], values.max(axis=0))


@st.composite
def known_cases(draw: st.DrawFn) -> tuple[Case, InputFacts]:
    """A layer and an interval for each of its inputs."""
    case = draw(cases())
    groups, inputs, _ = case.layer.weight.tensor.shape
    top = (1 << case.layer.quantizer.bits) - 1  # type: ignore[union-attr]  # integers
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["any", "lower half", "upper half", "short", "one"]))
    ends = np.sort(rng.integers(0, top + 1, (2, draw(st.sampled_from([1, groups])), inputs)), 0)
    low, high = ends
    if kind == "lower half":
        low, high = 0 * low, np.minimum(high, top // 2)
    elif kind == "upper half":
        low, high = np.maximum(low, -(-top // 2)), 0 * high + top
    elif kind == "short":
        high = np.minimum(low + rng.integers(0, 3, low.shape), top)
    elif kind == "one":
        high = low
    return case, InputFacts(low, high)


def _known(case: Case, facts: InputFacts, reference: str = "per-cycle") -> CrossbarStep | None:
    adc = case.target.adc.model_copy(update={"reference": reference})
    target = case.target.model_copy(update={"adc": adc})
    known = replace(case, layer=replace(case.layer, facts=facts), target=target)
    return mapped_or_none(known)


def _inside(step: CrossbarStep, count: int, rng: np.random.Generator) -> Int64Array:
    """Vectors of codes within the facts, both ends among them; axes: vector, group, input."""
    assert step.facts is not None
    shape = (step.groups, step.inputs)
    low, high = (np.broadcast_to(end, shape) for end in (step.facts.low, step.facts.high))
    vectors = rng.integers(low, high + 1, (count, *shape))
    vectors[0], vectors[1] = low, high
    return vectors


@given(known_cases(), st.sampled_from(["static", "per-cycle"]))
def test_lossless_for_every_input_there_can_be(
    known: tuple[Case, InputFacts], reference: str
) -> None:
    step = _known(*known, reference=reference)
    if step is None:
        return
    assert is_lossless(step)
    vectors = _inside(step, 6, np.random.default_rng(0))
    trace = LayerTrace(keep_codes=False)
    slow = ReferenceLayer(step).accumulate(vectors, trace)
    assert trace.saturated == 0
    assert np.array_equal(FastLayer(step, threads=1).accumulate(vectors), slow)
    plain = np.einsum("vgi,gio->vgo", vectors, effective_weights(step).astype(np.int64))
    assert np.array_equal(slow, plain)


@given(known_cases(), st.sampled_from(["static", "per-cycle"]), st.sampled_from(["lossless", "3"]))
def test_row_blocks_one_at_a_time_get_the_same_converters(
    known: tuple[Case, InputFacts], reference: str, policy: str
) -> None:
    step = _known(*known, reference=reference)
    if step is None:
        return
    adc_of_target = known[0].target.adc.model_copy(update={"reference": reference, "max_bits": 32})
    target = known[0].target.model_copy(update={"adc": adc_of_target})
    with pytest.MonkeyPatch.context() as patch:
        whole = adc_settings(step, target, policy)
        patch.setattr(adc, "_PART", 1)
        parts = adc_settings(step, target, policy)
    for name in ("bits", "lo", "step"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


@given(known_cases())
def test_ranges_are_reached(known: tuple[Case, InputFacts]) -> None:
    """The interval of each sum is the least there is: some input within the facts reaches it."""
    case, facts = known
    step = _known(case, facts)
    if step is None or not step.conversions:
        return
    low, high = slice_ranges(step)
    shape = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions, step.input_slices)
    low, high = np.broadcast_to(low, shape), np.broadcast_to(high, shape)
    rng = np.random.default_rng(1)
    for _ in range(3):
        group, segment, conversion, s = (int(rng.integers(size)) for size in shape)
        place = (group, segment, conversion, s)
        for upward, end in ((True, high), (False, low)):
            vector = _extreme(step, place, upward=upward)
            assert _sum(step, vector, place) == end[place]


def _extreme(step: CrossbarStep, place: tuple[int, int, int, int], *, upward: bool) -> Int64Array:
    """The input within the facts that drives one sum as far as it goes; axis: input."""
    assert step.facts is not None
    group, segment, conversion, s = place
    row = group if len(step.facts.low) > 1 else 0
    vector: Int64Array = step.facts.low[row].astype(np.int64)
    first, last = step.tiling.segment_bounds[segment : segment + 2]
    reference = ReferenceLayer(step)
    pull = reference.sums(np.asarray(reference.levels(group, segment)))[:, conversion]
    for wire, weight in zip(range(int(first), int(last)), pull, strict=True):
        source = int(step.tiling.row_input[wire])
        low, high = int(step.facts.low[row, source]), int(step.facts.high[row, source])
        codes = np.arange(low, high + 1)
        driven = (codes >> (step.dac_bits * s)) & ((1 << step.dac_bits) - 1)
        best = driven.argmax() if (weight > 0) == upward else driven.argmin()
        vector[source] = codes[best]
    return vector


def _sum(step: CrossbarStep, vector: Int64Array, place: tuple[int, int, int, int]) -> int:
    group, segment, conversion, s = place
    first, last = step.tiling.segment_bounds[segment : segment + 2]
    wires = vector[step.tiling.row_input[first:last]]
    driven = (wires >> (step.dac_bits * s)) & ((1 << step.dac_bits) - 1)
    reference = ReferenceLayer(step)
    return int(reference.sums((driven @ reference.levels(group, segment))[None])[0, conversion])


@given(known_cases())
def test_one_bit_fewer_saturates(known: tuple[Case, InputFacts]) -> None:
    """A converter of one column has the bits that its facts ask for, and not one more."""
    case, facts = known
    alone = case.target.adc.model_copy(update={"columns_per_adc": 1})
    case = replace(case, target=case.target.model_copy(update={"adc": alone}))
    step = _known(case, facts)
    if step is None or not step.conversions:
        return
    segments = len(step.tiling.segment_bounds) - 1
    shape = (step.groups, segments, step.conversions, step.input_slices)
    bits = np.broadcast_to(step.adc.bits, shape)
    if segments > len(step.tiling.row_bounds) - 1 or not bits.any():
        return  # segments of a block share the widest setting
    place = tuple(int(i) for i in np.argwhere(bits == bits.max())[0])
    narrow = replace(step.adc, bits=np.where(bits > 0, bits - 1, bits).astype(np.uint8))
    tight = replace(step, adc=narrow)
    vector = _extreme(step, place, upward=True)  # type: ignore[arg-type]
    shape_of = (1, step.groups, step.inputs)
    trace = LayerTrace(keep_codes=False)
    vectors: AnyArray = np.broadcast_to(vector, shape_of).copy()
    ReferenceLayer(tight).accumulate(vectors, trace)
    assert trace.saturated > 0


def test_codes_of_the_upper_half_need_no_top_bit() -> None:
    """Codes 128 to 255: the top bit is always set, its sums are read from no converter."""
    layer = int_layer(np.random.default_rng(0).integers(-127, 128, (1, 40, 6)))
    facts = InputFacts(np.full((1, 40), 128), np.full((1, 40), 255))
    step = mapped(replace(layer, facts=facts), small_target(adc__reference='"static"'))
    bits = np.broadcast_to(step.adc.bits, (1, 1, step.conversions, 8))
    assert not bits[..., 7].any()
    lo = np.broadcast_to(step.adc.lo, bits.shape)
    sums = step.cells.unpack((0, slice(None))).sum(axis=0)
    assert np.array_equal(lo[0, 0, :, 7], sums)
    plain = mapped(layer, small_target(adc__reference='"static"'))
    assert np.array_equal(bits[..., :7], np.broadcast_to(plain.adc.bits, bits.shape)[..., :7])
    assert adc_at(step, 0, 0, 7)[2].max() == 0


def test_a_row_that_never_moves_adds_nothing() -> None:
    weights = np.full((1, 8, 1), 3)
    facts = InputFacts(np.zeros((1, 8), int), np.array([[0, 0, 0, 0, 0, 0, 255, 255]]))
    known = mapped(replace(int_layer(weights), facts=facts), small_target())
    plain = mapped(int_layer(weights), small_target())
    assert (known.adc.bits.max(), plain.adc.bits.max()) == (3, 5)
    assert known.facts is not None
    assert known.facts.plain_bits == plain.adc.bits.mean()
