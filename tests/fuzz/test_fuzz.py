"""Fixed seeds of every kind of fuzzing; `make fuzz` tries others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.campaign import Limits, run_campaign, worker_answers
from tests.fuzz.kind import Kind, Result, Verdict
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import try_seed

QUICK = 12
SLOW = 300


@pytest.mark.parametrize("name", ["models", "npz", "programs"])
def test_a_few_seeds(name: str, tmp_path: Path) -> None:
    verdicts = {seed: try_seed(KINDS[name], seed, tmp_path / str(seed)) for seed in range(QUICK)}
    assert not {s: v.detail for s, v in verdicts.items() if v.result is Result.FINDING}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(KINDS))
def test_many_seeds(name: str, tmp_path: Path) -> None:
    tally = run_campaign(name, 1_000_000, Limits(SLOW), tmp_path, lambda _seed, _verdict: None)
    assert not tally.findings
    assert tally.cases == SLOW
    assert tally.counts[Result.EQUAL] > SLOW // 20


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_seed_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    for seed in range(5):
        written = []
        for run in ("a", "b"):
            folder = tmp_path / f"{seed}-{run}"
            folder.mkdir()
            KINDS[name].case(seed, folder)
            files = sorted(path for path in folder.rglob("*") if path.is_file())
            written.append([(str(p.relative_to(folder)), p.read_bytes()) for p in files])
        assert written[0] == written[1]
        assert written[0]


def test_what_raises_is_a_finding_with_its_input(tmp_path: Path) -> None:
    def build(rng: np.random.Generator, folder: Path) -> Path:
        path = folder / "number"
        path.write_text(str(rng.integers(100)))
        return path

    def judge(path: Path) -> Verdict:
        raise KeyError(path.read_text())

    verdict = try_seed(Kind(build, judge, salt=0), 7, tmp_path / "kept")
    assert verdict.result is Result.FINDING
    assert "KeyError at test_fuzz.py" in verdict.detail
    number = (tmp_path / "kept" / "number").read_text()
    assert number in (tmp_path / "kept" / "finding.txt").read_text()


@pytest.mark.parametrize(
    ("code", "said"),
    [("import os; os.abort()", "ended with -6"), ("import time; time.sleep(60)", "no answer")],
)
def test_crashes_and_hangs_are_findings(code: str, said: str) -> None:
    command = [sys.executable, "-c", code]
    ((seed, verdict),) = worker_answers(command, 5, 3, patience=0.5)
    assert seed == 5
    assert verdict.result is Result.FINDING
    assert said in verdict.detail
