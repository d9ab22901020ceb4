"""What only a real process shows: speed, streams, signals, limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import DENSE, MLP, Run, tree
from xbarc.ir.files import load_program

XBARC = (sys.executable, "-m", "xbarc")


def start(*arguments: object, folder: Path | None = None) -> subprocess.Popen[str]:
    words = [*XBARC, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    words = [*XBARC, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


def shell(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    words = ["sh", "-c", script, "sh", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", ["--help", "compile --help", "targets --help", "--version"])
def test_help_loads_nothing_heavy(arguments: str) -> None:
    heavy = "{'numpy', 'onnx', 'onnx_ir', 'onnxruntime', 'ortools', 'networkx', 'numba', 'scipy'}"
    script = (
        f"import sys; from xbarc.cli import main; code = main({arguments.split()!r});"
        f"found = {heavy} & set(sys.modules); sys.exit(f'{{found}}' if found else code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_interrupt_while_the_command_loads_prints_no_traceback() -> None:
    script = (
        "import builtins\nload = builtins.__import__\n"
        "def interrupted(name, *rest, **options):\n"
        "    if name == 'typer': raise KeyboardInterrupt\n"
        "    return load(name, *rest, **options)\n"
        "builtins.__import__ = interrupted\nfrom xbarc.cli import entry\nentry()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 130
    assert done.stderr.decode() == "xbarc: interrupted; nothing was left half written\n"


@pytest.mark.slow
def test_a_whole_session(tmp_path: Path, model: Callable[..., Path]) -> None:
    model(DENSE, "net")
    np.savez(tmp_path / "in.npz", x=np.ones((2, 5), np.float32))
    for words in ("compile net.onnx", "verify net.xbar", "check net.xbar --data in.npz --json"):
        assert run(*words.split(), cwd=tmp_path).returncode == 0
    done = run("run", "net.xbar", "--inputs", "in.npz", "--outputs", "out.npz", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out.npz").is_file()


def test_bad_input_in_a_process(tmp_path: Path) -> None:
    done = run("compile", "none.onnx", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("xbarc: none.onnx: ")
    assert not list(tmp_path.iterdir())


def test_a_reader_that_goes_away(mlp: Path) -> None:
    script = '{ "$@"; echo "code $?" >&2; } | head -c 1'
    for command in ("report", "print", "inspect"):
        done = shell(script, *XBARC, command, mlp)
        assert done.stderr == "code 0\n"
    done = shell('"$@" | true; exit 0', *XBARC, "--help")
    assert done.stderr == ""


@pytest.mark.slow
def test_closed_streams(dense: Path, tmp_path: Path) -> None:
    assert shell('"$@" >&-', *XBARC, "report", dense).stderr == ""
    done = shell('"$@" <&- >&- 2>&-', *XBARC, "report", dense)
    assert (done.returncode, done.stderr) == (0, "")
    file = tmp_path / "report.json"
    done = shell('"$@" <&- >&-', *XBARC, "report", dense, "--format", "json", "-o", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert file.read_bytes() == (dense / "report.json").read_bytes()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout(dense: Path) -> None:
    done = shell('"$@" > /dev/full', *XBARC, "report", dense)
    assert done.returncode == 2
    assert done.stderr == "xbarc: standard output: No space left on device\n"


def test_a_stream_that_knows_only_ascii(dense: Path) -> None:
    done = run("report", dense, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("kind", ["ZeroDivisionError", "ImportError"])
def test_a_bug_is_no_answer(kind: str) -> None:
    """Inside a command, where typer would put its own hook in place and leave with 1."""
    script = (
        "import sys, xbarc.cli.app as app\n"
        "import xbarc.cli.executing as executing\n"
        f"def boom() -> None: raise {kind}('boom')\n"
        "executing.verify_command = boom; sys.argv = ['xbarc', 'verify']; app.entry()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 3
    assert kind.encode() in done.stderr
    assert b"this is a bug of xbarc" in done.stderr


@pytest.mark.parametrize("kind", ["ImportError", "RuntimeError"])
def test_interrupted_where_compiled_code_swallows_it(kind: str) -> None:
    """Modules that load and callbacks of compilers turn Ctrl-C into another error."""
    script = (
        "import contextlib, os, signal, sys, xbarc.cli.app as app\n"
        "import xbarc.cli.executing as executing\n"
        "def boom() -> None:\n"
        "    with contextlib.suppress(KeyboardInterrupt): os.kill(os.getpid(), signal.SIGINT)\n"
        f"    raise {kind}('no compiled object yet')\n"
        "executing.verify_command = boom; sys.argv = ['xbarc', 'verify']; app.entry()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 130
    assert done.stderr.startswith(b"xbarc: interrupted")


def test_interrupted_in_a_callback_that_drops_it() -> None:
    """Nothing fails after it, so it has to come again."""
    script = (
        "import ctypes, os, signal, sys, time, xbarc.cli.app as app\n"
        "import xbarc.cli.executing as executing\n"
        "@ctypes.CFUNCTYPE(None)\n"
        "def callback() -> None: os.kill(os.getpid(), signal.SIGINT); time.sleep(0)\n"
        "def boom() -> None: callback(); time.sleep(60)\n"
        "executing.verify_command = boom; sys.argv = ['xbarc', 'verify']; app.entry()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, timeout=50
    )
    assert done.returncode == 130
    assert done.stderr.startswith(b"xbarc: interrupted")


def test_a_file_size_limit(tmp_path: Path) -> None:
    """What a full disk does, by the kernel itself."""
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from xbarc.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, "compile", str(MLP), "-o", str(tmp_path / "o.xbar")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def compile_and_signal(
    out: Path, number: signal.Signals, delay: float
) -> subprocess.CompletedProcess[str]:
    """A compile of the MLP over an existing program, hit by a signal."""
    process = start("compile", MLP, "-o", out, "--weight-bits", 4)
    try:
        out_text, err = process.communicate(timeout=delay)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        out_text, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess([], process.returncode, out_text, err)


def compile_seconds(out: Path) -> float:
    began = time.perf_counter()
    assert run("compile", MLP, "-o", out, "--weight-bits", 4).returncode == 0
    return time.perf_counter() - began


def test_interrupted(own: Path, tmp_path: Path) -> None:
    old = tree(own)
    whole = compile_seconds(tmp_path / "new.xbar")
    new = tree(tmp_path / "new.xbar")
    stopped = 0
    for turn, share in enumerate((0.5, 0.8, 0.95, 0.4, 0.6, 0.3, 0.7, 0.2)):
        if turn > 1 and stopped:  # more moments only where the machine's pace missed the first
            break
        done = compile_and_signal(own, signal.SIGINT, share * whole)
        assert sorted(item.name for item in tmp_path.iterdir()) == ["new.xbar", "own.xbar"]
        if done.returncode == 130:
            stopped += 1
            assert done.stderr.splitlines()[-1].startswith("xbarc: interrupted")
            assert "Traceback" not in done.stderr
            assert tree(own) in (old, new)
        elif done.returncode == 0:
            assert tree(own) == new
        else:  # while Python starts or exits, and no code of ours runs
            assert done.returncode == -signal.SIGINT or "KeyboardInterrupt" in done.stderr
            assert "this is a bug" not in done.stderr
            assert tree(own) in (old, new)
    assert stopped


def killed(own: Path, shares: list[float], xbarc: Run) -> None:
    """Kill compiles at these shares of a compile's time; the output is whole each time."""
    parent = own.parent
    old = tree(own)
    whole = compile_seconds(parent / "new.xbar")
    new = tree(parent / "new.xbar")
    for share in shares:
        compile_and_signal(own, signal.SIGKILL, share * whole)
        assert tree(own) in (old, new)
        load_program(own)
        for item in parent.iterdir():
            name = item.name
            assert name in ("own.xbar", "new.xbar") or name.startswith(".own.xbar.")
    done = xbarc("compile", MLP, "-o", own, "--weight-bits", 4)
    assert done.code == 0, done.err
    assert tree(own) == new
    assert xbarc("verify", own).code == 0


@pytest.mark.slow
def test_killed(own: Path, xbarc: Run) -> None:
    killed(own, [0.8, 0.95], xbarc)


@pytest.mark.slow
def test_killed_at_many_moments(own: Path, xbarc: Run) -> None:
    rng = np.random.default_rng(11)
    killed(own, rng.uniform(0.6, 1.1, 30).tolist(), xbarc)
