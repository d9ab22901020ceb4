"""The stop-watch of converter savings sees every stage, and leaves nothing behind."""

from __future__ import annotations

import numpy as np

from benchmarks.converter_savings_times import STAGES, timed
from tests.builders import int_layer, mapped, small_target
from xbarc.options import FREE_ADC_SAVINGS


def test_every_stage_of_the_savings_is_timed() -> None:
    before = [getattr(room, name) for room, name in STAGES.values()]
    rng = np.random.default_rng(1)
    weights = np.clip(np.rint(rng.normal(0, 35, (1, 300, 16))), -127, 127).astype(np.int64)
    with timed() as spent:
        narrow = mapped(int_layer(weights), small_target(), adc_savings=FREE_ADC_SAVINGS)
    assert set(spent) == {"distribute", "centre", "recode", "group", "settings"}
    assert all(seconds > 0 for seconds in spent.values())
    assert [getattr(room, name) for room, name in STAGES.values()] == before
    again = mapped(int_layer(weights), small_target(), adc_savings=FREE_ADC_SAVINGS)
    assert np.array_equal(again.cells.data, narrow.cells.data)
