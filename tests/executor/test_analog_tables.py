"""Sums of real cells by table lookup give the bits of the product in floats."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from tests.executor.test_engines import mapped_or_none
from tests.strategies import Case, cases
from xbarc.circuit import raw_words
from xbarc.circuit.random import stream_of
from xbarc.executor import HAS_SHUFFLE, AnalogLayer, Noise
from xbarc.executor.analog_tables import AnalogTables
from xbarc.executor.random_loop import draw_words
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import IntegerInput
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import AnyArray

pytestmark = pytest.mark.skipif(not HAS_SHUFFLE, reason="needs a shuffle of bytes")

NOISES = (None, Noise(0.03, 0.0, seed=1), Noise(0.2, 0.4, seed=2, sample=3), Noise(0.0, 5.0))


def _vectors(step: CrossbarStep, count: int, seed: int) -> AnyArray:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if step.input_bits <= 8 else np.uint16
    drawn = rng.integers(0, 1 << step.input_bits, (count, step.groups, step.inputs)).astype(dtype)
    return drawn * (rng.random(drawn.shape) < 0.7)


def _levels(step: CrossbarStep, spread: float, seed: int) -> AnyArray:
    whole = step.cells.unpack((slice(None),)).astype(np.float64)
    return whole + np.random.default_rng(seed).normal(0, spread, step.cells.shape)


def _same(
    step: CrossbarStep, levels: AnyArray, vectors: AnyArray, noise: Noise | None
) -> AnalogTables | None:
    """Both ways in two calls; gives the tables."""
    quick = AnalogLayer(step, levels, noise)
    plain = AnalogLayer(step, levels, noise, by_tables=False)
    for part in (vectors[:3], vectors[3:]):
        wanted, found = LayerTrace(), LayerTrace()
        assert np.array_equal(plain.accumulate(part, wanted), quick.accumulate(part, found))
        counts = ("vectors", "conversions", "saturated")
        assert [getattr(wanted, n) for n in counts] == [getattr(found, n) for n in counts]
    return quick._tables


@given(cases(), st.sampled_from(NOISES), st.sampled_from([0.1, 1.0]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_any_layer(case: Case, noise: Noise | None, spread: float, seed: int) -> None:
    step = mapped_or_none(case)
    if step is not None:
        _same(step, _levels(step, spread, seed), _vectors(step, 7, seed), noise)


def _step(rows: int = 40, seed: int = 0, adc: str = "6", **overrides: Any) -> CrossbarStep:
    rest = {"array__rows": 64, "array__columns": 16, "array__active_rows": 64, **overrides}
    weights = np.random.default_rng(seed).integers(-128, 128, (1, rows, 3))
    return mapped(int_layer(weights), small_target(**rest), adc=adc)


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("bits", [2, 4, 6])
def test_tables_take_common_layers(noise: Noise | None, bits: int) -> None:
    step = _step(rows=100, adc=str(bits))
    found = _same(step, _levels(step, 0.2, 1), _vectors(step, 80, 2), noise)
    assert found is not None
    assert len(found._cells) == 2


@pytest.mark.parametrize("noise", NOISES)
@given(
    st.integers(-20, 60),
    st.lists(st.integers(1, 9), min_size=1, max_size=8),
    st.integers(1, 6),
    st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_any_setting_of_converters(
    noise: Noise | None, lo: int, steps: list[int], bits: int, seed: int
) -> None:
    """Steps that differ from slice to slice among them."""
    step = _step(seed=seed)
    widths = np.resize(np.array(steps), 8 if len(steps) > 1 else 1)
    shape = (1, 1, 1, len(widths))
    adc = replace(
        step.adc,
        lo=np.full((1, 1, 1, 1), lo, dtype=step.adc.lo.dtype),
        step=widths.astype(step.adc.step.dtype).reshape(shape),
        bits=np.full((1, 1, 1, 1), bits, dtype=step.adc.bits.dtype),
    )
    _same(replace(step, adc=adc), _levels(step, 0.3, seed), _vectors(step, 40, seed), noise)


@pytest.mark.parametrize("noise", NOISES[:2])
@pytest.mark.parametrize("value", [-3.0, 0.0, 7.9375, 1000.0])
def test_extremes(noise: Noise | None, value: float) -> None:
    """All cells equal: the ends of the window of sums, below zero too; 1,000 does not fit it."""
    step = _step(rows=64)
    vectors = np.full((5, 1, 64), 255, dtype=np.uint8)
    vectors[0] = 0
    _same(step, np.full(step.cells.shape, value), vectors, noise)


@pytest.mark.parametrize("bits", [1, 3, 5, 11])
def test_any_count_of_planes(bits: int) -> None:
    weights = np.random.default_rng(0).integers(-128, 128, (1, 20, 3))
    quantizer = IntegerInput(low=0, bits=bits)
    step = mapped(int_layer(weights, quantizer=quantizer), small_target(), adc="5")
    for noise in NOISES:
        _same(step, _levels(step, 0.2, 1), _vectors(step, 40, 2), noise)


def test_codes_are_kept_as_before() -> None:
    step = _step()
    vectors, levels = _vectors(step, 9, 1), _levels(step, 0.2, 1)
    kept = LayerTrace(keep_codes=True)
    layer = AnalogLayer(step, levels, NOISES[1])
    first = layer.accumulate(vectors, kept)
    again = AnalogLayer(step, levels, NOISES[1])
    assert np.array_equal(first, again.accumulate(vectors))
    assert np.array_equal(layer.accumulate(vectors), again.accumulate(vectors))  # noise goes on


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**40), st.integers(1, 9))
def test_words_are_those_of_numpy(seed: int, start: int, stride: int) -> None:
    place = (7, 2**32 - 1, 3)
    words = np.zeros((4, 32), dtype=np.uint64)
    key, upper = stream_of(seed, "noise", place)
    first = np.uint64(start + 1)
    draw_words(tuple(key), tuple(upper), first, np.uint64(stride), words)
    wanted = raw_words(seed, "noise", place, 32 * 4 * stride, 4 * start)
    assert np.array_equal(words.T, wanted.reshape(32, stride, 4)[:, 0])
