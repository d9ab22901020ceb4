"""Models, sound and damaged: xbarc beside ONNX Runtime with its optimisations off."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx

from tests.fuzz.comparison import differences
from tests.fuzz.graphs import draw_net
from tests.fuzz.kind import Result, Verdict
from tests.fuzz.mutations import flip_bytes, mutate
from tests.fuzz.reference import Feeds, Reference, draw_feeds
from tests.models.graphs import PRECISE
from xbarc.api import CompiledProgram
from xbarc.api import load as load_program
from xbarc.compiler import compile_model
from xbarc.errors import EXIT_USER, XbarcError
from xbarc.frontend import read_network
from xbarc.ir.network import FloatWeight
from xbarc.ir.quantizers import FloatInput
from xbarc.target import Target, load_target

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ("fashion-mlp", "fashion-bnn-mlp", "fashion-bnn-cnn.qonnx", "fashion-depthwise")
"""Trained networks of `models/` that are small enough to be tried often."""

SAVED = 8
"""One program in so many is reported, written and read again, which takes as long as all else."""


def build(rng: np.random.Generator, folder: Path) -> Path:
    """A random network or a shipped one; most are damaged in structure, some in their bytes."""
    shipped = rng.random() < 0.02
    data = _shipped(SHIPPED[int(rng.integers(len(SHIPPED)))]) if shipped else None
    model = draw_net(rng) if data is None else onnx.load_from_string(data)
    choice = rng.random()
    if 0.05 < choice < 0.9:
        mutate(rng, model, folder)
    data = model.SerializeToString(deterministic=True)
    path = folder / "model.onnx"
    path.write_bytes(flip_bytes(rng, data) if choice > 0.85 else data)
    return path


@cache
def _shipped(name: str) -> bytes:
    return (ROOT / "models" / f"{name}.onnx").read_bytes()


def judge(path: Path) -> Verdict:
    """Compile and run, some of them saved in between; outputs must be those of ONNX Runtime."""
    path = path / "model.onnx" if path.is_dir() else path
    reference = Reference(path)
    seed = int.from_bytes(path.read_bytes()[-4:].ljust(4, b"\0"))
    feeds = draw_feeds(reference, np.random.default_rng(seed))
    try:
        program = CompiledProgram(compile_model(path, _target()))
        if seed % SAVED == 0:
            program = _written(program)
    except XbarcError as error:
        return _refusal(error, feeds, reference)
    if feeds is None:
        return _alone(program, reference)
    try:
        found = program.session().run(None, feeds.arrays)
    except XbarcError as error:
        return _refusal(error, feeds, reference)
    wrong = differences(found, feeds, quantised=False)
    if wrong and _is_quantised(path):
        wrong = differences(found, feeds, quantised=True) and _with_more_bits(path, feeds)
    return Verdict(Result.FINDING, wrong) if wrong else Verdict(Result.EQUAL)


@cache
def _target() -> Target:
    return load_target("rram128")


def _written(made: CompiledProgram) -> CompiledProgram:
    """The program as it is after it was reported, written and read."""
    with tempfile.TemporaryDirectory(prefix="xbarc-fuzz-") as folder:
        made.save(Path(folder) / "net.xbar")
        return load_program(Path(folder) / "net.xbar")


def _refusal(error: XbarcError, feeds: Feeds | None, reference: Reference) -> Verdict:
    """What a refusal is worth: xbarc may refuse with 2 only."""
    if error.exit_code != EXIT_USER:
        return Verdict(Result.FINDING, f"exit {error.exit_code}: {error}")
    if feeds is None:
        return Verdict(Result.REFUSED_BY_BOTH, reference.reason)
    return Verdict(Result.REFUSED, f"{type(error).__name__}: {error.message[:160]}")


def _alone(program: CompiledProgram, reference: Reference) -> Verdict:
    """xbarc compiled what ONNX Runtime does not load, or does not run on anything tried."""
    if reference.runnable:
        return Verdict(Result.REFUSED_BY_BOTH, "no input was found that ONNX Runtime runs")
    if "Could not find an implementation" in reference.reason:
        return Verdict(Result.UNJUDGED, "ONNX Runtime lacks a kernel, crossbars do not")
    return Verdict(Result.FINDING, f"compiles, ONNX Runtime does not load it: {reference.reason}")


def _with_more_bits(path: Path, feeds: Feeds) -> str:
    """What is wrong when activations and weights have 16 bits: no error of 8 bits."""
    program = CompiledProgram(compile_model(path, _target(), options=PRECISE))
    return differences(program.session().run(None, feeds.arrays), feeds, quantised=True)


def _is_quantised(path: Path) -> bool:
    """Whether xbarc rounds weights or activations that the model leaves real."""
    return any(
        isinstance(layer.quantizer, FloatInput) or isinstance(layer.weight, FloatWeight)
        for layer in read_network(path).matrix_layers
    )
