"""Counted sums are those of the reference engine, and clip where its trace says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.viewer.programs import conv_program
from xbarc.executor import Executor
from xbarc.instruments import count_sums
from xbarc.instruments.sum_counts import BINS
from xbarc.ir import Trace


@pytest.mark.parametrize(
    "options",
    [{}, {"encoding": "differential-analog"}, {"adc": "3"}, {"adc_savings": "all"}],
    ids=lambda case: "-".join(map(str, case.values())) or "plain",
)
def test_counts_are_those_of_a_trace(options: dict[str, Any], tmp_path: Path) -> None:
    program = conv_program(tmp_path, **options)
    feeds = {"x": np.random.default_rng(5).normal(size=(3, 4, 5, 5)).astype(np.float32)}
    found, trace = count_sums(program, [feeds]), Trace(keep_codes=True)
    Executor(program, engine="reference").run(feeds, trace=trace)
    for step in program.crossbar_steps:
        seen, told = found[step.name], trace.layer(step.name)
        assert seen.vectors == told.vectors
        assert int(seen.clipped.sum()) == told.saturated
        assert (seen.counts.sum(axis=3) == seen.vectors * step.input_slices).all()
        if told.saturated:
            continue
        # Nothing clips: a code is its sum. Axes: vector, group, segment, input slice, conversion.
        lo = np.moveaxis(step.adc.lo.astype(np.int64), 2, 3)
        sums = np.concatenate(told.codes) * np.moveaxis(step.adc.step, 2, 3) + lo
        least, most = seen.least[:, :, None], seen.most[:, :, None]
        assert (sums >= least).all()
        assert (sums <= most).all()
        if (step.adc.step == 1).all():
            bins = (sums - least) * BINS // (most - least + 1)
            for at in range(BINS):
                assert np.array_equal((bins == at).sum(axis=(0, 3)), seen.counts[..., at])


def test_samples_are_spread_and_bounded(tmp_path: Path) -> None:
    program = conv_program(tmp_path)
    feeds = {"x": np.zeros((20, 4, 5, 5), dtype=np.float32)}
    found = count_sums(program, [feeds, feeds])
    assert found[program.crossbar_steps[0].name].vectors == 2 * 256
    assert found[program.crossbar_steps[2].name].vectors == 2 * 20
