"""The benchmark of wires goes on where it was cut, and its tables say what the log holds."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.models.places import ROOT


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    path = list(sys.path)
    yield importlib.import_module("wires")
    sys.path[:] = path


def _line(section: str, top1: float, **case: Any) -> str:
    whole = {
        "net": "a",
        "side": 64,
        "ohm": 1.0,
        "bits": 4,
        "encoding": "differential",
        "tile": "fill",
        "placement": "none",
        "correct": "",
        "stuck_off": 0.0,
        "stuck_on": 0.0,
        "seed": 0,
        "images": 100,
    }
    case = {"section": section, **whole, **case}
    return json.dumps({"section": section, "case": case, "top1": top1, "ratio": 1.5})


def test_tables_are_made_from_the_log(wires: ModuleType, tmp_path: Path, capsys: Any) -> None:
    log = tmp_path / "log.jsonl"
    lines = [
        _line("placement", 0.9, ohm=0.0),
        _line("placement", 0.8),
        _line("placement", 0.87, placement="rows"),
        _line("faults", 0.9, ohm=0.0),
        *(
            _line("faults", 0.9 - lost, ohm=0.0, stuck_off=0.01, stuck_on=0.002, seed=seed)
            for seed, lost in enumerate((0.01, 0.03))
        ),
        _line("compensations", 0.9, ohm=0.0),
        _line("compensations", 0.899, correct="gain"),
    ]
    log.write_text("\n".join(lines) + "\n")
    assert wires.main(["tables", "--log", str(log)]) == 0
    text = capsys.readouterr().out
    assert "|  |  | `rows` | 87.00 % | 30 % |" in text
    assert "| 1 % + 0.2 % | untreated | 100 | 2 | 2.00 | 3.00 |" in text
    assert "| 16 | 1.50 | `gain` | 89.90 % | 0.10 |" in text


@pytest.mark.data
@pytest.mark.slow
def test_what_is_in_the_log_is_not_measured_again(
    wires: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log.jsonl"
    case = wires.Case("placement", "fashion-mlp", ohm=24.0, images=60)
    cases = [case, wires.replace(case, placement="heaviest")]
    monkeypatch.setitem(wires.SECTIONS, "placement", lambda: iter(cases))
    options = ["placement", "--images", "60", "--log", str(log)]
    assert wires.main(options) == 0
    first = log.read_text()
    records = [json.loads(line) for line in first.splitlines()]
    assert [record["case"]["placement"] for record in records] == ["none", "heaviest"]
    assert all(0.2 < record["top1"] < 1 for record in records)
    monkeypatch.setattr(wires, "measured", None)
    assert wires.main(options) == 0
    assert log.read_text() == first
