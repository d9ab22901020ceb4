"""The compiled loops: every CPU's and the shuffle's, on any threads, bounded in memory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, program_of, small_target
from tests.executor.test_engines import draw_adc, mapped_or_none
from tests.strategies import Case, cases
from xbarc.executor import Executor, FastLayer, ReferenceLayer, short_runs
from xbarc.executor.adc import conversions_of_vector
from xbarc.executor.lanes import LANES
from xbarc.executor.saturating import SaturatingLayer, announce_compilation, fits_lookup
from xbarc.executor.short_runs import ShortRunLayer
from xbarc.executor.shuffle import lane_order
from xbarc.executor.sliced import ByteLayer, SlicedLayer, byte_conversions
from xbarc.ir.effective import effective_weights, is_lossless, lossless_conversions
from xbarc.ir.geometry import Window
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.ir.quantizers import IntegerInput
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import IntArray


def _vectors(step: CrossbarStep, count: int, seed: int) -> IntArray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << step.input_bits, (count, step.groups, step.inputs))


@given(cases(), st.data(), st.integers(0, 3))
def test_short_runs_give_the_same_bits(case: Case, data: st.DataObject, calls: int) -> None:
    """By the reference, then by the fast engine: sums and counts, wherever the change comes."""
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_adc(step, data)
    layer, reference = ShortRunLayer(FastLayer(step)), ReferenceLayer(step)
    found, wanted = LayerTrace(), LayerTrace()
    most = calls * 5 * conversions_of_vector(step) + 1
    with (
        patch.object(short_runs, "is_loaded", return_value=False),
        patch.object(short_runs, "_BEFORE_LOOPS", most),
    ):
        for seed in range(3):
            vectors = _vectors(step, 5, seed)
            sums = layer.accumulate(vectors, found)
            assert np.array_equal(sums, reference.accumulate(vectors, wanted))
    assert vars(found) == vars(wanted)


@given(cases(), st.data())
def test_loops_for_every_cpu_equal_the_reference(case: Case, data: st.DataObject) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    step = draw_adc(step, data)
    if not fits_lookup(step):
        return
    none = np.zeros_like(step.periphery.input_sum)  # what `beta` adds is not the loops' business
    step = replace(step, periphery=replace(step.periphery, input_sum=none))
    vectors = _vectors(step, data.draw(st.sampled_from([0, 1, 31, 32, 33, 70])), 0)
    wanted, found = LayerTrace(), LayerTrace()
    reference = ReferenceLayer(step).accumulate(vectors, wanted)
    for anywhere in (True, False):
        found = LayerTrace()
        layer = SaturatingLayer(step, anywhere=anywhere)
        assert np.array_equal(layer.accumulate(vectors, found), reference)
        assert found.saturated == wanted.saturated
    found = LayerTrace()
    assert np.array_equal(SlicedLayer(step).accumulate(vectors, found), reference)
    assert found.saturated == wanted.saturated


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "offset"])
@pytest.mark.parametrize(
    ("cell_bits", "dac_bits"), [(1, 1), (2, 1), (3, 2), (4, 4), (8, 1), (8, 8)]
)
def test_wide_cells_and_converters_of_steps(encoding: str, cell_bits: int, dac_bits: int) -> None:
    """More digits than one, several planes a slice, offsets and steps, on many blocks."""
    rng = np.random.default_rng(cell_bits)
    target = small_target(cell__bits=cell_bits, input__dac_bits=dac_bits, adc__max_bits=16)
    layer = int_layer(rng.integers(-128, 128, (2, 300, 11)))
    step = mapped(layer, target, encoding=encoding, adc="6")
    stepped = AdcSettings(step.adc.bits, step.adc.lo - 3, step.adc.step + 4, "test")
    raised = AdcSettings(step.adc.bits * 0 + 12, step.adc.lo * 0 + 5, step.adc.step, "test")
    for chosen in (step, replace(step, adc=stepped), replace(step, adc=raised)):
        vectors = _vectors(chosen, 45, 1)
        vectors[0], vectors[1] = 0, 255
        reference = ReferenceLayer(chosen).accumulate(vectors)
        assert np.array_equal(FastLayer(chosen).accumulate(vectors), reference)
        anywhere = SaturatingLayer(chosen, anywhere=True).accumulate(vectors, None)
        assert np.array_equal(anywhere, reference)


@pytest.mark.parametrize("input_bits", [1, 3, 4, 7, 8, 9, 16])
@pytest.mark.parametrize("cell_bits", [1, 2, 3])
def test_sums_that_stop_at_a_byte(input_bits: int, cell_bits: int) -> None:
    """Every setting that fits, beside the reference, with sums on both sides of 255."""
    rng = np.random.default_rng(input_bits * cell_bits)
    target = small_target(cell__bits=cell_bits)
    quantizer = IntegerInput(low=0, bits=input_bits)
    layer = int_layer(rng.integers(-128, 128, (2, 300, 7)), quantizer=quantizer)
    step = mapped(layer, target, adc="5")
    shape = (2, len(step.tiling.segment_bounds) - 1, step.conversions, 1)
    for _ in range(6):
        high_step = int(rng.choice([1, 2, 9, 100]))
        adc = AdcSettings(
            rng.integers(0, 8, shape).astype(np.uint8),
            rng.integers(0, int(rng.choice([1, 20, 200])), shape).astype(np.int32),
            rng.integers(1, high_step + 1, shape).astype(np.int32),
            "test",
        )
        changed = replace(step, adc=adc)
        chosen = np.broadcast_to(byte_conversions(changed), shape[:3])
        fitting, quick = SaturatingLayer(changed, chosen), ByteLayer(changed, chosen)
        vectors = _vectors(changed, 37, 5)
        vectors[0], vectors[1] = 0, (1 << input_bits) - 1
        one, two = LayerTrace(), LayerTrace()
        assert np.array_equal(quick.accumulate(vectors, one), fitting.accumulate(vectors, two))
        assert one.saturated == two.saturated


def test_threads_change_nothing() -> None:
    step = mapped(
        int_layer(np.random.default_rng(0).integers(-127, 128, (1, 400, 40))),
        small_target(),
        adc="5",
    )
    vectors = _vectors(step, 500, 2)
    traces = [LayerTrace(), LayerTrace()]
    one, two = (FastLayer(step, n).accumulate(vectors, traces[n - 1]) for n in (1, 2))
    assert np.array_equal(one, two)
    assert traces[0].saturated == traces[1].saturated > 0


def test_lossless_conversions_leave_the_sliced_path_segment_by_segment() -> None:
    """A short last segment never saturates at 6 bits; the full ones do."""
    weights = np.full((1, 132, 2), 127, dtype=np.int64)
    step = mapped(int_layer(weights), small_target(), adc="6")
    lossless = lossless_conversions(step)
    assert lossless.shape == (1, 2, step.conversions)
    assert lossless[0, 1].all()
    assert not lossless[0, 0].all()
    part = effective_weights(step, lossless)
    assert np.array_equal(part[0, 128:], weights[0, 128:])
    vectors = _vectors(step, 33, 3)
    assert np.array_equal(
        FastLayer(step).accumulate(vectors), ReferenceLayer(step).accumulate(vectors)
    )


def test_convolutions_with_converters_that_saturate() -> None:
    rng = np.random.default_rng(4)
    geometry = Window((3, 3), (2, 1), (1, 2), (1, 0, 2, 1))
    quantizer = IntegerInput(low=0, bits=8, zero_point=9)
    layer = int_layer(rng.integers(-127, 128, (2, 27, 5)), geometry=geometry, quantizer=quantizer)
    for adc in ("lossless", "4"):
        target = small_target(array__rows=16, array__active_rows=16)
        step = mapped(layer, target, adc=adc)
        program = program_of([step], target, [None] * 4)
        x = rng.integers(0, 256, (3, 6, 11, 13)).astype(np.uint8)
        fast, slow = Executor(program, "fast", 5000), Executor(program, "reference", 1)
        assert np.array_equal(fast.run({"x": x})[0], slow.run({"x": x})[0])


def test_what_does_not_fit_32_bits_takes_the_reference() -> None:
    target = small_target(cell__bits=8, input__dac_bits=8)
    layer = int_layer(
        np.full((1, 64, 1), 255), weight_bits=9, quantizer=IntegerInput(low=0, bits=16)
    )
    step = mapped(layer, target, adc="16")
    assert not fits_lookup(step)
    assert not is_lossless(step)
    vectors = _vectors(step, 5, 0)
    assert np.array_equal(
        FastLayer(step).accumulate(vectors), ReferenceLayer(step).accumulate(vectors)
    )


@pytest.mark.parametrize("lo", [-(1 << 31), -(1 << 30), (1 << 31) - 1])
def test_a_far_start_of_the_range_takes_the_reference(lo: int) -> None:
    """The least number of 32 bits has no absolute value in 32 bits."""
    step = mapped(int_layer(np.arange(-64, 64).reshape(1, 64, 2)), small_target(), adc="6")
    step = replace(step, adc=replace(step.adc, lo=np.full_like(step.adc.lo, lo)))
    assert not fits_lookup(step)
    vectors = _vectors(step, 5, 0)
    assert np.array_equal(
        FastLayer(step).accumulate(vectors), ReferenceLayer(step).accumulate(vectors)
    )


def test_a_conversion_that_sees_many_columns_takes_the_reference() -> None:
    """Sums grow with the columns that one conversion adds up."""
    target = small_target(cell__bits=8)
    layer = int_layer(np.full((1, 64, 2), 127))
    step = mapped(layer, target, encoding="differential-analog", adc="6")
    assert fits_lookup(step)
    p = step.periphery
    many = {n: np.tile(getattr(p, n), 300) for n in ("a_conversion", "a_column", "a_sign")}
    step = replace(step, periphery=replace(p, **many))
    assert not fits_lookup(step)
    vectors = _vectors(step, 5, 0)
    assert np.array_equal(
        FastLayer(step).accumulate(vectors), ReferenceLayer(step).accumulate(vectors)
    )


def test_a_run_interrupted_in_the_middle_leaves_nothing_behind() -> None:
    target = small_target()
    rng = np.random.default_rng(6)
    quantizer = IntegerInput(low=-(1 << 15), bits=16)
    first = mapped(int_layer(rng.integers(-3, 4, (1, 200, 9)), name="first"), target, adc="5")
    second = mapped(
        int_layer(rng.integers(-3, 4, (1, 9, 4)), name="second", quantizer=quantizer),
        target,
        adc="6",
    )
    second = replace(second, input="y", output="z")
    executor = Executor(program_of([first, second], target, [None, 200]))
    x = rng.integers(0, 256, (40, 200)).astype(np.uint8)
    wanted = executor.run({"x": x})[0]

    def interrupt(name: str) -> None:
        if name == "second":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        executor.run({"x": x}, progress=interrupt)
    assert np.array_equal(executor.run({"x": x})[0], wanted)


def test_lanes_are_dealt_once_each() -> None:
    assert sorted(lane_order()) == list(range(LANES))


def test_memory_of_a_large_picture_is_bounded() -> None:
    """3x1024x1024 with a 7x7 window: the windows alone take 154 MB, the output takes 8."""
    rng = np.random.default_rng(0)
    geometry = Window((7, 7), (1, 1), (1, 1), (3, 3, 3, 3))
    target = small_target()
    step = mapped(int_layer(rng.integers(-9, 10, (1, 147, 1)), geometry=geometry), target, adc="3")
    executor = Executor(program_of([step], target, [None] * 4), budget=1 << 20)
    x = rng.integers(0, 256, (1, 3, 1024, 1024)).astype(np.uint8)
    executor.run({"x": x[:, :, :64, :64]})
    tracemalloc.start()
    executor.run({"x": x})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_first_run_tells_that_it_compiles(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class Fresh:
        __name__ = "convert_and_add"
        signatures = ()
        stats = type("Stats", (), {"cache_path": str(tmp_path)})

    with caplog.at_level(logging.INFO, logger="xbarc"):
        announce_compilation(Fresh())
        assert "compiling the fast engine" in caplog.text
        caplog.clear()
        (tmp_path / "lookup.convert_and_add-1.py311.nbi").touch()
        announce_compilation(Fresh())
    assert not caplog.text


_COMPILE_THE_LOOP = """
import numpy as np
from tests.builders import int_layer, mapped, small_target
from xbarc.executor.saturating import SaturatingLayer
from xbarc.executor.sliced import ByteLayer
step = mapped(int_layer(np.arange(32).reshape(1, 8, 4) - 16), small_target())
for kind in (SaturatingLayer, ByteLayer):
    kind(step).accumulate(np.zeros((1, 1, 8), np.uint8), None)
"""


@pytest.mark.slow
def test_the_loop_is_compiled_by_the_first_process_only(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    counts = []
    for _ in range(2):
        subprocess.run([sys.executable, "-c", _COMPILE_THE_LOOP], check=True, env=environment)
        counts.append(len(list(tmp_path.rglob("*.nbc"))))
    assert counts[0] == counts[1] > 0
