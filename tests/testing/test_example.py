"""The example package, installed as users install it, passes its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import xbarc as package

ROOT = Path(package.__file__).parents[1]
EXAMPLE = Path(__file__).parents[2] / "examples" / "xbarc-example"


def _run(*words: str, path: str, folder: Path) -> str:
    variables = {**os.environ, "PYTHONPATH": path, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", *words]
    done = subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_example_installs_and_passes(tmp_path: Path) -> None:
    site, own = tmp_path / "site", str(ROOT)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site))
    _run("pip", "install", *options, str(EXAMPLE), path=own, folder=tmp_path)
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = site / f"xbarc_example-{project['version']}.dist-info"
    assert (info / "entry_points.txt").is_file()
    tests = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, str(EXAMPLE / "tests"))
    out = _run("pytest", *tests, path=f"{site}{os.pathsep}{own}", folder=tmp_path)
    assert " passed" in out
