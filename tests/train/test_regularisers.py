"""Terms that make conversions cheaper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import xbarc.train as xt
from tests.train.jobs import small_mlp
from xbarc.options import Training
from xbarc.target import load_target


def _job(folder: Path) -> tuple[xt.TrainJob, xt.Samples]:
    path, samples = small_mlp(folder, 400)
    return xt.prepare(path, calibration=samples.inputs), samples


@pytest.mark.parametrize("encoding", ["acm", "differential-analog"])
@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["adc.stops_early=true"],
        ["adc.columns_per_adc=3"],
        ["adc.stops_early=true", "array.active_rows=4"],
        ["array.rows=8", "array.active_rows=4"],
    ],
)
def test_levels_are_those_of_the_converters_that_the_compiler_sizes(
    settings: list[str], encoding: str, tmp_path: Path
) -> None:
    path, samples = small_mlp(tmp_path, 400)
    target = load_target("rram128", settings)
    job = xt.prepare(path, target, calibration=samples.inputs, encoding=encoding)
    levels = []
    for step in job.finish().program.crossbar_steps:
        shape = (step.groups, len(step.tiling.segment_bounds) - 1, step.conversions)
        bits = np.broadcast_to(step.adc.bits[..., 0], shape).astype(float)
        levels.append(np.where(bits > 0, 2**bits, 0).ravel())
    assert xt.lossless_levels(job) == pytest.approx(np.concatenate(levels).mean())
    assert float(xt.adc_energy(job).detach()) <= xt.lossless_levels(job)


@pytest.mark.parametrize("term", [xt.adc_energy, xt.hoyer_balance, xt.group_lasso])
def test_a_step_down_a_term_makes_it_smaller(term: object, tmp_path: Path) -> None:
    job, _ = _job(tmp_path)
    with torch.no_grad():  # away from the levels, where rounding hides a small step
        for layer in job.layers.values():
            layer.cells.copy_(layer.current_levels() * layer.significance)
    value = term(job)  # type: ignore[operator]
    value.backward()
    with torch.no_grad():
        for layer in job.layers.values():
            assert layer.cells.grad is not None
            down = 1.01 * layer.cells.grad.sign() * (layer.cells > 0)
            layer.cells.sub_(down * layer.significance)  # just over a level
    job.project()
    assert float(term(job).detach()) < float(value.detach())  # type: ignore[operator]


@pytest.mark.parametrize("term", [xt.lossless_levels, xt.adc_energy, xt.hoyer_balance])
def test_converters_are_not_counted_for_cells_that_deviate(term: object, tmp_path: Path) -> None:
    job, _ = _job(tmp_path)
    wanted = float(torch.as_tensor(term(job)).detach())  # type: ignore[operator]
    job.set_noise(0.1)
    job.set_device()
    assert float(torch.as_tensor(term(job)).detach()) == wanted  # type: ignore[operator]


@pytest.mark.parametrize(("rate", "settings"), [(0.3, ["adc.stops_early=true"]), (1.0, [])])
def test_energy_is_pruned_to_the_goal(rate: float, settings: list[str], tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path, 400)
    job = xt.prepare(path, load_target("rram128", settings), calibration=samples.inputs)
    before = xt.lossless_levels(job)
    options = Training(epochs=12, batch=50, cell_rate=rate, prune_energy=2.0)
    course = xt.Trainer(job, samples, samples, options).run()
    assert xt.lossless_levels(job) == course.epochs[course.best].levels <= before / 2
    assert course.epochs[course.best].score > 0.6  # three classes
    assert job.check(samples.inputs)
