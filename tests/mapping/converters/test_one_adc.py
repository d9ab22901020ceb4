"""One converter setting for all sums."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import float_result, int_layer, mapped, small_target
from xbarc.executor import ReferenceLayer
from xbarc.executor.adc import convert, read_back
from xbarc.ir.quantizers import IntegerInput
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.converters import SumHistogram, choose_adc, one_setting, sum_histogram
from xbarc.numerics.types import Float64Array, Int64Array


def _error(values: Int64Array, weights: Float64Array, lo: int, step: int, bits: int) -> float:
    """By the executor's own converter."""
    adc = one_setting(lo, step, bits)
    back = read_back(convert(values, adc.lo, adc.step, adc.bits), adc.lo, adc.step).reshape(-1)
    return float((weights * (back - values) ** 2).sum())


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 3))
def test_no_setting_on_the_grid_is_better(seed: int, bits: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    spread = float(rng.uniform(2, 60))
    parts = []
    for _ in range(count):
        values = np.unique(np.rint(rng.normal(scale=spread, size=40)).astype(np.int64))
        parts.append(SumHistogram(values, rng.uniform(0.1, 1, values.size)))
    lo, step = choose_adc(parts, bits)
    values = np.concatenate([part.values for part in parts])
    weights = np.concatenate([part.weights for part in parts])
    found = _error(values, weights, lo, step, bits)
    top = (1 << bits) - 1
    widest = int(np.ptp(np.append(values, 0))) // top + 2
    every = [
        _error(values, weights, -codes * other, other, bits)
        for other in range(1, widest + 1)
        for codes in range(top + 1)
    ]
    assert found <= 1.1 * min(every) + 1e-9
    assert lo % step == 0
    assert -lo // step <= top


def test_sums_that_fit_are_read_exactly() -> None:
    part = SumHistogram(np.arange(-8, 8), np.ones(16))
    assert choose_adc([part], 4) == (-8, 1)


def test_a_histogram_predicts_the_error_of_the_accumulators() -> None:
    """Weighted errors of sums add up to the error of the outputs, relative to their signal."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-3, 4, (1, 90, 5))
    layer = int_layer(
        weights, quantizer=IntegerInput(0, 4), result=float_result(5, 0.25), weight_bits=3
    )
    target = small_target(array__rows=32, array__active_rows=32, input__dac_bits=2)
    step = mapped(layer, target, encoding="differential-analog")
    vectors = rng.integers(0, 16, (400, 1, 90))
    trace = LayerTrace(keep_codes=True)
    exact = ReferenceLayer(step).accumulate(vectors, trace)
    sums = trace.codes[0] + np.moveaxis(step.adc.lo.astype(np.int64), 2, 3)
    histogram = sum_histogram(step, sums, exact)
    bits = 5
    lo, width = choose_adc([histogram], bits)
    assert width > 1
    predicted = _error(histogram.values, histogram.weights, lo, width, bits)
    coarse = ReferenceLayer(replace(step, adc=one_setting(lo, width, bits))).accumulate(vectors)
    true = float(((coarse - exact) ** 2).mean(axis=0).sum() / exact.var(axis=0).sum())
    assert 0.5 * true < predicted < 2 * true
