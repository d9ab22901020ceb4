"""Commands that are killed, starved or raced: `python -m tests.kills [KILLS]` prints counts.

A forked child of this process, which has imported everything, runs a command; so a case costs no
start of Python. Whatever happens to it, the output must be the old one or the new one, whole.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import resource
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import xbarc
from tests.cli.conftest import DENSE, tree, write_model
from xbarc.cli import main
from xbarc.errors import ProgramError
from xbarc.ir.files import load_program, save_program

Words = tuple[object, ...]
Prepare = Callable[[], object]
State = dict[str, bytes]


@dataclass(frozen=True)
class Case:
    """A command that writes `output`, which holds something older before."""

    name: str
    words: Words
    output: Path


@dataclass(eq=False)
class Tally:
    """What came of many cases."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, text: str) -> None:
        """Note something that must not be."""
        self.faults.append(text)


def state(path: Path) -> State:
    """Every byte of a file or folder."""
    return tree(path) if path.is_dir() else {"": path.read_bytes()}


def start(words: Words, prepare: Prepare = lambda: None) -> int:
    """Run a command in a forked child; its output goes nowhere."""
    child = os.fork()
    if child:
        return child
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    code = 99
    try:
        # A shell that starts this in the background ignores Ctrl-C for all its children.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        prepare()
        code = main([str(word) for word in words])
    finally:
        os._exit(code)


def finish(child: int) -> int:
    """The exit code; negative: the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def cases(folder: Path) -> list[Case]:
    """Small commands, their outputs already there."""
    model = write_model(folder / "net.onnx", DENSE)
    np.savez(folder / "in.npz", x=np.ones((3, 5), np.float32))
    program = folder / "base.xbar"
    run_ok(("compile", model, "-o", program))
    run_ok(("compile", model, "-o", folder / "out.xbar", "--weight-bits", 4))
    for name in ("out.npz", "out.html", "out.png"):
        (folder / name).write_bytes(b"old")
    data = ("--inputs", folder / "in.npz", "--outputs", folder / "out.npz")
    layer = load_program(program).crossbar_steps[0].name
    png = ("--layer", layer, "--png", folder / "out.png")
    page = ("--format", "html", "-o", folder / "out.html")
    return [
        Case("compile", ("compile", model, "-o", folder / "out.xbar"), folder / "out.xbar"),
        Case("run --outputs", ("run", program, *data), folder / "out.npz"),
        Case("report -o", ("report", program, *page), folder / "out.html"),
        Case("inspect --png", ("inspect", program, *png), folder / "out.png"),
    ]


def run_ok(words: Words) -> float:
    """Seconds of a command that must work."""
    began = time.perf_counter()
    code = finish(start(words))
    if code:
        raise RuntimeError(f"{words} ends with {code}")
    return time.perf_counter() - began


@contextmanager
def arena() -> Iterator[Path]:
    """A folder for a round."""
    with tempfile.TemporaryDirectory(prefix="xbarc-kills-") as name:
        yield Path(name)


def strange(folder: Path, known: set[str]) -> list[str]:
    """What is in a folder beside what belongs there."""
    return sorted(item.name for item in folder.iterdir() if item.name not in known)


def signals(tally: Tally, number: signal.Signals, count: int, seed: int = 0) -> None:
    """Signals at random moments; the output is whole, and the next run leaves nothing behind."""
    rng = np.random.default_rng(seed)
    with arena() as folder:
        for case in cases(folder):
            known = {item.name for item in folder.iterdir()}
            old = state(case.output)
            seconds = run_ok(case.words)
            new = state(case.output)
            for _ in range(count // 4):
                _one(tally, case, number, float(rng.uniform(0, 1.1 * seconds)), (old, new))
                left = strange(folder, known)
                tally.counts[f"{number.name} with a leftover"] += bool(left)
                if number is not signal.SIGKILL and left:
                    tally.fault(f"{case.name}: {number.name} leaves {left}")
            run_ok(case.words)
            if strange(folder, known) or state(case.output) != new:
                tally.fault(f"{case.name}: the next run leaves {strange(folder, known)}")


def _one(
    tally: Tally, case: Case, number: signal.Signals, after: float, whole: tuple[State, State]
) -> None:
    child = start(case.words)
    time.sleep(after)
    os.kill(child, number)
    code = finish(child)
    tally.counts[f"{number.name} {case.name}: exit {code}"] += 1
    allowed = {0, -number, 128 + number}
    if code not in allowed:
        tally.fault(f"{case.name}: {number.name} ends with {code}")
    if state(case.output) not in whole:
        tally.fault(f"{case.name}: torn by {number.name}")


def limited(tally: Tally) -> None:
    """A disk that is full: files cannot grow beyond some bytes; exit 2, the old output whole."""
    with arena() as folder:
        for case in cases(folder):
            known = {item.name for item in folder.iterdir()}
            for size in (0, 1, 100, 700, 2000):
                old = state(case.output)
                child = start(case.words, lambda size=size: _limit_files(size))  # type: ignore[misc]
                code = finish(child)
                tally.counts[f"full disk, {case.name}: exit {code}"] += 1
                if code not in (0, 2) or (code == 2 and state(case.output) != old):
                    tally.fault(f"{case.name}: {size} bytes of disk end with {code}")
                if strange(folder, known):
                    tally.fault(f"{case.name}: a full disk leaves {strange(folder, known)}")


def _limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def unprivileged(tally: Tally) -> None:
    """A folder that must not be written to, by a user without a home: exit 2, nothing changed."""
    if os.getuid():
        tally.counts["read-only folder: skipped, needs root"] += 1
        return
    hidden = unreadable()
    if hidden:
        tally.counts[f"read-only folder: skipped, nobody cannot read {hidden}"] += 1
        return
    with arena() as folder:
        for case in cases(folder):
            folder.chmod(0o555)
            old = state(case.output)
            code = finish(start(case.words, _become_nobody))
            tally.counts[f"read-only folder, {case.name}: exit {code}"] += 1
            if code != 2 or state(case.output) != old:
                tally.fault(f"{case.name}: a read-only folder ends with {code}")
            folder.chmod(0o777)
            shutil.rmtree(case.output) if case.output.is_dir() else case.output.unlink()
            code = finish(start(case.words, _become_nobody))
            tally.counts[f"no home, {case.name}: exit {code}"] += 1
            if code != 0:
                tally.fault(f"{case.name}: without a home it ends with {code}")


def unreadable() -> str:
    """A folder of modules that another user cannot read, so that lazy imports would fail there."""
    folders = [sysconfig.get_path(name) for name in ("stdlib", "purelib")]
    for folder in [*folders, str(Path(__file__).resolve().parents[1])]:
        child = os.fork()
        if not child:
            failed = 1
            try:
                os.setgid(65534)
                os.setuid(65534)
                next(Path(folder).iterdir())
                failed = 0
            finally:
                os._exit(failed)
        if finish(child):
            return folder
    return ""


def _become_nobody() -> None:
    for name in ("HOME", "USER", "LOGNAME", "XDG_CACHE_HOME"):
        os.environ.pop(name, None)
    os.setgid(65534)
    os.setuid(65534)


def foreign(tally: Tally) -> None:
    """Folders of the user's as `-o`, some with names like ours: never changed."""
    with arena() as folder:
        compiling = cases(folder)[0]
        mine = folder / "mine"
        keep = [mine, folder / ".out.xbar.abcdefgh.partial", folder / ".out.xbar.abcdefgh.old"]
        for place in keep:
            place.mkdir()
            (place / "thesis.txt").write_text("mine")
        code = finish(start((*compiling.words[:3], mine)))
        tally.counts[f"a folder of the user's: exit {code}"] += 1
        run_ok(compiling.words)
        if code != 2 or any((place / "thesis.txt").read_text() != "mine" for place in keep):
            tally.fault("a folder of the user's was changed")


def two_at_once(tally: Tally, turns: int = 10) -> None:
    """Two compiles to one output: one of both results; one that lives is not tidied away."""
    with arena() as folder:
        words = cases(folder)[0].words
        out = folder / "out.xbar"
        known = {item.name for item in folder.iterdir()}
        whole = []
        for bits in (3, 8):
            run_ok((*words, "--weight-bits", bits))
            whole.append(state(out))
        for turn in range(turns):
            children = [start((*words, "--weight-bits", bits)) for bits in (3, 8)]
            if turn % 2:
                os.kill(children[0], signal.SIGKILL)
            codes = [finish(child) for child in children]
            tally.counts[f"two compiles at once: exits {codes}"] += 1
            if codes[1] or codes[0] not in (0, -9) or state(out) not in whole:
                tally.fault(f"two compiles at once end with {codes}")
        run_ok(words)
        if strange(folder, known):
            tally.fault(f"two compiles at once leave {strange(folder, known)}")


def read_while_replaced(tally: Tally, seconds: float = 3.0) -> None:
    """Loads while another process saves two programs in turns: each load is one of both."""
    with arena() as folder:
        words = cases(folder)[0].words
        out = folder / "out.xbar"
        programs = []
        for bits in (3, 8):
            run_ok((*words, "--weight-bits", bits))
            programs.append(load_program(out))
        levels = [program.crossbar_steps[0].cells.data.tobytes() for program in programs]
        child = os.fork()
        if not child:
            while True:
                for program in programs:
                    save_program(program, out)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            _load_once(tally, out, levels)
        os.kill(child, signal.SIGKILL)
        finish(child)


def _load_once(tally: Tally, out: Path, levels: list[bytes]) -> None:
    try:
        program = load_program(out)
    except ProgramError as error:
        if error.hint == "try again":  # nothing held still for as long as a load takes
            tally.counts["loads that were told to try again"] += 1
        else:
            tally.fault(f"a load while replaced: {error}")
        return
    tally.counts["loads while replaced"] += 1
    bits = dict(program.settings).get("weight_bits")
    wanted = levels[0] if bits == "3" else levels[1]
    if program.crossbar_steps[0].cells.data.tobytes() != wanted:
        tally.fault("a load while replaced gives parts of two programs")


def closed_stdout(tally: Tally) -> None:
    """A reader that went away is no error."""
    with arena() as folder:
        program = cases(folder)[1].words[1]
        for words in (("report", program), ("print", program), ("inspect", program)):
            code = finish(start(words, _close_reader))
            tally.counts[f"closed stdout, {words[0]}: exit {code}"] += 1
            if code:
                tally.fault(f"{words[0]}: a closed stdout ends with {code}")


def _close_reader() -> None:
    read, write = os.pipe()
    os.close(read)
    os.dup2(write, 1)
    sys.stdout = os.fdopen(1, "w", closefd=False)


def run_all(kills: int) -> Tally:
    """Every kind of trouble; `kills` of them by SIGKILL."""
    tally = Tally()
    signals(tally, signal.SIGKILL, kills)
    signals(tally, signal.SIGTERM, kills // 5)
    signals(tally, signal.SIGINT, kills // 5)
    for trouble in (
        limited,
        unprivileged,
        foreign,
        two_at_once,
        read_while_replaced,
        closed_stdout,
    ):
        trouble(tally)
    return tally


def preload() -> None:
    """Import what commands import, but run nothing: threads would not survive a fork."""
    import onnxruntime  # noqa: F401, PLC0415

    for module in pkgutil.walk_packages(xbarc.__path__, "xbarc."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    preload()
    done = run_all(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    for name, number in sorted(done.counts.items()):
        print(f"{number:6d} {name}")
    print(*done.faults, sep="\n")
    print(f"{len(done.faults)} faults")
    sys.exit(bool(done.faults))
