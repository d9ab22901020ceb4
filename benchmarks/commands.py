"""Commands as they are typed: start-up, reading and writing included, in processes of their own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import fill
import nets
import numpy as np
import onnx
from timing import Launcher, Row, Usage, compare

_XBARC = (sys.executable, "-m", "xbarc")
_START = (sys.executable, "-c", "import typer, rich")
# Enough that `run` takes its compiled loops: a few samples go by numpy.
_COLD_SAMPLES = 20_000
_CACHE = "NUMBA_CACHE_DIR"
_GOALS = {
    ("tiny", "compile"): "<= 1.5 s",
    ("tiny", "run"): "<= 0.9 s",
    ("tiny, 6-bit", "run"): "<= 1 s",
    ("resnet18", "compile"): "<= 2 s, 0.9 GB",
    ("resnet18", "verify"): "<= compile",
    ("vgg19", "compile"): "<= 9 s, 0.9 GB",
    ("vgg19", "verify"): "<= compile",
    ("vgg19", "report"): "<= 0.7 s",
}
_LOAD = "import sys, onnxruntime; onnxruntime.InferenceSession(sys.argv[1])"
_RUN = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
with numpy.load(sys.argv[2]) as data:
    feeds = {one.name: data[one.name] for one in session.get_inputs()}
found = session.run(None, feeds)
numpy.savez(sys.argv[3], **{one.name: a for one, a in zip(session.get_outputs(), found)})
"""


@dataclass(frozen=True)
class Case:
    """A model, what it is compiled with, and where its files lie."""

    name: str
    model: Path
    weights: int
    rounds: int
    options: Sequence[str] = ()

    @property
    def program(self) -> Path:
        """What compile writes."""
        return self.model.with_name(f"{self.name.replace(', ', '-')}.xbar")

    @property
    def data(self) -> Path:
        """Inputs of `run` and `check`."""
        return self.model.with_suffix(".npz")

    def commands(self) -> dict[str, tuple[str, ...]]:
        """What is typed, by command."""
        model, program, data = str(self.model), str(self.program), str(self.data)
        return {
            "compile": ("compile", model, "-o", program, *self.options),
            "run": ("run", program, "--inputs", data, "--outputs", f"{program}.out.npz"),
            "check": ("check", program, "--data", data),
            "verify": ("verify", program),
            "report": ("report", program),
            "inspect": ("inspect", program),
        }

    def peers(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Whom each command stands beside: a name, and what is typed."""
        model, data, out = str(self.model), str(self.data), str(self.model.with_suffix(".out.npz"))
        run = ("ONNX Runtime, float", (sys.executable, "-c", _RUN, model, data, out))
        start = ("python, import typer, rich", _START)
        return {
            "compile": ("ONNX Runtime loads the model", (sys.executable, "-c", _LOAD, model)),
            "run": run,
            "check": run,
            "verify": ("xbarc compile", (*_XBARC, *self.commands()["compile"])),
            "report": start,
            "inspect": start,
        }


def commands(quick: bool) -> Iterator[Row]:
    """Every command on a tiny net, ResNet-18 and VGG-19, compiled loops kept from before."""
    with tempfile.TemporaryDirectory() as name, Launcher() as launcher:
        for case in _cases(Path(name)):
            if quick:
                case = replace(case, rounds=1)  # noqa: PLW2901
            for command in case.commands():
                yield _row(launcher, case, command)
        yield _plain(launcher, "targets list", ("targets", "list"), "<= 0.3 s")
        yield _plain(launcher, "--help", ("--help",), "<= 0.3 s")


def cold(_: bool) -> Iterator[Row]:
    """First runs, whose loops are not compiled yet, beside the next ones."""
    with tempfile.TemporaryDirectory() as name, Launcher() as launcher:
        case = _tiny(Path(name), "tiny, 6-bit", ("--adc", "6"), _COLD_SAMPLES)
        asked = case.commands()
        works = {
            "compile": asked["compile"],
            "run": asked["run"],
            "verify": asked["verify"],
            "check --effects variation": (*asked["check"], "--effects", "variation"),
        }
        for command, arguments in works.items():
            # Each with a cache of its own: nothing is left by the one before.
            own = {**os.environ, _CACHE: str(Path(name) / command.split()[0])}
            first, then = (_run(launcher, arguments, own) for _ in range(2))
            yield compare(
                f"{command}, {case.name}, {_COLD_SAMPLES} samples, loops not compiled yet",
                *([first.cpu], [then.cpu]),
                peer="the next run",
            )


def _cases(folder: Path) -> list[Case]:
    cases = [_tiny(folder, "tiny"), _tiny(folder, "tiny, 6-bit", ("--adc", "6"))]
    nets.resnet18(folder / "resnet18.onnx")
    cases.append(Case("resnet18", folder / "resnet18.onnx", 11_700_000, 3))
    model = folder / "vgg19.onnx"
    cases.append(Case("vgg19", model, fill.fill(fill.light_model("vgg19"), model, 0), 3))
    for case in cases[2:]:
        _write_picture(case)
    return cases


def _tiny(folder: Path, name: str, options: Sequence[str] = (), samples: int = 64) -> Case:
    """Two dense layers, and some samples."""
    model = folder / "tiny.onnx"
    net = nets.Builder(seed=0)
    hidden = net.simple("Relu", net.dense("x", 64, 32, "hidden"))
    net.dense(hidden, 32, 10, "scores")
    net.save(model, ["batch", 64], 10)
    case = Case(name, model, 64 * 32 + 32 * 10, 5, options)
    np.savez(case.data, x=np.random.default_rng(1).random((samples, 64), dtype=np.float32))
    return case


def _write_picture(case: Case) -> None:
    """One picture, under the name of the model's input."""
    graph = onnx.load(str(case.model), load_external_data=False).graph
    weights = {one.name for one in graph.initializer}
    (name,) = (one.name for one in graph.input if one.name not in weights)
    picture = np.random.default_rng(1).random((1, 3, 224, 224), dtype=np.float32)
    np.savez(case.data, **{name: picture})


def _run(launcher: Launcher, arguments: Sequence[str], environment: Mapping[str, str]) -> Usage:
    # `check` says 1 where the answer is no.
    return launcher.run((*_XBARC, *arguments), environment, (0, 1))


def _row(launcher: Launcher, case: Case, command: str) -> Row:
    ours, theirs = [], []
    arguments, (peer, other) = case.commands()[command], case.peers()[command]
    if case.name != "vgg19":  # compiles loops; ResNet-18 does it for VGG-19
        _run(launcher, arguments, os.environ)
    for _ in range(case.rounds):
        ours.append(_run(launcher, arguments, os.environ))
        theirs.append(launcher.run(other, os.environ))
    note = f"peak {max(one.peak for one in ours) / 1e9:.2f} GB"
    if command == "compile":
        note += f"; {_bytes_moved(case)}"
    return compare(
        f"{command} {case.name}",
        *([one.cpu for one in ours], [two.cpu for two in theirs]),
        peer=peer,
        note=note,
        goal=_GOALS.get((case.name, command), ""),
    )


def _bytes_moved(case: Case) -> str:
    read = sum(path.stat().st_size for path in case.model.parent.glob(f"{case.model.name}*"))
    written = sum(path.stat().st_size for path in case.program.rglob("*") if path.is_file())
    told = f"{read / 1e6:,.2f} MB read, {written / 1e6:,.2f} MB written"
    return f"{told}, {written / case.weights:.2f} bytes per weight" if case.weights > 1e6 else told


def _plain(launcher: Launcher, name: str, arguments: Sequence[str], goal: str) -> Row:
    ours, theirs = [], []
    for _ in range(5):
        ours.append(_run(launcher, arguments, os.environ).cpu)
        theirs.append(launcher.run(_START, os.environ).cpu)
    return compare(name, ours, theirs, peer="python, import typer, rich", goal=goal)
