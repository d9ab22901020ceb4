"""`--placement package:Name`, and what a program says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import xbarc as xbarc_api
from tests.chips.test_foreign_placements import Heavy
from tests.cli.conftest import Run
from xbarc.target import load_target

HOME = Heavy.__module__
SMALL = ("array.rows=8", "array.columns=16", "array.active_rows=8")


def test_a_program_names_it(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """An object and a path give equal programs, which load by themselves."""
    data = {"x": np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)}
    source, target, place = model(), load_target("rram128", SMALL), tmp_path / "a.xbar"
    made = xbarc_api.compile(source, target, calibration=data, placement=Heavy())
    sets = [word for setting in SMALL for word in ("--set", setting)]
    path = f"{HOME}:Heavy"
    asked = ("compile", source, "-o", place, "--calibrate", npz(**data), *sets)
    done = xbarc(*asked, "--placement", path)
    assert done.code == 0, done.err
    said = dict(xbarc_api.load(place).program.settings)["placement"]
    assert f"heavy ({path}, unversioned)" in said
    assert dict(made.program.settings) == dict(xbarc_api.load(place).program.settings)
    assert json.loads((place / "placement.json").read_text())["settings"]["placement"] == said
    assert xbarc("verify", place).code == 0
    xbarc(*asked, "--placement", f"{HOME}:Faulty").refused("order() failed: KeyError: 'row'")
    xbarc("compile", source, "--placement", path).refused("--placement heavy: needs data")
