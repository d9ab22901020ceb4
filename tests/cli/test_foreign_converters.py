"""`--adc package:Name`, and what a program says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import xbarc as xbarc_api
from tests.cli.conftest import Run
from tests.mapping.converters.test_foreign_converters import MinMax
from xbarc.target import load_target

HOME = MinMax.__module__
SMALL = ("array.rows=8", "array.columns=16", "array.active_rows=8")
SETS = tuple(word for setting in SMALL for word in ("--set", setting))
PATH = f"{HOME}:MinMax"


@pytest.mark.parametrize("wires", [{}, {"placement": "rows", "compensate": "gain"}])
def test_a_program_names_it(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    wires: dict[str, str],
) -> None:
    """An object and a path give equal programs, which load by themselves; also on wires."""
    data = {"x": np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)}
    source, place = model(), tmp_path / "a.xbar"
    made = xbarc_api.compile(
        source,
        load_target("rram128", SMALL),
        calibration=data,
        adc=MinMax(),
        **wires,  # type: ignore[arg-type]
    )
    more = [word for name, value in wires.items() for word in (f"--{name}", value)]
    asked = ("compile", source, "-o", place, "--calibrate", npz(**data), *SETS, *more)
    done = xbarc(*asked, "--adc", PATH)
    assert done.code == 0, done.err
    loaded = xbarc_api.load(place).program
    assert dict(loaded.settings)["adc"] == f"min-max ({PATH}, unversioned)"
    assert dict(loaded.settings) == dict(made.program.settings)
    (step,), (other,) = loaded.crossbar_steps, made.program.crossbar_steps
    assert step.adc.policy == "min-max"
    assert int(step.adc.bits.max()) <= 4
    assert all(
        np.array_equal(getattr(step.adc, name), getattr(other.adc, name))
        for name in ("bits", "lo", "step")
    )
    assert xbarc("verify", place).code == 0
    assert "min-max" in xbarc("report", place).out


def test_faults_and_missing_data_are_told(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    data = npz(x=np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32))
    asked = ("compile", model(), "-o", tmp_path / "a.xbar", *SETS)
    xbarc(*asked, "--adc", PATH).refused("--adc min-max needs calibration data")
    faulty = xbarc(*asked, "--calibrate", data, "--adc", f"{HOME}:Faulty")
    faulty.refused(f"--adc {HOME}:Faulty (unversioned): choose() failed: KeyError: 'sums'")
