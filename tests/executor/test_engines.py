"""The first property: lossless equals the plain product; and always: fast equals reference."""

from __future__ import annotations

import gc
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, program_of, small_target
from tests.strategies import Case, cases
from xbarc import evaluate
from xbarc.errors import InputError, MappingError
from xbarc.evaluate import self_check
from xbarc.executor import Executor, FastLayer, PlainLayer, ReferenceLayer
from xbarc.executor.adc import convert, read_back, saturates
from xbarc.instruments.probe import Met
from xbarc.ir import effective
from xbarc.ir.effective import (
    effective_weights,
    is_lossless,
    lossless_conversions,
    slice_ranges,
    sum_ranges,
)
from xbarc.ir.geometry import Dense, Window
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.ir.quantizers import DynamicInput, FloatResult, IntegerInput, StaticInput
from xbarc.ir.trace import Trace
from xbarc.ir.verify import verify_program
from xbarc.numerics.types import AnyArray
from xbarc.runtime import IntegerProduct


def mapped_or_none(case: Case) -> CrossbarStep | None:
    """The case on crossbars, or None where it is refused for a reason that the user can read."""
    try:
        return mapped(case.layer, case.target, **case.options)
    except MappingError as error:
        if "neighbouring columns" in str(error) or "the ADC of rram128 has 16" in str(error):
            return None
        raise


def _run(step: CrossbarStep, case: Case, engine: str, trace: Trace | None = None) -> AnyArray:
    program = program_of([step], case.target, [None] * case.tensor.ndim)
    verify_program(program)
    executor = Executor(program, engine, budget=97)  # type: ignore[arg-type]
    values = {"x": case.tensor}
    executor.runner.run(step, values, trace)
    return values["y"]


@given(cases())
def test_lossless_equals_the_plain_product(case: Case) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    assert is_lossless(step)
    assert np.array_equal(effective_weights(step), case.layer.weight.tensor.load())
    wanted = PlainLayer(case.layer).run(case.tensor, {})
    assert np.array_equal(_run(step, case, "fast"), wanted)
    assert np.array_equal(_run(step, case, "reference"), wanted)


@given(cases(), st.data())
def test_fast_equals_reference_whatever_the_converters(case: Case, data: st.DataObject) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_adc(step, data)
    seen = {name: Trace() for name in ("fast", "reference")}
    fast, reference = (_run(step, case, name, seen[name]) for name in seen)
    assert np.array_equal(fast, reference)
    counts = [(t.layer("layer").conversions, t.layer("layer").vectors) for t in seen.values()]
    assert counts[0] == counts[1]
    assert seen["fast"].layer("layer").saturated == seen["reference"].layer("layer").saturated


@given(cases(), st.data())
def test_what_is_lossless_is_decided_some_segments_at_a_time(
    case: Case, data: st.DataObject
) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_adc(step, data)
    low, high = slice_ranges(step)
    top = step.adc.lo + (np.int64(1) << step.adc.bits.astype(np.int64)) - 1
    wanted = ((low >= step.adc.lo) & (high <= top) & (step.adc.step == 1)).all(axis=3)
    with patch.object(effective, "_CHUNK_SUMS", data.draw(st.integers(0, 200))):
        assert np.array_equal(lossless_conversions(step), wanted)


@pytest.mark.parametrize("convolution", [False, True])
def test_products_in_onnx_runtime_hold_every_weight_and_code(convolution: bool) -> None:
    """Weights stay where they are, also when nobody else keeps them."""
    rng = np.random.default_rng(5)
    weights = rng.integers(-128, 128, (3, 300, 7)).astype(np.int8)
    weights[0, :2, 0] = [-128, 127]
    codes = rng.integers(0, 256, (3, 5, 300))
    codes[:, 0] = 255
    wanted = codes @ weights.astype(np.int64)
    if convolution:  # of a kernel of 1: channels of three groups at five places
        kernels = weights.transpose(0, 2, 1).reshape(21, 300, 1)
        product = IntegerProduct(kernels, {"kernel_shape": [1], "group": 3}, 1)
        codes = codes.transpose(0, 2, 1).reshape(1, 900, 5)
        wanted = wanted.transpose(0, 2, 1).reshape(1, 21, 5)
        del kernels
    else:
        product = IntegerProduct(weights, threads=1)
    del weights
    gc.collect()
    for _ in range(3):
        assert np.array_equal(product.run(codes), wanted)


@pytest.mark.parametrize("inputs", [1, 2, 40])
def test_verify_finds_a_single_wrong_weight(inputs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two vectors do for a layer without loss: any weight differs on the one of most."""
    monkeypatch.setattr(evaluate, "_INPUTS", inputs)
    rng = np.random.default_rng(inputs)
    weights = rng.integers(-128, 128, (1, 40, 5))
    target = small_target()
    step = mapped(int_layer(weights), target)
    program = program_of([step], target, [1, 40])
    assert not list(self_check(program, met={"layer": Met(16)}))
    for group, row, output in rng.integers(0, (1, 40, 5), (9, 3)):
        engine = FastLayer(step)
        changed = engine.weights
        assert changed is not None
        changed[group, row, output] ^= 1
        found = dict(self_check(program, met={"layer": Met(16, engine=engine)}))
        assert found.keys() == {"fast == reference", "lossless == product"}


def test_verify_finds_weights_of_two_inputs_exchanged() -> None:
    weights = np.random.default_rng(3).integers(-128, 128, (1, 40, 5))
    step = mapped(int_layer(weights), small_target())
    program = program_of([step], small_target(), [1, 40])
    engine = FastLayer(step)
    changed = engine.weights
    assert changed is not None
    changed[:, [3, 4]] = changed[:, [4, 3]]
    found = dict(self_check(program, met={"layer": Met(16, engine=engine)}))
    assert found.keys() == {"fast == reference", "lossless == product"}


def draw_adc(step: CrossbarStep, data: st.DataObject) -> CrossbarStep:
    """Converters of any range, step and width, with any axis left to broadcast."""
    full = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions, step.input_slices)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))

    def draw(low: int, high: int) -> AnyArray:
        shape = tuple(1 if data.draw(st.booleans()) else size for size in full)
        return rng.integers(low, high, shape)

    bits = draw(1, data.draw(st.sampled_from([2, 4, 8, 14]))).astype(np.uint8)
    far = data.draw(st.sampled_from([9, 9, 9, 1 << 31]))
    lo = draw(-far, far)
    lo.reshape(-1)[:1] = data.draw(st.sampled_from([0, -far]))
    adc = AdcSettings(bits, lo.astype(np.int32), draw(1, 5).astype(np.int32), "test")
    return replace(step, adc=adc)


@given(st.integers(-50, 200), st.integers(-20, 20), st.integers(1, 7), st.integers(1, 8))
def test_converter_follows_its_definition(total: int, lo: int, step: int, bits: int) -> None:
    one = [np.array([value]) for value in (total, lo, step, bits)]
    exact = int(np.floor((total - lo) / step + 0.5))
    code = int(convert(*one)[0])
    assert code == min(max(exact, 0), (1 << bits) - 1)
    assert bool(saturates(*one)[0]) == (code != exact)
    assert int(read_back(np.array([0]), one[1], one[2])[0]) == lo


@given(st.integers(-9, 9), st.integers(1, 5), st.integers(1, 6))
def test_codes_never_fall_as_the_sum_rises(lo: int, step: int, bits: int) -> None:
    sums = np.arange(-100, 100)
    codes = convert(sums, np.array([lo]), np.array([step]), np.array([bits]))
    assert np.all(np.diff(codes) >= 0)


@given(cases())
def test_lossless_is_tight(case: Case) -> None:
    """Inputs that reach the bound never saturate, and with one bit fewer some input does."""
    step = mapped_or_none(case)
    if step is None or step.periphery.a_sign.size:
        return
    _, high = sum_ranges(step)
    top = np.full((1, step.groups, step.inputs), (1 << step.input_bits) - 1)
    trace = Trace()
    ReferenceLayer(step).accumulate(top, trace.layer("layer"))
    assert trace.layer("layer").saturated == 0
    needed = int(high.max(initial=0))
    assert needed == 0 or int(step.adc.bits.max()) == max(1, needed.bit_length())


def test_row_count_beyond_the_last_full_array_is_kept() -> None:
    weights = np.ones((1, 129, 1), dtype=np.int64)
    target = small_target()
    step = mapped(int_layer(weights), target)
    result = Executor(program_of([step], target, [1, 129])).run(
        {"x": np.ones((1, 129), dtype=np.uint8)}
    )
    assert result[0].item() == 129


def test_padding_is_the_code_of_zero() -> None:
    layer = int_layer(
        np.ones((1, 9, 1), dtype=np.int64),
        geometry=Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1)),
        quantizer=IntegerInput(low=0, bits=8, zero_point=7),
    )
    target = small_target()
    program = program_of([mapped(layer, target)], target, [None] * 4)
    flat = np.full((1, 1, 4, 4), 7, dtype=np.uint8)
    assert not Executor(program).run({"x": flat})[0].any()


def _float_layer(quantizer: StaticInput | DynamicInput, inputs: int = 6) -> CrossbarStep:
    rng = np.random.default_rng(5)
    weights = rng.integers(-127, 128, (1, inputs, 4))
    scale = np.array([0.5, 0.25, 1.0, 2.0], dtype=np.float32)
    result = FloatResult(scale, np.arange(4, dtype=np.float32))
    return mapped(int_layer(weights, quantizer=quantizer, result=result), small_target())


def test_static_input_and_float_result_by_hand() -> None:
    step = _float_layer(StaticInput(bits=4, scale=0.5, zero_point=3))
    x = np.array([[-9.0, -1.5, 0.0, 0.25, 0.75, 99.0]], dtype=np.float32)
    codes = np.array([0, 0, 3, 3, 5, 15])  # half to even: 0.25 / 0.5 -> 0, 0.75 / 0.5 -> 2
    weights = effective_weights(step)[0].astype(np.float64)
    wanted = (codes - 3) @ weights * 0.5 * np.array([0.5, 0.25, 1, 2]) + np.arange(4)
    values = {"x": x}
    Executor(program_of([step], small_target(), [1, 6])).runner.run(step, values)
    assert np.array_equal(values["y"], wanted[None].astype(np.float32))


def test_dynamic_results_do_not_depend_on_the_batch() -> None:
    step = _float_layer(DynamicInput(bits=8))
    runner = Executor(program_of([step], small_target(), [None, 6])).runner
    x = np.random.default_rng(0).normal(size=(7, 6)).astype(np.float32)
    x[3] *= 1000
    together = {"x": x}
    runner.run(step, together)
    for row in range(7):
        alone = {"x": x[row : row + 1]}
        runner.run(step, alone)
        assert np.array_equal(alone["y"][0], together["y"][row])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_inputs_that_no_dac_can_feed_are_refused(bad: float) -> None:
    step = _float_layer(DynamicInput(bits=8))
    runner = Executor(program_of([step], small_target(), [None, 6])).runner
    with pytest.raises(InputError, match="layer: the input holds NaN or infinity"):
        runner.run(step, {"x": np.full((1, 6), bad, dtype=np.float32)})


def test_wrong_shapes_are_refused() -> None:
    step = _float_layer(DynamicInput(bits=8))
    runner = Executor(program_of([step], small_target(), [None, 6])).runner
    with pytest.raises(InputError, match=r"shape \(1, 5\), expected 6 along axis -1"):
        runner.run(step, {"x": np.zeros((1, 5), dtype=np.float32)})


def test_batches_that_no_stack_of_matrices_meets_are_refused() -> None:
    geometry = Dense(batch=(2,))
    step = mapped(int_layer(np.ones((2, 3, 1)), geometry=geometry), small_target())
    runner = Executor(program_of([step], small_target(), [None, None, 3])).runner
    with pytest.raises(InputError, match=r"shape \(7, 4, 3\), .* a batch that meets \(2,\)"):
        runner.run(step, {"x": np.zeros((7, 4, 3), dtype=np.uint8)})


def test_integers_outside_their_format_are_refused() -> None:
    target = small_target()
    step = mapped(int_layer(np.ones((1, 2, 1)), quantizer=IntegerInput(low=0, bits=4)), target)
    runner = Executor(program_of([step], target, [1, 2])).runner
    with pytest.raises(InputError, match="spans 0 to 16, its format 0 to 15"):
        runner.run(step, {"x": np.array([[0, 16]], dtype=np.uint8)})
