"""The lesson on training: its commands run, and what it promises comes true."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from tests.models.places import MODELS, ROOT, fashion_labelled
from xbarc.cli import main

_TAUGHT = 20_000  # the images that the lesson names


@pytest.mark.slow
def test_the_lesson_gets_points_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "tutorial" / "training.md").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ xbarc (.*)$", page, re.MULTILINE)
    assert f"--train {_TAUGHT}" in page
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(MODELS)
    images = fashion_labelled(_TAUGHT)
    np.savez(f"fashion-train-{_TAUGHT}.npz", **images)  # type: ignore[arg-type]
    printed = []
    for command in commands:
        assert main(shlex.split(command)) == 0, command
        printed.append(capsys.readouterr().out)
    assert len(printed) == 8
    trained = next(text for text in printed if "trained for target" in text)
    scores = [float(x) for x in re.findall(r"^ .*?(\d+\.\d+) %", trained, re.MULTILINE)]
    reference, mapped, after = scores[:3]
    assert reference - mapped > 3
    assert after - mapped > 2
