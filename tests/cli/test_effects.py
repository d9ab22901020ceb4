"""`--effects` on run and check, `--placement` and `--compensate` on compile, `xbarc study`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import FASHION, MLP, Run
from xbarc.circuit import random_faults
from xbarc.cli.npz import write_npz
from xbarc.ir.files import load_program

BIASED = """
biased (float[N, 5] x) => (float[N, 3] y)
<float[5, 4] w = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15, -16, 17, -18, 19, -20},
 float[4] b = {20, -10, 15, -5},
 float[4, 3] v = {3, -2, 1, 2, 1, -3, -1, 3, 2, 1, -2, 3},
 float[3] c = {-70, 30, -50}>
{
    a = Gemm(x, w, b)
    h = Relu(a)
    y = Gemm(h, v, c)
}
"""


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty labelled images."""
    path = tmp_path_factory.mktemp("few") / "few.npz"
    with np.load(FASHION) as data:
        np.savez(path, image=data["image"][:20], labels=data["labels"][:20])
    return path


def _logits(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    with np.load(path) as data:
        return np.asarray(data["logits"])


def test_no_effect_is_the_plain_program(xbarc: Run, mlp: Path, few: Path, tmp_path: Path) -> None:
    plain, none = tmp_path / "plain.npz", tmp_path / "none.npz"
    xbarc("run", mlp, "--inputs", few, "--outputs", plain)
    xbarc("run", mlp, "--inputs", few, "--outputs", none, "--effects", "none", "--samples", 3)
    assert np.array_equal(_logits(plain), _logits(none))


def test_chips_are_the_first_axis(xbarc: Run, mlp: Path, few: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "out.npz", tmp_path / "again.npz"
    common = ("--inputs", few, "--effects", "variation", "--samples", 2, "--seed", 4)
    xbarc("run", mlp, *common, "--outputs", out)
    xbarc("run", mlp, *common, "--outputs", again, "--threads", 1)
    assert _logits(out).shape == (2, 20, 10)
    assert np.array_equal(_logits(out), _logits(again))
    assert not np.array_equal(_logits(out)[0], _logits(out)[1])


def test_check_gives_mean_spread_and_worst(xbarc: Run, mlp: Path, few: Path) -> None:
    common = ("check", mlp, "--data", few, "--model", MLP, "--effects", "faults,drift")
    found = xbarc(*common, "--samples", 2, "--json").json["effects"]
    runs = [run["top1_crossbar"] for run in found["runs"]]
    assert found["kinds"] == ["faults", "drift"]
    assert found["top1"]["worst"] == min(runs)
    assert found["top1"]["mean"] == pytest.approx(sum(runs) / 2)
    assert "worst" in xbarc(*common).out


def test_a_map_of_faults_from_a_file(xbarc: Run, mlp: Path, few: Path, tmp_path: Path) -> None:
    program = load_program(mlp)
    known = tmp_path / "faults.npz"
    write_npz(known, random_faults(program.target, program.arrays, 7).arrays())
    given, drawn = tmp_path / "given.npz", tmp_path / "drawn.npz"
    common = ("run", mlp, "--inputs", few, "--effects", "faults")
    xbarc(*common, "--fault-map", known, "--outputs", given)
    xbarc(*common, "--seed", 7, "--outputs", drawn)
    assert np.array_equal(_logits(given), _logits(drawn))


@pytest.mark.parametrize(
    "wrong",
    [
        ("--effects", "rust"),
        ("--effects", "drift", "--time", "0"),
        ("--effects", "lines", "--gated", "2"),
        ("--effects", "noise", "--gated", "0.5"),
        ("--effects", "variation,noise", "--ideal-converters"),
        ("--effects", "none", "--ideal-converters"),
    ],
)
def test_wrong_effects(
    xbarc: Run, mlp: Path, few: Path, tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    out = tmp_path / "out.npz"
    named = "--ideal-converters" if wrong[-1] == "--ideal-converters" else wrong[-2]
    xbarc("run", mlp, "--inputs", few, "--outputs", out, *wrong).refused(named)


def test_ideal_converters_judge_the_cells_alone(xbarc: Run, mlp: Path, few: Path) -> None:
    common = ("check", mlp, "--data", few, "--model", MLP, "--effects", "variation", "--samples", 2)
    ideal = ("--ideal-converters",)
    found, plain = xbarc(*common, *ideal, "--json").json, xbarc(*common, "--json").json
    assert found["effects"]["ideal_converters"]
    assert not plain["effects"]["ideal_converters"]
    assert found["output_sqnr_db"] != plain["output_sqnr_db"]
    assert [layer["conversions"] for layer in found["layers"]] == [0] * len(found["layers"])
    assert "variation, converters ideal;" in xbarc(*common, *ideal).out


def test_placement_needs_data(xbarc: Run, tmp_path: Path) -> None:
    common = ("compile", MLP, "-o", tmp_path / "out.xbar")
    xbarc(*common, "--placement", "rows").refused("--placement", "--calibrate")
    xbarc(*common, "--compensate", "gain").refused("--compensate", "--calibrate")
    xbarc(*common, "--placement", "nowhere").refused("--placement", "not available")


def test_a_map_needs_something_that_uses_it(
    xbarc: Run, mlp: Path, few: Path, tmp_path: Path
) -> None:
    """What would be ignored is refused, before anything is compiled."""
    program, known = load_program(mlp), tmp_path / "faults.npz"
    write_npz(known, random_faults(program.target, program.arrays + 1, 7).arrays())
    common = ("compile", MLP, "-o", tmp_path / "out.xbar", "--calibrate", few)
    xbarc(*common, "--compensate", "partner").refused("--compensate partner", "--fault-map")
    xbarc(*common, "--placement", "faults").refused("--placement faults", "--fault-map")
    xbarc(*common, "--fault-map", known).refused("--fault-map", "--placement faults")
    run = ("run", mlp, "--inputs", few, "--outputs", tmp_path / "out.npz", "--effects", "faults")
    xbarc(*run, "--fault-map", known).refused(str(known), f"{program.arrays}, counted from 0")


def _labelled(npz: Callable[..., Path], samples: Any) -> Path:
    return npz(x=samples, labels=np.arange(7) % 3)


def test_a_placed_program_says_what_was_done(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Any, tmp_path: Path
) -> None:
    out = tmp_path / "out.xbar"
    known = _labelled(npz, samples)
    options = ("--placement", "optimal", "--compensate", "predistort,gain", "--calibrate", known)
    done = xbarc("compile", model(), "-o", out, *options)
    assert done.code == 0, done.err
    settings = dict(load_program(out).settings)
    assert settings["placement"] == "optimal"
    assert settings["compensate"] == "gain, predistort"
    kept = json.loads((out / "placement.json").read_text())
    (layer,) = kept["layers"]
    assert layer["after"] <= layer["before"]
    assert len(kept["sensitivity"][layer["name"]]["fisher"]) == 3
    assert xbarc("verify", out).code == 0


def test_a_study_of_lines(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Any, tmp_path: Path
) -> None:
    drawn, known = tmp_path / "study.svg", _labelled(npz, samples)
    common = ("study", "lines", model(), "--data", known, "--calibrate", known, "--quick")
    cases = ("--scales", "0.1,1", "--placements", "none", "--compensations", "none,gain")
    done = xbarc(*common, *cases, "--json", "--picture", drawn)
    points = done.json["points"]
    assert [point["compensations"] for point in points] == ["none", "gain"] * 2
    assert drawn.read_text().startswith("<svg")
    table = xbarc(*common, *cases).out
    assert "r T^2/R_on" in table
    assert "without the rounding of converters" in " ".join(table.split())
    xbarc(*common, "--scales", "one").refused("--scales")
    xbarc(*common, "--picture", tmp_path / "nowhere" / "a.svg").refused(
        "cannot be written", "folder"
    )
    empty = tmp_path / "empty.npz"
    np.savez(empty, x=samples[:0], labels=np.zeros(0, dtype=np.int64))
    nothing = ("study", "lines", model(), "--data", empty, "--calibrate", known)
    xbarc(*nothing).refused("--data", "no samples")


def test_a_study_shows_what_compile_and_check_give(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], tmp_path: Path
) -> None:
    """Converters, orders and compensation among it; at wires where each of them changes answers."""
    net, rng = model(BIASED), np.random.default_rng(0)
    x = rng.normal(size=(80, 5)).astype(np.float32)
    data = npz(x=x, labels=rng.integers(0, 3, 80))
    common = ("--calibrate", data, "--set=array.rows=16", "--set=array.active_rows=16")
    cases = ("--scales", 8, "--placements", "none,rows", "--compensations", "none,gain,outputs")
    study = xbarc("study", "lines", net, "--data", data, *common, *cases, "--json")
    ohm = {"wordline": 3.131, "bitline": 1.044, "driver": 10, "sense": 10}  # of rram128
    wires = [f"--set=wires.{line}.value={value * 8}" for line, value in ohm.items()]
    out, found = tmp_path / "out.xbar", set()
    for point in study.json["points"]:
        correct = "" if point["compensations"] == "none" else point["compensations"]
        options = ("--placement", point["placement"], "--compensate", correct, *common, *wires)
        assert xbarc("compile", net, "-o", out, *options).code == 0
        done = xbarc("check", out, "--data", data, "--effects", "lines", "--json")
        assert done.json["top1_crossbar"] == point["top1"], point
        found.add(point["top1"])
    assert study.json["converters"] is True
    assert len(found) > 1


def test_check_on_wires_says_that_converters_were_set_without(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Any, tmp_path: Path
) -> None:
    net, data, out = model(), _labelled(npz, samples), tmp_path / "out.xbar"
    for adc, effects, told in (
        ("calibrated:5", ("--effects", "lines"), True),
        ("calibrated:5", (), False),
        ("lossless", ("--effects", "lines"), False),
    ):
        assert xbarc("compile", net, "-o", out, "--calibrate", data, "--adc", adc).code == 0
        done = xbarc("check", out, "--data", data, *effects)
        assert ("Converters were set on ideal cells" in done.err) is told
    assert xbarc("compile", net, "-o", out, "--calibrate", data, "--compensate", "gain").code == 0
    assert "note:" not in xbarc("check", out, "--data", data, "--effects", "lines").err


def test_a_study_without_data_of_its_own_to_calibrate(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Any
) -> None:
    words = ("study", "lines", model(), "--data", _labelled(npz, samples), "--quick")
    done = xbarc(
        *words, "--scales", "1", "--placements", "none", "--compensations", "none", "--json"
    )
    count = len(samples)
    assert done.json["samples"] == count - min(256, count // 4)
    assert "the other" in done.err
