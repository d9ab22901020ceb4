"""`xbarc explore` and `xbarc sweep`."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from tests.explore.conftest import write_net

STUDY = """
models = ["net.onnx"]
data = "test.npz"
calibrate = "cal.npz"
[knobs]
"array.columns" = [64, 128]
adc = ["lossless", 4]
[objectives]
top1 = "max"
energy_uj = "min"
[search]
images = [20, "all"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(3)
    np.savez(
        tmp_path / "test.npz",
        x=rng.normal(size=(60, 12)).astype(np.float32),
        labels=rng.integers(0, 5, 60),
    )
    np.savez(tmp_path / "cal.npz", x=rng.normal(size=(40, 12)).astype(np.float32))
    write_net(tmp_path / "net.onnx")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_study_writes_page_table_and_data(xbarc: Run, folder: Path) -> None:
    done = xbarc("explore", "study.toml")
    assert done.code == 0, done.err
    assert "no other beats" in done.out
    assert "proved" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    data = json.loads((folder / "study.json").read_text())
    rows = list(csv.DictReader((folder / "study.csv").read_text().splitlines()))
    assert len(rows) == len(data["designs"]) == 5
    page = (folder / "study.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "src=" not in page
    before = {path.name: path.read_bytes() for path in folder.glob("study.*[lnv]")}
    assert xbarc("explore", "study.toml").code == 0  # everything is in the store
    for name, content in before.items():
        assert (folder / name).read_bytes() == content
    explained = xbarc("explore", "study.toml", "--explain", 1)
    assert "design 1: " in explained.out
    assert "xbarc compile net.onnx" in explained.out


def test_the_command_of_a_design_makes_it(xbarc: Run, folder: Path) -> None:
    xbarc("explore", "study.toml")
    for row in json.loads((folder / "study.json").read_text())["designs"]:
        words = row["commands"][0].split()[1:]
        done = xbarc(*words, "-o", "out.xbar", "--json")
        assert done.code == 0, done.err
        assert done.json["totals"]["energy_uj"] == row["figures"]["energy_uj"]


def test_a_sweep_needs_no_file(xbarc: Run, folder: Path) -> None:
    varied = ("--vary", "array.columns=64,128", "--vary", "adc=4..5")
    words = (*varied, "--set", "array.rows=64", "--set", "array.active_rows=64")
    costs = xbarc("sweep", "net.onnx", *words)
    assert costs.code == 0, costs.err
    assert "costs only" in costs.out
    judged = xbarc("sweep", "net.onnx", *words, "--data", "test.npz", "--calibrate", "cal.npz")
    assert judged.code == 0, judged.err
    assert "of 4 designs" in judged.out
    files = ("net-sweep.html", "net-sweep.csv", "net-sweep.json")
    assert f"wrote {', '.join(files)}" in judged.err
    assert all((folder / name).is_file() for name in files)
    assert "wrote" not in xbarc("sweep", "net.onnx", *words, "-q").err
    assert xbarc("sweep", "net.onnx", *words, "--json").json["possible"] == 4


def test_a_dry_run_counts(xbarc: Run, folder: Path) -> None:
    done = xbarc("explore", "study.toml", "--dry-run")
    assert "designs" in done.out
    assert not (folder / "study.db").exists()


def test_what_is_wrong_is_said_before_any_work(xbarc: Run, folder: Path) -> None:
    xbarc("explore", "none.toml").refused("no such file")
    (folder / "bad.toml").write_text(STUDY.replace("top1", "top2"))
    xbarc("explore", "bad.toml").refused("no figure 'top2'", "top1")
    (folder / "bad.toml").write_text(STUDY.replace("net.onnx", "gone.onnx"))
    xbarc("explore", "bad.toml").refused("gone.onnx")
    (folder / "bad.toml").write_text(STUDY.replace("test.npz", "net.onnx"))
    xbarc("explore", "bad.toml").refused("net.onnx")
    xbarc("sweep", "net.onnx", "--vary", "adc").refused("--vary")
    for words in ("adc=4..x", "adc=4..", "adc=lossless..8"):
        xbarc("sweep", "net.onnx", "--vary", words).refused("--vary")
    xbarc("sweep", "net.onnx", "--vary", "adc=4", "--objectives", "energy_uj:less").refused("less")
    xbarc("sweep", "net.onnx", "--vary", "adc=4", "--images", "x", "--data", "test.npz").refused(
        "--images"
    )
    xbarc("explore", "study.toml", "-o", "none/study").refused("none")
    xbarc("explore", "study.toml", "--store", "study.toml").refused("study.toml")


def test_a_sweep_names_the_options_that_were_typed(xbarc: Run, folder: Path) -> None:
    del folder
    sweep = ("sweep", "net.onnx", "--vary")
    xbarc(*sweep, "wieght_bits=4").refused("--vary: no option 'wieght_bits'", "weight_bits")
    xbarc(*sweep, "array..row=4").refused("--vary: 'array..row' is not a field")
    xbarc(*sweep, "array.rows=nan").refused("--vary: array.rows: nan found")
    xbarc(*sweep, "adc=1..1000000000").refused("--vary: 1,000,000,000 values, expected at most")
    xbarc(*sweep, "adc=4", "--set", "nonsense=3").refused("--set: no option 'nonsense'")
    xbarc(*sweep, "adc=4", "--objectives", "energy:min").refused("--objectives: no figure")
    both = (*sweep, "array.rows=64", "--set", "array.rows=32")
    xbarc(*both).refused("--vary: 'array.rows' is both fixed and varied")


@pytest.mark.parametrize(
    "words", [("array.row=4,5",), ("weight_bits=99",), ("adc=4", "--target", "x")]
)
def test_designs_that_all_fail_are_no_answer(
    xbarc: Run, folder: Path, words: tuple[str, ...]
) -> None:
    done = xbarc("sweep", "net.onnx", "--vary", *words)
    assert done.code == 1
    assert "xbarc: every design fails, the first: " in done.err
    assert (folder / "net-sweep.json").exists()
    assert xbarc("sweep", "net.onnx", "--vary", "weight_bits=99,4").code == 0


def test_samples_that_do_not_fit_are_named(xbarc: Run, folder: Path) -> None:
    np.savez(folder / "wide.npz", x=np.zeros((9, 11), np.float32), labels=np.zeros(9, int))
    done = xbarc("sweep", "net.onnx", "--vary", "adc=4", "--data", "wide.npz")
    assert done.code == 1
    assert "wide.npz: input 'x' has shape [9, 11], expected [" in done.err


@pytest.mark.parametrize("kind", [".html", ".csv", ".json"])
def test_no_work_is_done_for_files_that_cannot_be_written(
    xbarc: Run, folder: Path, kind: str
) -> None:
    (folder / f"study{kind}").mkdir()
    done = xbarc("explore", "study.toml")
    assert done.code == 2
    assert f"study{kind}: cannot be written" in done.err
    assert not (folder / "study.db").exists()


def test_the_name_of_the_page_names_the_files(xbarc: Run, folder: Path) -> None:
    assert xbarc("sweep", "net.onnx", "--vary", "adc=4", "-o", "found.html").code == 0
    names = {path.name for path in folder.glob("found*")}
    assert names == {"found.html", "found.csv", "found.json", "found.db"}


def test_a_rule_that_nothing_meets_is_told(xbarc: Run, folder: Path) -> None:
    rules = '\n[constraints]\nwrite_energy_uj = "<= 3"\n'
    (folder / "study.toml").write_text(STUDY + rules)
    done = xbarc("explore", "study.toml")
    said = " ".join(done.out.split())
    assert "4 break a constraint: write_energy_uj <= 3: write_energy_uj is unknown: the" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--effects", "foo"], "--effects: no effect 'foo'"),
        (["--seeds", "3"], "--seeds: 3 chips without effects are all the same"),
        (["--images", "9" * 5_000], "--images"),
        (["--objectives", "chips:min,chips:max"], "--objectives: 'chips' is there twice"),
        (["--output", ".."], "names a folder"),
    ],
)
def test_options_that_cannot_be_meant(
    xbarc: Run, folder: Path, words: list[str], said: str
) -> None:
    done = xbarc("sweep", "net.onnx", "--vary", "adc=4", "--data", "test.npz", *words)
    assert done.code == 2
    assert said in done.err


def test_names_with_a_zero_byte(xbarc: Run, folder: Path) -> None:
    for name in ("net.onnx", "test.npz", "cal.npz"):
        text = STUDY.replace(name, "\\u0000")
        (folder / "study.toml").write_text(text)
        done = xbarc("explore", "study.toml")
        assert done.code == 2, name
        assert "\\x00" in done.err
