"""`xbarc warm`: what it compiled is found by every later process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run
from xbarc.cli import warming
from xbarc.numerics import WARM_MARK

MODELS = Path(__file__).parents[2] / "models"
_WORKED = [
    f"compile {MODELS / 'fashion-mlp.onnx'} --adc 6 --encoding auto -o p.xbar",
    "run p.xbar --inputs in.npz --outputs out.npz",
    f"compile {MODELS / 'fashion-depthwise.onnx'} --calibrate in.npz --adc calibrated -o q.xbar",
    "run q.xbar --inputs in.npz --outputs out.npz",
    "check q.xbar --data in.npz --effects variation,noise,faults",
    f"compile {MODELS / 'fashion-resnet.onnx'} -o r.xbar",
    "check r.xbar --data in.npz --effects variation --ideal-converters",
]


def _process(
    arguments: list[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "xbarc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _kept(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*.nb[ic]")}


@pytest.mark.slow
def test_nothing_is_compiled_after_warming(tmp_path: Path) -> None:
    """Networks that warming never saw, a process each, on a cache that cannot be written."""
    cache = tmp_path / "cache"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    first = _process(["warm", "--cache", str(cache)], tmp_path, os.environ)
    assert first.returncode == 0, first.stderr
    assert f"in {cache}" in first.stdout
    before = _kept(cache)
    assert len(before) > 100
    again = _process(["warm"], tmp_path, environment)
    assert again.stdout.startswith("warm already: ")
    images = np.load(MODELS / "fashion-test-1000.npz")
    np.savez(tmp_path / "in.npz", **{name: images[name][:16] for name in images.files})
    for line in _WORKED:
        done = _process(line.split(), tmp_path, environment)
        assert done.returncode == 0, done.stderr
    assert _kept(cache) == before


def test_a_folder_that_cannot_be_written_is_named(xbarc: Run, tmp_path: Path) -> None:
    taken = tmp_path / "file"
    taken.write_text("")
    done = xbarc("warm", "--cache", str(taken))
    assert done.code == 2
    assert str(taken) in done.err
    assert "--cache DIR, or NUMBA_CACHE_DIR=DIR" in done.err


def test_a_second_run_finds_everything(
    xbarc: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as no file is missing and nothing that loops depend on has changed."""
    runs: list[int] = []
    kept = tmp_path / "loop.nbi"
    kept.write_bytes(bytes(100))
    monkeypatch.setattr(warming, "_run_all", lambda: runs.append(1))
    monkeypatch.setattr(warming, "_writable_folder", lambda: tmp_path)
    monkeypatch.setattr("xbarc.numerics.kept_loops", lambda: [kept])
    assert "warm after" in xbarc("warm").out
    assert (tmp_path / WARM_MARK).is_file()
    assert "warm already: 1 files" in xbarc("warm").out
    monkeypatch.setattr(warming, "_state_key", lambda: "another compiler")
    assert "warm after" in xbarc("warm").out
    kept.unlink()
    monkeypatch.setattr("xbarc.numerics.kept_loops", list)
    assert "warm after" in xbarc("warm").out
    (tmp_path / WARM_MARK).write_text("[no json")
    assert "warm after" in xbarc("warm").out
    assert len(runs) == 4


def test_a_small_program_that_fails_is_our_bug(xbarc: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "_WORK", (("first", "compile missing.onnx"),))
    monkeypatch.setattr(warming, "_TRAINING", ())
    monkeypatch.setattr(warming, "_warm_files", lambda *_: [])
    done = xbarc("warm")
    assert done.code == 3
    assert "xbarc compile missing.onnx" in done.err
