"""`--adc BITS` where columns are subtracted before the converter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import int_layer, mapped, small_target
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.ir.effective import is_lossless
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.converters.adc import converter_keys
from xbarc.mapping.converters.capped import coarse_setting, likely_range
from xbarc.numerics.types import IntArray
from xbarc.target import Target

TARGET = small_target()


def step_of(adc: str, target: Target = TARGET, rows: int = 150, mean: int = 0) -> CrossbarStep:
    weights = np.rint(np.random.default_rng(1).normal(mean, 30, (1, rows, 12)))
    clipped = np.clip(weights, -127, 127).astype(np.int64)
    return mapped(int_layer(clipped), target, encoding="differential-analog", adc=adc)


def even_vectors(step: CrossbarStep, count: int, seed: int = 0) -> IntArray:
    rng = np.random.default_rng(seed)
    top = 1 << step.input_bits
    return rng.integers(0, top, (count, step.groups, step.inputs), dtype=np.uint8)


def spread(values: IntArray, step: CrossbarStep) -> IntArray:
    segments = len(step.tiling.segment_bounds) - 1
    return np.broadcast_to(values[..., 0], (step.groups, segments, step.conversions))


@given(st.integers(-5000, 0), st.integers(0, 5000), st.integers(2, 8))
def test_a_coarse_setting_covers_its_range_and_meets_zero(low: int, high: int, bits: int) -> None:
    lo, step = (int(part) for part in coarse_setting(np.array(low), np.array(high), bits))
    assert lo <= low
    assert lo + step * ((1 << bits) - 1) >= high
    assert lo % step == 0
    assert step == 1 or (step - 1) * ((1 << bits) - 2) < high - low


@given(st.integers(-5000, 0), st.integers(0, 5000))
def test_one_bit_has_a_code_on_either_side_of_the_middle(low: int, high: int) -> None:
    lo, step = (int(part) for part in coarse_setting(np.array(low), np.array(high), 1))
    assert step >= 1
    assert abs((2 * lo + step) - (low + high)) <= 1
    assert high - low < 5 or low <= lo < lo + step <= high


@pytest.mark.parametrize("mean", [0, 40])
def test_evenly_spread_inputs_hardly_ever_saturate(mean: int) -> None:
    step = step_of("3", mean=mean)
    assert not is_lossless(step)
    trace = LayerTrace(keep_codes=True)
    ReferenceLayer(step).accumulate(even_vectors(step, 400), trace)
    codes = trace.codes[0]
    assert ((codes == 0) | (codes == 7)).mean() < 0.05
    low, high = likely_range(step)
    blocks = step.tiling.segment_block
    lo, width = spread(step.adc.lo, step), spread(step.adc.step, step)
    wide = np.broadcast_to(width, lo.shape) > 1
    assert wide.any()
    assert (lo <= low[:, blocks])[wide].all()
    assert (lo + 7 * width >= high[:, blocks])[wide].all()


def test_products_come_out_nearly_right_where_the_least_sum_on_lost_them() -> None:
    exact, coarse = step_of("lossless"), step_of("5")
    vectors = even_vectors(exact, 300)
    wanted = FastLayer(exact).accumulate(vectors).astype(np.float64)
    least = AdcSettings(np.minimum(exact.adc.bits, 5), exact.adc.lo, exact.adc.step, "5")
    steps = (coarse, replace(exact, adc=least))
    errors = [((FastLayer(s).accumulate(vectors) - wanted) ** 2).mean() for s in steps]
    assert errors[0] < 0.08 * wanted.var()
    assert errors[1] > 1.0 * wanted.var()


@pytest.mark.parametrize("bits", ["3", "12"])
def test_converters_that_are_wide_enough_stay_lossless(bits: str) -> None:
    exact, capped = step_of("lossless"), step_of(bits)
    needed = spread(exact.adc.bits, exact)
    kept = needed <= int(bits)
    for name in ("bits", "lo"):
        same = spread(getattr(exact.adc, name), exact) == spread(getattr(capped.adc, name), exact)
        assert same[kept].all()
    assert (spread(capped.adc.step, exact)[kept] == 1).all()
    assert (bits == "12") == is_lossless(capped)


def test_columns_of_one_converter_share_their_setting() -> None:
    target = small_target()
    step = step_of("3", target)
    keys = np.broadcast_to(converter_keys(step, target), spread(step.adc.bits, step).shape)
    for name in ("lo", "step", "bits"):
        values = spread(getattr(step.adc, name), step)
        for place in np.ndindex(*values.shape[:2]):
            for key in np.unique(keys[place]):
                assert len(np.unique(values[place][keys[place] == key])) == 1


def test_engines_agree() -> None:
    step = step_of("4", rows=90)
    vectors = even_vectors(step, 64)
    fast, plain = FastLayer(step), ReferenceLayer(step)
    assert np.array_equal(fast.accumulate(vectors), plain.accumulate(vectors))
