"""Errors of few bits, executed and shared out over row blocks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.builders import small_target
from tests.mapping.converters.test_calibrated import layer_step, observed, vectors_for
from xbarc.calibration.sensitivity import measured_errors
from xbarc.executor import FastLayer
from xbarc.mapping.converters import setting_table, settings_of


@pytest.mark.parametrize("bits", [0, 2, 4])
def test_errors_of_row_blocks_add_up_to_what_is_executed(bits: int) -> None:
    target = small_target(adc__reference='"static"')
    step = layer_step(target, rows=250)
    vectors = vectors_for(step, 256)
    table = setting_table(step, target, observed(step, vectors).statistics, 8)
    errors = measured_errors(step, table, vectors)
    blocks, groups, slices = table.lo.shape[:3]
    assert errors.shape == (*table.lo.shape[:3], 9)
    assert blocks == 2
    widest = np.full((blocks, groups, slices), 8)
    exact = FastLayer(replace(step, adc=settings_of(step, table, widest, "exact")))
    wanted = exact.accumulate(vectors)
    few = widest.copy()
    worst = int(table.error[:, :, 0, 4].sum(axis=0).argmax())
    few[:, worst, 0] = bits
    coarse = FastLayer(replace(step, adc=settings_of(step, table, few, "coarse")))
    off = (coarse.accumulate(vectors) - wanted).astype(np.float64)
    assert errors[:, worst, 0, bits].sum() == pytest.approx(off.var(axis=0).mean(), rel=0.05)
    assert (errors[:, worst, 0, bits] > 0).all()


def test_more_bits_never_look_worse_in_any_row_block() -> None:
    target = small_target()
    step = layer_step(target, rows=250)
    vectors = vectors_for(step, 256)
    table = setting_table(step, target, observed(step, vectors).statistics, 8)
    errors = measured_errors(step, table, vectors)
    assert (np.diff(errors[..., 1:], axis=3) <= 1e-9).all()
