"""`--cost-law` and `cost_law=`: what a program keeps of it, and who counts with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import xbarc as xbarc_api
from tests.cli.conftest import Run
from tests.cost.converters.test_cost_laws import Same
from xbarc.cost.converters.cost_law import law_origin
from xbarc.target import load_target

SMALL = ("array.rows=8", "array.columns=16", "array.active_rows=8")  # their wires are solved
SET = tuple(word for setting in SMALL for word in ("--set", setting))
TWICE = Same(2.0, name="twice")
TWICE_BY_PATH = f"{__name__}:TWICE"


def test_a_program_keeps_the_target_and_names_the_law(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    """Its report counts with the law; without the law it says so. The command gives the same."""
    source, place, target = model(), tmp_path / "a.xbar", load_target("rram128", SMALL)
    own = xbarc_api.compile(source, target)
    made = xbarc_api.compile(source, target, cost_law=TWICE)
    assert made.program.target == own.program.target
    made.save(place)
    kept, said = json.loads((place / "report.json").read_text()), law_origin(TWICE)
    assert kept["settings"]["cost_law"] == said
    assert kept["totals"]["area_mm2"] == own.report(cost_law=TWICE).totals.area_mm2
    assert kept["totals"]["area_mm2"] > (own.report().totals.area_mm2 or 0.0)
    again = xbarc_api.load(place).report()
    assert again.totals == own.report().totals
    assert again.settings["cost_law"] == f"the target's figures; compiled with {said}"
    done = xbarc("report", place, "--format", "json", "--cost-law", TWICE_BY_PATH)
    assert done.code == 0, done.err
    assert json.loads(done.out) == kept
    xbarc("place", place, "--cost-law", "nowhere:Law").refused(
        "--cost-law nowhere:Law: cannot be imported"
    )
    done = xbarc("compile", source, "-o", place, "--cost-law", TWICE_BY_PATH, "--json", *SET)
    assert json.loads(done.out) == kept


def test_compare_counts_with_it(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path]
) -> None:
    data = npz(x=np.random.default_rng(1).normal(size=(12, 5)).astype(np.float32))
    asked = ("compare", model(), "--data", data, "--encodings", "acm", "--json", *SET)
    own, law = (
        json.loads(xbarc(*asked, *more).out)["rows"][0]
        for more in ((), ("--cost-law", TWICE_BY_PATH))
    )
    assert law["area_mm2"] > own["area_mm2"]
    assert law["conversions"] == own["conversions"]


def test_a_file_may_name_what_is_installed_alone(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    file = tmp_path / "o.toml"
    file.write_text(f'[schedule]\ncost_law = "{TWICE_BY_PATH}"', encoding="utf-8")
    xbarc("compile", model(), "--options", file).refused("names code", "--cost-law")
