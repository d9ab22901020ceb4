"""`xbarc view`: a page, whole or absent, or a server until Ctrl-C."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbarc as package
from tests.cli.conftest import Run
from tests.cli.test_process import start
from xbarc.circuit import random_faults
from xbarc.numerics.types import AnyArray
from xbarc.viewer import page


def test_a_page_is_written(
    xbarc: Run, dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = xbarc("view", dense)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("wrote dense.html (")
    text = (tmp_path / "dense.html").read_text("utf-8")
    assert "<title>dense on rram128</title>" in text
    assert xbarc("view", dense, "-o", "again.html").code == 0
    assert (tmp_path / "again.html").read_text("utf-8") == text


def test_python_writes_the_same_page(xbarc: Run, dense: Path, tmp_path: Path) -> None:
    place = tmp_path / "a.html"
    package.load(dense).view(place)
    found = re.sub(r'"place": "[^"]*"', "", place.read_text("utf-8"))
    assert xbarc("view", dense, "-o", place).code == 0
    assert re.sub(r'"place": "[^"]*"', "", place.read_text("utf-8")) == found


def test_data_and_faults_are_shown(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: AnyArray, tmp_path: Path
) -> None:
    place, faults = tmp_path / "a.html", tmp_path / "faults.npz"
    program = package.load(dense).program
    drawn = random_faults(program.target, program.arrays, rates=(0.01, 0.0))
    known: dict[str, Any] = dict(drawn.arrays())
    np.savez(faults, **known)
    done = xbarc(
        "view", dense, "--data", npz(x=samples), "--fault-map", faults, "--wires", "-o", place
    )
    assert done.code == 0, done.err
    text = place.read_text("utf-8")
    assert '["SQNR", "dB, errors of earlier layers included"]' in text
    assert '"stuck": true' in text
    assert '"wires": ["' in text


def test_wrong_use_is_one_message(
    xbarc: Run, dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a.html"
    xbarc("view", tmp_path / "none.xbar", "-o", place).refused("no such program")
    xbarc("view", dense, "-o", tmp_path / "none" / "a.html").refused("its folder does not exist")
    xbarc("view", dense, "--serve", "-o", place).refused("cannot be given together")
    xbarc("view", dense, "--port", 5).refused("--port: needs --serve")
    xbarc("view", dense, "--serve", "--wires").refused("--wires: is for a page in a file")
    xbarc("view", dense, "--model", "a.onnx", "-o", place).refused("--model: needs --data")
    xbarc("view", dense, "--fault-map", dense / "program.json", "-o", place).refused("program.json")
    bad = Path(shutil.copytree(dense, tmp_path / "bad.xbar"))
    (bad / "cells.safetensors").write_bytes(b"no cells")
    xbarc("view", bad, "-o", place).refused("cells.safetensors")
    monkeypatch.setattr(page, "MOST_BYTES", 10)
    xbarc("view", dense, "-o", place).refused("too many for one page", "xbarc view --serve")
    assert not place.exists()


def test_losses_along_wires_count_for_the_size_of_a_page(
    xbarc: Run, dense: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "a.html"
    # One array of 128 x 128 cells, two bytes each.
    monkeypatch.setattr(page, "MOST_BYTES", 2 * 128 * 128)
    assert xbarc("view", dense, "-o", place).code == 0
    xbarc("view", dense, "--wires", "-o", place).refused("too many", "without --wires, or")


def test_a_taken_port(xbarc: Run, dense: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        xbarc("view", dense, "--serve", "--port", port).refused(f"--port: port {port} is taken")


def test_a_server_until_it_is_interrupted(dense: Path) -> None:
    process = start("view", dense, "--serve", "--port", 0)
    assert process.stdout is not None
    told = process.stdout.readline()
    found = re.match(r"(http://127\.0\.0\.1:\d+/) shows the program; Ctrl-C ends", told)
    assert found, told
    with urllib.request.urlopen(found[1], timeout=20) as answer:  # noqa: S310  # our own address
        assert b"dense on rram128" in answer.read()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "xbarc: interrupted; nothing was left half written\n"
