"""Two compiles of the same input write the same bytes, in this process and in others."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import xbarc
from tests.models.places import CALIBRATION, MODELS, calibration

SCRIPT = """
import sys
import numpy as np
import xbarc
model, data, out = sys.argv[1:]
xbarc.compile(model, calibration=dict(np.load(data)) if data else None).save(out)
"""
NETS = ("mlp", "resnet", "depthwise")


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _compile(net: str, folder: Path, *, static: bool) -> dict[str, bytes]:
    known = calibration() if static else None
    xbarc.compile(MODELS / f"fashion-{net}.onnx", calibration=known).save(folder)
    return _files(folder)


@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
@pytest.mark.parametrize("net", NETS)
def test_two_compiles_write_the_same_bytes(net: str, static: bool, tmp_path: Path) -> None:
    first = _compile(net, tmp_path / "first.xbar", static=static)
    second = _compile(net, tmp_path / "second.xbar", static=static)
    assert {"program.json", "cells.safetensors", "report.json"} <= set(first)
    assert any(name.startswith("digital/") for name in first)
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True], ids=["dynamic", "static"])
def test_the_hash_seed_changes_nothing(static: bool, tmp_path: Path) -> None:
    net, written = "mlp" if static else "resnet", []
    model = MODELS / f"fashion-{net}.onnx"
    for seed in ("0", "4711"):
        out = tmp_path / f"seed{seed}.xbar"
        command: list[str | Path] = [
            sys.executable,
            "-c",
            SCRIPT,
            model,
            CALIBRATION if static else "",
            out,
        ]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
        written.append(_files(out))
    assert written[0] == written[1]
    assert written[0] == _compile(net, tmp_path / "here.xbar", static=static)
