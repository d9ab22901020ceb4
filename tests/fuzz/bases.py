"""Sound programs, one of every kind of layer and record, that hostile ones are made from."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from tests.binary_models import dense_net
from tests.frontend.onnx_models import model_file, normal
from xbarc.api import CompiledProgram
from xbarc.api import compile as compile_program
from xbarc.ir.choices import Candidate, ChoiceRecord, FitRecord
from xbarc.ir.facts import Narrowed
from xbarc.ir.pareto import FrontPoint, RowsPoint, SolverRun
from xbarc.numerics.types import AnyArray

Make = Callable[[Path], None]


def _save(folder: Path, graph: str, arrays: dict[str, AnyArray], **options: object) -> None:
    """Compile ONNX text and keep the program as `p.xbar`."""
    path = model_file(folder, graph, **arrays)  # type: ignore[arg-type]  # none is a header
    compile_program(path, **options).save(folder / "p.xbar")  # type: ignore[arg-type]


def _inputs(*shape: int) -> dict[str, AnyArray]:
    return {"x": normal(*shape)}


def _dense(folder: Path) -> None:
    graph = "g (float[N,5] x) => (float[] y) { h = MatMul(x, w)  r = Relu(h)  y = MatMul(r, v) }"
    arrays = {"w": normal(5, 4), "v": normal(4, 3)}
    _save(folder, graph, arrays, calibration=_inputs(16, 5), adc_savings="all", adc="calibrated:6")


def _records(folder: Path) -> None:
    """Everything that a program tells people; searching for it would take a minute."""
    graph = "g (float[N,5] x) => (float[] y) { y = MatMul(x, w) }"
    made = compile_program(model_file(folder, graph, w=normal(5, 4)))
    (step,) = made.program.crossbar_steps
    solved = (SolverRun("columns", 3.0, 2.0, "bits", 0.1, 4.0),)
    tried = (Candidate("acm", 0.1, 10.0, 5.0), Candidate("differential", problem="too wide"))
    step = replace(
        step,
        fit=FitRecord("feedback", 0.1, 0.2, 0.1, 3.0, 4.0, 5.0, 2.0),
        choice=ChoiceRecord("output", 0.01, "cheapest", tried),
        narrowed=Narrowed(9, ("Relu",)),
        adc=replace(step.adc, notes=("a note",), solved=solved),
    )
    front = (FrontPoint("uniform", 6.0, 64.0, 1.5, 20.0, 21.0, 0.9, 0.01, 20.5, chosen=True),)
    rows = (RowsPoint("widest", 10.0, 100.0, 1.0, 2.0, 3.0, buildable=True, chosen=True),)
    program = replace(made.program, steps=(step,), front=front, rows=rows)
    CompiledProgram(program).save(folder / "p.xbar")


def _window(folder: Path) -> None:
    graph = """g (float[1,4,7,6] x) => (float[] y) {
        h = Conv <pads = [1,1,1,1], strides = [2,1], group = 2> (x, w, b)
        r = Relu(h)
        y = Conv <dilations = [2,1], auto_pad = "SAME_UPPER"> (r, v) }"""
    arrays = {"w": normal(4, 2, 3, 3), "b": normal(4), "v": normal(3, 4, 2, 2)}
    _save(folder, graph, arrays)


def _scatter(folder: Path) -> None:
    graph = """g (float[1,2,4] x) => (float[] y) {
        h = ConvTranspose <strides = [2], pads = [1,0], output_padding = [1]> (x, w)
        r = Sigmoid(h)
        y = ConvTranspose <strides = [2], output_shape = [17], dilations = [2]> (r, v) }"""
    arrays = {"w": normal(2, 3, 3), "v": normal(3, 2, 3)}
    _save(folder, graph, arrays, calibration=_inputs(4, 2, 4), encoding="offset")


def _stack(folder: Path) -> None:
    graph = "g (float[2,3,4] x) => (float[] y) { h = MatMul(x, w)  y = MatMul(v, h) }"
    _save(folder, graph, {"w": normal(2, 4, 3), "v": normal(5, 3)}, encoding="acm", weight_bits=4)


def _requantized(folder: Path) -> None:
    graph = """g (uint8[1,3,5] x) => (uint8[] y) {
        y = QLinearConv <pads = [1,1]> (x, s, z, w, t, k, s, z) }"""
    rng = np.random.default_rng(1)
    arrays: dict[str, AnyArray] = {
        "w": rng.integers(-128, 128, (4, 3, 3)).astype(np.int8),
        "s": np.array(0.1, np.float32),
        "z": np.array(3, np.uint8),
        "t": np.full(4, 0.01, np.float32),
        "k": np.zeros(4, np.int8),
    }
    _save(folder, graph, arrays)


def _integers(folder: Path) -> None:
    graph = """g (float[N,6] x) => (float[] y, int32[] c) {
        q, s, z = DynamicQuantizeLinear(x)
        c = MatMulInteger(q, w, z)
        f = Cast <to = 1> (c)
        y = Mul(f, s) }"""
    rng = np.random.default_rng(1)
    _save(folder, graph, {"w": rng.integers(0, 256, (6, 3)).astype(np.uint8)}, adc=5)


def _binary(folder: Path) -> None:
    compile_program(dense_net(folder), "bnn128").save(folder / "p.xbar")


MAKES: dict[str, Make] = {
    "dense": _dense,
    "records": _records,
    "window": _window,
    "scatter": _scatter,
    "stack": _stack,
    "requantized": _requantized,
    "integers": _integers,
    "binary": _binary,
}


@cache
def base(name: str) -> Path:
    """A sound program; not to be changed."""
    folder = Path(tempfile.mkdtemp(prefix="xbarc-base-"))
    MAKES[name](folder)
    return folder / "p.xbar"


def copy_base(name: str, place: Path) -> Path:
    """A copy of a sound program, to damage."""
    return Path(shutil.copytree(base(name), place))
