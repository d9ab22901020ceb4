from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from tests.builders import int_layer, mapped, program_of, small_target
from tests.executor.test_engines import mapped_or_none
from tests.strategies import Case, cases
from xbarc.circuit import Chip, Effects
from xbarc.executor import AnalogLayer, Noise, ReferenceLayer
from xbarc.executor.analog import on_grid
from xbarc.executor.run import Executor, chip_layer
from xbarc.ir.program import CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import AnyArray


def _vectors(step: CrossbarStep, count: int = 5, seed: int = 0) -> AnyArray:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if step.input_bits <= 8 else np.uint16
    top = 1 << step.input_bits
    return rng.integers(0, top, (count, step.groups, step.inputs)).astype(dtype)


def _whole(step: CrossbarStep) -> AnyArray:
    return step.cells.unpack((slice(None),)).astype(np.float64)


@given(cases())
@settings(max_examples=40, deadline=None)
def test_whole_levels_give_the_bits_of_the_reference(case: Case) -> None:
    _same_as_reference(case)


@given(cases(adc="3"))
@settings(max_examples=40, deadline=None)
def test_saturating_converters_too(case: Case) -> None:
    _same_as_reference(case)


def _same_as_reference(case: Case) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    vectors = _vectors(step)
    wanted, found = LayerTrace(keep_codes=True), LayerTrace(keep_codes=True)
    reference = ReferenceLayer(step).accumulate(vectors, wanted)
    analog = AnalogLayer(step, _whole(step)).accumulate(vectors, found)
    assert np.array_equal(reference, analog)
    assert np.array_equal(wanted.codes[0], found.codes[0])
    assert (wanted.conversions, wanted.saturated) == (found.conversions, found.saturated)


def _step(adc: str = "lossless", **overrides: Any) -> CrossbarStep:
    target = small_target(array__rows=16, array__columns=16, array__active_rows=8, **overrides)
    weights = np.random.default_rng(0).integers(-128, 128, (1, 40, 7))
    return mapped(int_layer(weights), target, adc=adc)


def _real(step: CrossbarStep, seed: int = 1) -> AnyArray:
    return _whole(step) + np.random.default_rng(seed).normal(0, 0.2, step.cells.shape)


def test_real_sums_pass_the_definition_of_the_converter() -> None:
    """A plain float64 walk over segments, slices and entries, as the manual defines them."""
    step, real = _step(), _real(_step())
    vectors = _vectors(step)
    acc = np.zeros((5, 7))
    bounds = step.tiling.segment_bounds
    for first, last in pairwise(bounds):
        seen = on_grid(real[0, first:last].T, 1).astype(np.float64)
        for s in range(8):
            sums = ((vectors[:, 0, first:last] >> s) & 1) @ seen.T
            codes = np.clip(np.floor(sums + 0.5), 0, (1 << step.adc.bits.max()) - 1)
            for o, k, value in zip(
                step.periphery.r_output,
                step.periphery.r_conversion,
                step.periphery.r_value[0, 0],
                strict=True,
            ):
                acc[:, o] += codes[:, k] * float(value) * 2**s
    assert step.adc.lo.max() == 0
    assert np.array_equal(AnalogLayer(step, real).accumulate(vectors)[:, 0], acc)


@pytest.mark.parametrize("noise", [None, Noise(0.05, 0.2, seed=3)])
def test_threads_and_batches_change_nothing(noise: Noise | None) -> None:
    step, real = _step(), _real(_step())
    vectors = _vectors(step, 4000)
    whole = AnalogLayer(step, real, noise, threads=1).accumulate(vectors)
    shared = AnalogLayer(step, real, noise, threads=3).accumulate(vectors)
    pieces = AnalogLayer(step, real, noise)
    parts = [pieces.accumulate(vectors[:1]), pieces.accumulate(vectors[1:])]
    assert np.array_equal(whole, shared)
    assert np.array_equal(whole, np.concatenate(parts))


def test_rows_may_come_in_any_order() -> None:
    real = _real(_step())
    seen = on_grid(real[0, :16].T, 1)
    planes = (np.random.default_rng(2).random((16, 50)) < 0.5).astype(seen.dtype)
    order = np.random.default_rng(3).permutation(16)
    assert np.array_equal(seen @ planes, seen[:, order] @ planes[order])
    assert abs(seen - real[0, :16].T).max() < 2.0**-12


def test_wide_sums_leave_float32() -> None:
    seen = np.full((2, 128), 15.0)
    assert on_grid(seen, 1).dtype == np.float32
    assert on_grid(seen, 8).dtype == np.float64


def test_noise_has_its_sigma() -> None:
    target = small_target(array__rows=64, array__columns=16, array__active_rows=64)
    step = mapped(int_layer(np.full((1, 64, 2), 100)), target, adc="lossless")
    vectors = np.full((4000, 1, 64), 1, dtype=np.uint8)
    trace = LayerTrace(keep_codes=True)
    AnalogLayer(step, _whole(step), Noise(cell=0.5, seed=1)).accumulate(vectors, trace)
    sums = trace.codes[0][:, 0, 0, 0, :]
    clear = sums.mean(axis=0) > 30  # far from the clamp at zero
    assert clear.any()
    assert np.allclose(sums[:, clear].std(axis=0), 4.0, rtol=0.06)


def test_other_seeds_and_samples_make_other_noise() -> None:
    step = _step()
    vectors = _vectors(step, 50)
    runs = [
        AnalogLayer(step, _whole(step), noise).accumulate(vectors)
        for noise in (Noise(0.1, seed=1), Noise(0.1, seed=2), Noise(0.1, seed=1, sample=1))
    ]
    assert not np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def _noisy(noise: float | None) -> AnyArray:
    """Results on a chip whose converters have this noise and nothing else."""
    figures: dict[str, Any] = {"cell__read_noise__value": 0.0}
    if noise is not None:
        figures["adc__noise"] = noise
    target = small_target(array__rows=16, array__columns=16, array__active_rows=8, **figures)
    weights = np.random.default_rng(0).integers(-128, 128, (1, 40, 7))
    step = mapped(int_layer(weights), target)
    chip = Chip(program_of([step], target, (None, 40)), Effects(frozenset({"noise"}), seed=4))
    layer = chip_layer(chip, step)
    assert isinstance(layer, AnalogLayer)
    return layer.accumulate(_vectors(step, 200))


def test_noise_of_converters_changes_results() -> None:
    """In steps of the converter: far below half a step nothing is seen, beyond it much is."""
    plain = _noisy(None)
    assert np.array_equal(_noisy(0.0), plain)
    assert np.array_equal(_noisy(0.01), plain)
    small, large = (np.abs(_noisy(noise) - plain).mean() for noise in (0.4, 1.6))
    assert 0 < small < large


def test_a_chip_without_effects_runs_the_plain_program() -> None:
    step = _step()
    program = program_of([step], small_target(), (None, 40))
    feeds = {"x": _vectors(step)[:, 0]}
    plain = Executor(program).run(feeds)[0]
    assert np.array_equal(plain, Executor(program, chip=Chip(program, Effects())).run(feeds)[0])


def test_shapes_must_agree() -> None:
    step = _step()
    with pytest.raises(ValueError, match="levels"):
        AnalogLayer(step, np.zeros((1, 2, 3)))
