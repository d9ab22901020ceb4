from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from xbarc.cli import main
from xbarc.errors import EXIT_DONE, EXIT_NO, EXIT_USER

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[1, 2, 8, 8] x) => (float[1, 3] y) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    b = Relu (a)
    c = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
    d = Flatten (c)
    y = MatMul (d, v)
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers: 64 positions on one array, one position on several."""
    folder = tmp_path_factory.mktemp("planning")
    proto, rng = onnx.parser.parse_model(MODEL), np.random.default_rng(0)
    for name, shape in (("w", (4, 2, 3, 3)), ("v", (64, 3))):
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    onnx.save(proto, folder / "net.onnx")
    data = rng.normal(size=(4, 2, 8, 8)).astype(np.float32)
    np.savez(folder / "data.npz", x=data)
    command = ["compile", str(folder / "net.onnx"), "-o", str(folder / "net.xbar")]
    command += ["--set", "array.rows=32", "--set", "array.active_rows=32"]
    command += ["--set", "hierarchy.arrays_per_macro=2", "--set", "hierarchy.macros_per_tile=1"]
    command += ["--set", "hierarchy.tiles_per_chip=4", "--duplicate", "budget=8"]
    assert main([*command, "--calibrate", str(folder / "data.npz")]) == EXIT_DONE
    return folder / "net.xbar"


def out(capsys: pytest.CaptureFixture[str], *argv: str, code: int = EXIT_DONE) -> str:
    capsys.readouterr()
    assert main(list(argv)) == code
    return capsys.readouterr().out


def test_copies_are_kept_in_the_program(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = json.loads(out(capsys, "report", str(program), "--format", "json"))
    stored = json.loads((program / "report.json").read_text())
    assert kept == stored
    assert kept["settings"]["duplicate"] == "budget=8"
    assert kept["schedule"]["duplicate"] == "budget=8"
    assert [row["copies"] for row in kept["layers"]] == [6, 1]
    assert kept["totals"]["arrays"] == 8
    assert kept["totals"]["arrays_once"] == 3
    other = out(capsys, "report", str(program), "--format", "json", "--duplicate", "none")
    assert json.loads(other)["totals"]["arrays"] == 3


def test_out_of_reach_is_an_error_with_the_best_rate(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(program), "--duplicate", "throughput=1e12"]) == EXIT_USER
    assert "out of reach" in capsys.readouterr().err
    assert main(["report", str(program), "--duplicate", "twice"]) == EXIT_USER
    assert "throughput=INFERENCES_A_SECOND" in capsys.readouterr().err


def test_programs_side_by_side(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = out(capsys, "report", str(program), str(program))
    assert "1: net.xbar on rram128" in text
    found = json.loads(out(capsys, "report", str(program), str(program), "--format", "json"))
    assert all(row["ratios"] in ([1.0, 1.0], [None, None]) for row in found["totals"])
    assert out(capsys, "report", str(program), str(program), "--format", "csv").startswith("name,")
    page = out(capsys, "report", str(program), str(program), "--format", "html")
    assert "<title>net.xbar on rram128</title>" in page
    assert main(["report", str(program), str(program), "--format", "yaml"]) == EXIT_USER
    assert "for several programs" in capsys.readouterr().err


def test_energies_by_data(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = str(program.parent / "data.npz")
    found = json.loads(out(capsys, "report", str(program), "--data", data, "--format", "json"))
    assert found["operands"]["vectors"] == 4 * (64 + 1)
    assert all(0 < row["driven"] < 1 for row in found["operands"]["layers"])
    assert found["operands"]["energy_uj"] < found["totals"]["energy_uj"]
    assert main(["report", str(program), str(program), "--data", data]) == EXIT_USER


def test_a_program_finds_its_place(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(out(capsys, "place", str(program), "--json"))
    assert (found["arrays"], found["arrays_there"], found["arrays_missing"]) == (8, 8, 0)
    assert found["mesh"] == [2, 2]
    assert found["phases"] is None
    assert found["byte_hops_bound"] <= found["byte_hops"]
    assert sum(row["arrays"] for row in found["layers"]) == 8


def test_what_does_not_fit_says_by_how_much_and_what_helps(
    program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = out(capsys, "place", str(program), "--duplicate", "budget=20", code=EXIT_NO)
    assert "more than fit" in text
    assert "--duplicate budget=8" in text
    assert "In turns" in text
    asked = ["place", str(program), "--duplicate", "budget=20", "--json"]
    found = json.loads(out(capsys, *asked, "--phases", "3", code=EXIT_NO))
    assert found["arrays_missing"] == found["arrays"] - 8 > 0
    assert all(phase["arrays"] <= 8 for phase in found["phases"]["phases"])
    assert found["phases"]["write_energy_uj"] is None


def test_targets_cost(capsys: pytest.CaptureFixture[str]) -> None:
    assert "65,808" in out(capsys, "targets", "cost", "isaac")
    found = json.loads(
        out(capsys, "targets", "cost", "isaac", "--set", "costs.cycle=200", "--json")
    )
    assert found["levels"][-1]["gops"] == pytest.approx(41287.68 / 2)
