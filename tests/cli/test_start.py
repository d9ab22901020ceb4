"""What a command loads: nobody waits for a library that the command does not use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import xbarc
from tests.cli.conftest import MLP

SOLVERS = ("ortools.sat.python.cp_model_helper", "pandas.core")
READERS = ("onnx_ir", "sympy.core", "xbarc.compiler", "xbarc.mapping")
COMPILERS = ("numba.core", "llvmlite")
UNUSED = (
    "xbarc.circuit.chip",
    "xbarc.evaluate",
    "xbarc.experiments.study",
    "xbarc.instruments.probe",
    "xbarc.executor.analog_loop",
    "rich.console",
    "scipy.linalg._basic",
)
SLOW_MATHS = ("scipy.optimize._linprog", "scipy.special._ufuncs", "networkx.classes")

_REPORT = """
import sys
from xbarc.cli import main
code = main({arguments!r})
print(code, *sorted(set({modules!r}) & set(sys.modules)), file=sys.stderr)
"""


def loaded(arguments: Sequence[str], modules: Sequence[str]) -> list[str]:
    """Exit code of a command in a new process, and which of the modules it loaded."""
    script = _REPORT.format(arguments=list(arguments), modules=list(modules))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stderr.strip().splitlines()[-1].split()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    xbarc.compile(MLP).save(folder / "net.xbar")
    np.savez(folder / "in.npz", image=np.zeros((2, 1, 28, 28), np.float32))
    return folder / "net.xbar"


def test_run_loads_neither_compiler_nor_reader(program: Path) -> None:
    data, out = program.parent / "in.npz", program.parent / "out.npz"
    command = ("run", str(program), "--inputs", str(data), "--outputs", str(out))
    assert loaded(command, (*SOLVERS, *READERS, *COMPILERS, *SLOW_MATHS, *UNUSED)) == ["0"]


def test_a_short_run_with_saturating_converters_compiles_no_loops(program: Path) -> None:
    xbarc.compile(MLP, adc="4").save(program.parent / "narrow.xbar")
    data, out = program.parent / "in.npz", program.parent / "out.npz"
    files = ("--inputs", str(data), "--outputs", str(out))
    command = ("run", str(program.parent / "narrow.xbar"), *files)
    assert loaded(command, (*SOLVERS, *READERS, *COMPILERS, *SLOW_MATHS, *UNUSED)) == ["0"]


def test_every_module_that_must_not_load_is_there() -> None:
    ours = [name for name in (*READERS, *UNUSED) if name.startswith("xbarc.")]
    assert [name for name in ours if find_spec(name) is None] == []


# `verify` counts the report again, which asks the room of mapping for the load of a full chip.
@pytest.mark.parametrize("command", ["report", "inspect", "verify"])
def test_reports_load_neither_solver_nor_reader(program: Path, command: str) -> None:
    modules = (*SOLVERS, "onnx_ir", "sympy.core", "xbarc.compiler", "scipy.optimize._linprog")
    assert loaded((command, str(program)), modules) == ["0"]


def test_a_plain_compile_loads_no_solver(program: Path) -> None:
    command = ("compile", str(MLP), "-o", str(program.parent / "other.xbar"))
    modules = (*SOLVERS, *COMPILERS, "scipy.optimize._linprog", "scipy.linalg._basic", "sympy.core")
    assert loaded(command, modules) == ["0"]


@pytest.mark.parametrize("command", ["", "run"])
def test_help_loads_no_arithmetic(command: str) -> None:
    arguments = [word for word in (command, "--help") if word]
    assert loaded(arguments, (*SOLVERS, *READERS, *COMPILERS, "onnx", "numpy")) == ["0"]


def test_a_command_loads_no_other_command() -> None:
    others = ("xbarc.cli.compiling", "xbarc.cli.comparing", "xbarc.cli.studies")
    assert loaded(("verify", "--help"), others) == ["0"]


def test_the_list_of_targets_loads_no_arithmetic() -> None:
    modules = (*SOLVERS, *READERS, *COMPILERS, "onnx", "numpy", "xbarc.report.model")
    assert loaded(("targets", "list"), modules) == ["0"]
