"""One session under load: threads, many runs, large batches and empty ones."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xbarc as api
from tests.frontend.onnx_models import model_file
from tests.load.variants import CASES, Network
from xbarc import InferenceSession
from xbarc.cli import main
from xbarc.executor.run import Engine
from xbarc.ir.trace import Trace
from xbarc.numerics.types import AnyArray

ROOT = Path(__file__).parents[2]
PROGRAMS: dict[str, tuple[Network, bool, dict[str, Any]]] = {
    "lossless": ("small", True, {}),
    "saturating": ("small", True, {"adc": 4}),
    "sense amplifiers": ("binary", True, {}),
    "dynamic ranges": ("small", False, {}),
}
"""Network, whether calibration data set its ranges, options."""
ENGINES: tuple[Engine, ...] = ("fast", "reference")
Answer = tuple[bytes, list[tuple[int, int, int]]]


def built(folder: Path, kind: str) -> tuple[api.CompiledProgram, str, AnyArray]:
    """A program, its input's name, and samples."""
    network, calibrated, options = PROGRAMS[kind]
    case = CASES[network](folder)
    data = case.data if calibrated else None
    made = api.compile(case.model, case.target, calibration=data, **options)
    name = made.program.inputs[0].name
    return made, name, case.data[name]


def answer(session: InferenceSession, name: str, inputs: AnyArray) -> Answer:
    """Bytes of the outputs, and what the run's own trace counted."""
    trace = Trace()
    outputs = session.run(None, {name: inputs}, trace=trace)
    counts = [
        (layer.vectors, layer.conversions, layer.saturated) for layer in trace.layers.values()
    ]
    return b"".join(output.tobytes() for output in outputs), counts


def compare_threads(folder: Path, kind: str, engine: Engine, runs: int) -> int:
    """Runs in 8 threads on a session that has prepared nothing yet, held equal to serial ones."""
    made, name, data = built(folder, kind)
    pieces = [data[start : start + 1 + start % 5] for start in range(runs)]
    alone = made.session(engine)
    serial = [answer(alone, name, piece) for piece in pieces]
    assert all(counts[0][0] for _, counts in serial)
    shared = made.session(engine)
    with ThreadPoolExecutor(8) as pool:
        threaded = list(pool.map(lambda piece: answer(shared, name, piece), pieces))
    assert threaded == serial
    return runs


@pytest.mark.parametrize("kind", PROGRAMS)
def test_threads_share_a_session(tmp_path: Path, kind: str) -> None:
    for engine in ENGINES:
        compare_threads(tmp_path, kind, engine, 16)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_threads_share_a_session_for_long(tmp_path: Path, kind: str, engine: Engine) -> None:
    rounds = 5
    runs = sum(compare_threads(tmp_path, kind, engine, 56) for _ in range(rounds))
    print(f"{kind}, {engine}: {runs} runs in 8 threads, {rounds} fresh sessions, all equal")


def held_after(run: Callable[[], object], count: int) -> int:
    """Bytes that Python and numpy hold more after so many runs than after as many before."""
    tracemalloc.start()
    try:
        for _ in range(count):
            run()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            run()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("engine", ENGINES)
def test_runs_keep_nothing(tmp_path: Path, engine: Engine) -> None:
    made, name, data = built(tmp_path, "saturating")
    batch = np.resize(data, (320, *data.shape[1:]))
    run = partial(made.session(engine).run, None, {name: batch})
    # An output kept each time is 330 KB; what Python itself keeps varies by some tens of KB.
    assert held_after(run, 24) < 96 << 10


_BATCH = """
import resource, sys, numpy as np
from pathlib import Path
from tests.load.test_sessions import built
made, name, data = built(Path(sys.argv[1]), sys.argv[2])
session = made.session()
peaks = []
for count in (1000, int(sys.argv[3])):
    batch = np.resize(data, (count, *data.shape[1:]))
    (found,) = session.run(None, {name: batch})
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10)
    wanted = session.run(None, {name: batch[-100:]})[0]
    assert len(found) == count and np.array_equal(found[-100:], wanted)
print(peaks[1] - peaks[0])
"""


def batch_growth(folder: Path, kind: str, count: int) -> int:
    """Bytes by which the peak of a process rises from a batch of 1,000 to one of `count`."""
    words = [sys.executable, "-c", _BATCH, str(folder), kind, str(count)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lossless", "saturating", "sense amplifiers"])
def test_a_batch_of_a_hundred_thousand(tmp_path: Path, kind: str) -> None:
    """Layers work piece by piece: beside the values between layers, memory stays bounded."""
    grown = batch_growth(tmp_path, kind, 100_000)
    made, name, data = built(tmp_path, kind)
    tensors = [name, *(step.output for step in made.program.crossbar_steps)]
    one = made.session()._executor.run({name: data[:1]}, tensors)
    values = 100_000 * (data[:1].nbytes + sum(tensor.nbytes for tensor in one[1:]))
    print(f"{kind}: 100000 samples, peak +{grown >> 20} MiB, tensors {values >> 20} MiB")
    assert grown < 3 * values + (512 << 20)


LAYERS = {
    "dense": ("float[N, 6] x", "h = MatMul (x, w)", (6, 4)),
    "convolution": (
        "float[N, 2, 5, 5] x",
        "h = Conv <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (x, w)",
        (3, 2, 3, 3),
    ),
    "grouped convolution": (
        "float[N, 4, 5, 5] x",
        "h = Conv <kernel_shape = [3, 3], group = 2> (x, w)",
        (4, 2, 3, 3),
    ),
    "transposed convolution": (
        "float[N, 2, 4, 4] x",
        "h = ConvTranspose <kernel_shape = [2, 2], strides = [2, 2]> (x, w)",
        (2, 3, 2, 2),
    ),
    "convolution of one axis": (
        "float[N, 2, 9] x",
        "h = Conv <kernel_shape = [3]> (x, w)",
        (3, 2, 3),
    ),
    "digital": ("float[N, 6] x", "h = Mul (x, w)", (6,)),
    "binary": ("float[N, 6] x", "s = Sign (x) h = MatMul (s, w)", (6, 4)),
}


def empty_case(folder: Path, kind: str) -> tuple[Path, AnyArray]:
    """A model, and inputs of which there are none."""
    declared, body, shape = LAYERS[kind]
    rng = np.random.default_rng(0)
    weights = rng.normal(size=shape).astype(np.float32)
    weights = np.where(weights < 0, -1, 1).astype(np.float32) if kind == "binary" else weights
    model = model_file(
        folder, f"net ({declared}) => (float y) {{ {body} y = Relu (h) }}", w=weights
    )
    sizes = declared.partition("[")[2].partition("]")[0].split(", ")[1:]
    return model, np.zeros((0, *map(int, sizes)), np.float32)


CONVERTED = [(kind, "3") for kind in LAYERS if kind != "binary"]


@pytest.mark.parametrize(("kind", "adc"), [*((kind, "lossless") for kind in LAYERS), *CONVERTED])
def test_a_batch_of_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, adc: str
) -> None:
    model, empty = empty_case(tmp_path, kind)
    target = "bnn128" if kind == "binary" else "rram128"
    program, data = tmp_path / "p.xbar", tmp_path / "none.npz"
    some = np.random.default_rng(1).normal(size=(8, *empty.shape[1:])).astype(np.float32)
    shape = (0,)
    for calibration in (None, {"x": some}):
        made = api.compile(model, target, calibration=calibration, adc=adc)
        made.save(program)
        for engine in ENGINES:
            (one,) = made.session(engine).run(None, {"x": some[:1]})
            (found,) = made.session(engine).run(None, {"x": empty}, trace=Trace())
            shape = (0, *one.shape[1:])
            assert (found.dtype, found.shape) == (one.dtype, shape)
    np.savez(data, x=empty)
    outputs = tmp_path / "out.npz"
    assert main(["run", str(program), "--inputs", str(data), "--outputs", str(outputs)]) == 0
    with np.load(outputs) as saved:
        assert saved["y"].shape == shape
    capsys.readouterr()
    assert main(["check", str(program), "--data", str(data), "--json"]) == 2
    assert "has no samples" in capsys.readouterr().err
