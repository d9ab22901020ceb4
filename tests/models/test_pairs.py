"""The benchmark of pairs says which are worse, from the log alone."""

from __future__ import annotations

import base64
import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.models.places import ROOT

IMAGES = 400


@pytest.fixture
def pairs(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    path = list(sys.path)
    yield importlib.import_module("pairs")
    sys.path[:] = path


def _line(options: str, wrong: int, said: str = "", chip: str = "") -> str:
    """So many wrong answers, always the first images; fitted to wires, it runs on wires."""
    fits = "--placement" in options or "--compensate" in options
    chip = chip or ("wires" if fits else "ideal")
    right = np.arange(IMAGES) >= wrong
    packed = base64.b64encode(np.packbits(right).tobytes()).decode()
    key = " ".join(["fashion-mlp", str(IMAGES), chip, *([options] if options else [])])
    found = None if said == "refused" else packed
    return json.dumps({"key": key, "right": found, "images": IMAGES, "said": said})


def _rows(pairs: ModuleType, tmp_path: Path, capsys: Any, *lines: str) -> str:
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(lines) + "\n")
    words = ["--log", str(log), "--images", str(IMAGES), "--table"]
    assert pairs.main(words) == 0
    return str(capsys.readouterr().out)


ALONE = (
    *(_line("", 40, chip=chip) for chip in ("ideal", "wires")),
    _line("--placement optimal", 30),
    _line("--compensate gain", 20),
    *(_line("--prune 0.3", 60, chip=chip) for chip in ("ideal", "wires")),
    *(_line("--encoding acm", 70, chip=chip) for chip in ("ideal", "wires")),
)


@pytest.mark.parametrize(
    ("pair", "wrong", "verdict"),
    [
        ("--placement optimal --compensate gain", 22, "fine"),  # two images: noise
        ("--placement optimal --compensate gain", 35, "**worse**"),
        ("--compensate gain --prune 0.3", 41, "fine"),  # the loss of pruning, and no more
        ("--compensate gain --prune 0.3", 80, "**worse**"),
        ("--prune 0.3 --encoding acm", 90, "fine"),
        ("--prune 0.3 --encoding acm", 130, "**worse**"),
    ],
)
def test_a_pair_is_worse_beyond_its_noise(
    pairs: ModuleType, tmp_path: Path, capsys: Any, pair: str, wrong: int, verdict: str
) -> None:
    text = _rows(pairs, tmp_path, capsys, *ALONE, _line(pair, wrong))
    (row,) = [line for line in text.splitlines() if line.count("`") == 4]
    assert verdict in row
    assert ("**worse**" in row) == (verdict == "**worse**")


def test_a_refusal_shows_its_reason(pairs: ModuleType, tmp_path: Path, capsys: Any) -> None:
    lines = (*ALONE, _line("--prune 0.3 --encoding acm", 0, "refused"))
    assert "| refused | | | | refused |" in _rows(pairs, tmp_path, capsys, *lines)


def test_every_pair_of_different_options_is_a_case(pairs: ModuleType) -> None:
    count = len(pairs.OPTIONS)
    wired = [case.options for case in pairs.cases([]) if case.wired]
    assert len([options for options in wired if len(options) == 1]) == count
    both = [options for options in wired if len(options) == 2]
    assert len(both) == count * (count - 1) // 2 - 2  # --compensate; --adc beside budget
