"""An installed wheel finds its targets, wherever it is started."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.cli.conftest import DENSE, ROOT, write_model
from xbarc.target import target_names

_BUILD = """
import sys
from hatchling.builders.wheel import WheelBuilder
print(*WheelBuilder({root!r}).build(directory={out!r}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as hatchling builds it; no network and no isolated environment."""
    out = tmp_path_factory.mktemp("wheel")
    script = _BUILD.format(root=str(ROOT), out=str(out))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = out.glob("*.whl")
    return found


def test_the_wheel_holds_targets_and_code_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
    assert {f"xbarc/targets/{name}.toml" for name in target_names()} <= names
    assert "xbarc/targets/sources.toml" in names
    assert {"xbarc/__main__.py", "xbarc/cli/app.py"} <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"xbarc"}
    assert not any("__pycache__" in name for name in names)


def test_an_unpacked_wheel_runs_from_elsewhere(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_model(elsewhere / "net.onnx", DENSE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = call("-c", "import xbarc.target.load as t; print(t.__file__, t.target_folder())")
    assert where.count(str(tmp_path / "site")) == 2
    assert all(
        f" {name} " in call("-m", "xbarc", "targets", "list") for name in ("isaac", "rram128")
    )
    call("-m", "xbarc", "compile", "net.onnx")
    assert "verified" in call("-m", "xbarc", "verify", "net.xbar")


@pytest.mark.slow
def test_a_wheel_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """Dependencies are those of this environment; xbarc itself is the installed wheel."""
    place = tmp_path / "venv"
    venv.create(place, with_pip=True, system_site_packages=False)
    python = place / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
        cwd=tmp_path,
    )
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (Path(site) / "shared.pth").write_text(ours + "\n", encoding="utf-8")
    done = subprocess.run(
        [place / "bin" / "xbarc", "targets", "list"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert " rram128 " in done.stdout
