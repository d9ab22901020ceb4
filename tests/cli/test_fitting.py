"""Few cells per weight from the command line, with and without data, whole and in pipes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import DENSE, Run, tree
from xbarc.ir.choices import FitRecord
from xbarc.ir.files import load_program
from xbarc.ir.program import CrossbarStep

QUANTISED = """
quantised (uint8[N, 4] x) => (uint8[N, 3] y)
<float xs = {0.05}, uint8 xz = {90}, float ws = {0.01}, int8 wz = {0}, float ys = {0.1},
 uint8 yz = {120},
 int8[4, 3] w = {127, -127, 90, -60, 33, 5, -7, 100, -120, 3, 66, -99}>
{
    y = QLinearMatMul(x, xs, xz, w, ws, wz, ys, yz)
}
"""
DYNAMIC = """
dynamic (uint8[N, 4] x) => (int32[N, 2] y)
<int8[4, 2] w = {127, -127, 90, -60, 33, 5, -7, 100}>
{
    y = MatMulInteger(x, w)
}
"""


def _step(path: Path) -> CrossbarStep:
    (step,) = load_program(path).crossbar_steps
    return step


def _data(count: int = 40, seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, 1)) + rng.normal(size=(count, 5))).astype(np.float32)


@pytest.mark.parametrize("encoding", ["differential", "acm", "segmented:2", "unipolar"])
def test_one_cell_a_weight(
    xbarc: Run,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    tmp_path: Path,
    encoding: str,
) -> None:
    out = tmp_path / "few.xbar"
    options = ("--weight-slices", 1, "--encoding", encoding, "-o", out)
    done = xbarc("compile", model(), *options, "--calibrate", npz(x=_data()))
    assert (done.code, done.err.strip()) == (0, f"wrote {out}")
    step = _step(out)
    assert step.weight_slices == 1
    assert step.fit is not None
    assert step.fit.output_error is not None
    assert xbarc("verify", out).code == 0
    check = xbarc("check", out, "--data", npz(x=_data(seed=1)), "--json")
    assert check.code == 0
    assert check.json["output_sqnr_db"] > 8


def test_without_data_weights_are_rounded(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "few.xbar"
    assert xbarc("compile", model(), "--weight-slices", 1, "-o", out).code == 0
    found = _step(out).fit
    assert found is not None
    assert found.method == "rounding"
    assert (found.plain_error, found.output_error) == (None, None)
    assert found.weight_error is not None
    assert dict(load_program(out).settings)["feedback"] == "off (no calibration data)"


@pytest.mark.parametrize("choice", ["auto", "on", "off"])
def test_feedback(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path, choice: str
) -> None:
    out = tmp_path / "few.xbar"
    options = ("--weight-slices", 1, "--feedback", choice, "--set", "cell.bits=1")
    levels = ("--set", "cell.conductance=[1.0,2.0]")
    calibrate = ("--calibrate", npz(x=_data(200)), "-o", out)
    assert xbarc("compile", model(), *options, *levels, *calibrate).code == 0
    found = _step(out).fit
    assert found is not None
    assert found.method == ("rounding" if choice == "off" else "feedback")
    if choice == "off":
        assert found.output_error is None
    else:
        assert found.output_error is not None
        assert found.plain_error is not None
        assert found.output_error < found.plain_error


def test_the_same_bytes_twice(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    places = [tmp_path / "a.xbar", tmp_path / "b.xbar"]
    source, data = model(), npz(x=_data())
    for place in places:
        options = ("--weight-slices", 1, "--encoding", "acm", "--calibrate", data, "-o", place)
        assert xbarc("compile", source, *options).code == 0
    assert tree(places[0]) == tree(places[1])


def test_a_fixed_batch_of_one_is_calibrated_too(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    source = model(DENSE.replace("float[N, 5]", "float[1, 5]").replace("[N, 3]", "[1, 3]"))
    out = tmp_path / "one.xbar"
    options = ("--weight-slices", 1, "--feedback", "on", "--calibrate", npz(x=_data(24)))
    assert xbarc("compile", source, *options, "-o", out).code == 0
    found = _step(out).fit
    assert found is not None
    assert found.method == "feedback"


def test_quantised_integers_are_exact_unless_cells_are_too_few(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    source = model(QUANTISED, "quantised")
    x = np.random.default_rng(0).integers(0, 256, (60, 4)).astype(np.uint8)
    data = npz(x=x)
    out = tmp_path / "q.xbar"
    for slices, exact in ((None, True), (4, True), (2, False)):
        options = () if slices is None else ("--weight-slices", slices)
        assert xbarc("compile", source, *options, "--calibrate", data, "-o", out).code == 0
        done = xbarc("check", out, "--data", data, "--json")
        step = _step(out)
        assert (done.json["output_sqnr_db"] is None) == exact  # infinite has no number in JSON
        assert (step.fit == FitRecord("rounding")) == exact
        if not exact:
            assert done.json["output_sqnr_db"] > 20
            assert step.fit is not None
            assert step.fit.weight_error is not None


def test_integer_results_are_refused_on_too_few_cells(
    xbarc: Run, model: Callable[..., Path], tmp_path: Path
) -> None:
    source, out = model(DYNAMIC, "dynamic"), tmp_path / "d.xbar"
    done = xbarc("compile", source, "--weight-slices", 1, "-o", out)
    done.refused("MatMulInteger gives integers", "--weight-slices")
    assert not out.exists()
    assert xbarc("compile", source, "--weight-slices", 4, "-o", out).code == 0


def test_in_a_pipe(model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path) -> None:
    """Report on stdout and nothing else, plain text, no colours, JSON where asked for."""
    command = [sys.executable, "-m", "xbarc", "compile", str(model()), "--weight-slices", "1"]
    command += ["--calibrate", str(npz(x=_data())), "-o", str(tmp_path / "p.xbar"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("{")
    assert "\x1b" not in done.stdout + done.stderr
    assert '"weight_slices": "1"' in done.stdout
