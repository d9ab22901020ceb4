"""The command line in process, and small programs to run it on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

from xbarc.cli import main

ROOT = Path(__file__).parents[2]
MLP = ROOT / "models" / "fashion-mlp.onnx"
FASHION = ROOT / "models" / "fashion-test-1000.npz"

DENSE = """
dense (float[N, 5] x) => (float[N, 3] y)
<float[5, 3] w = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15}>
{
    h = MatMul(x, w)
    y = Relu(h)
}
"""
HEADER = '<ir_version: 8, opset_import: ["" : 17]>\n'


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    def refused(self, *parts: str, code: int = 2) -> None:
        """One message, all parts in it, nothing on stdout, no traceback."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.out == ""
        assert self.err.startswith("xbarc: ")
        assert "Traceback" not in self.err
        assert self.err.count("\n") == 1, self.err
        for part in parts:
            assert part in self.err, (part, self.err)

    @property
    def json(self) -> Any:
        """Stdout as strict JSON."""

        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=refuse)


Run = Callable[..., Finished]


@pytest.fixture
def xbarc(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process."""

    def run(*arguments: object) -> Finished:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        seen = capsys.readouterr()
        return Finished(code, seen.out, seen.err)

    return run


def write_model(path: Path, text: str, header: str = HEADER) -> Path:
    """ONNX text as a file."""
    onnx.save(onnx.parser.parse_model(header + text), str(path))
    return path


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Write ONNX text to `tmp_path/NAME.onnx`."""

    def write(text: str = DENSE, name: str = "model", header: str = HEADER) -> Path:
        return write_model(tmp_path / f"{name}.onnx", text, header)

    return write


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    write_model(folder / "dense.onnx", DENSE)
    for name, source in (("dense", folder / "dense.onnx"), ("mlp", MLP)):
        assert main(["compile", str(source), "-o", str(folder / f"{name}.xbar")]) == 0
    return folder


@pytest.fixture(scope="session")
def mlp(_built: Path) -> Path:
    """The compiled Fashion-MNIST MLP; read only."""
    return _built / "mlp.xbar"


@pytest.fixture(scope="session")
def dense(_built: Path) -> Path:
    """A compiled 5 x 3 matrix product, its model beside it; read only."""
    return _built / "dense.xbar"


@pytest.fixture
def own(dense: Path, tmp_path: Path) -> Path:
    """A copy of `dense` to damage."""
    return Path(shutil.copytree(dense, tmp_path / "own.xbar"))


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    """Write arrays to `tmp_path/data.npz`."""

    def write(**arrays: Any) -> Path:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return write


@pytest.fixture
def samples() -> np.ndarray[Any, np.dtype[np.float32]]:
    """Seven input vectors of `dense`."""
    return np.random.default_rng(7).normal(size=(7, 5)).astype(np.float32)


def tree(path: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    files = (item for item in path.rglob("*") if item.is_file())
    return {item.relative_to(path).as_posix(): item.read_bytes() for item in files}
