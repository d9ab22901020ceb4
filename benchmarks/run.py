"""Speed and size, as ratios against things that are timed in the same run.

    python benchmarks/run.py [--json FILE] [--markdown FILE] [--quick] [NAME ...]

Machines differ and are shared: quote the ratios, and name the machine. CPU seconds are those of one
thread unless a row says otherwise; each figure is the best of several runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import fill
import nets
import numpy as np

from xbarc.circuit import Chip, Effects
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import AnalogLayer, Executor, FastLayer, chip_layer
from xbarc.ir.effective import lossless_conversions
from xbarc.ir.geometry import Dense
from xbarc.ir.network import IntWeight, LazyTensor, MatrixLayer
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import IntegerInput, IntegerResult
from xbarc.mapping import ArrayPool, map_layer
from xbarc.numerics import IntFormat
from xbarc.options import MapOptions
from xbarc.runtime import IntegerProduct, OnnxSession
from xbarc.target import load_target

Row = dict[str, Any]


def best(work: Callable[[], object], clock: Callable[[], float], runs: int = 5) -> float:
    """Least seconds of several runs, after one that does not count."""
    work()
    times = []
    for _ in range(runs):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def paired(
    first: Callable[[], object], second: Callable[[], object], runs: int = 7
) -> tuple[float, float]:
    """Least CPU seconds of two works that take turns, so that the machine's mood hits both."""
    first(), second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for work, found in zip((first, second), times, strict=True):
            start = time.process_time()
            work()
            found.append(time.process_time() - start)
    return min(times[0]), min(times[1])


def dense_step(size: int, adc: str) -> tuple[CrossbarStep, np.ndarray]:  # type: ignore[type-arg]
    """A square int8 layer on rram128, and 256 input vectors."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (1, size, size))
    tensor = LazyTensor(weights.shape, lambda: weights)
    layer = MatrixLayer(
        name="layer",
        operator="MatMulInteger",
        geometry=Dense(),
        input="x",
        output="y",
        weight=IntWeight(tensor, IntFormat(8, signed=True)),
        quantizer=IntegerInput(low=0, bits=8),
        constant=np.zeros(size, dtype=np.int64),
        result=IntegerResult("int64"),
    )
    target = load_target("rram128")
    options = MapOptions(adc=adc)
    step = map_layer(layer, target, options, ArrayPool(target.array, options.pack))
    return step, rng.integers(0, 256, (256, 1, size), dtype=np.uint8)


def plain_numpy(step: CrossbarStep, vectors: Any) -> Callable[[], object]:
    """A bit-sliced executor as one would write it: float32 products, clamp, shift, add."""
    cells = step.cells.unpack()[0].astype(np.float32)
    top = np.float32((1 << int(step.adc.bits.max())) - 1)
    bounds = step.tiling.segment_bounds
    scale = step.periphery.r_value[0, 0].astype(np.float32)
    codes = vectors[:, 0]

    def run() -> object:
        joined = np.zeros((len(codes), cells.shape[1]), dtype=np.float32)
        for first, last in pairwise(bounds):
            for s in range(8):
                plane = ((codes[:, first:last] >> s) & 1).astype(np.float32)
                joined += np.minimum(plane @ cells[first:last], top) * np.float32(1 << s)
        per_output = len(scale) // step.outputs
        return (joined * scale).reshape(len(codes), step.outputs, per_output).sum(axis=2)

    return run


def executed(step: CrossbarStep, vectors: int) -> int:
    """Conversions that the fast engine makes one by one: those that are not proven lossless."""
    proven = lossless_conversions(step)
    return vectors * step.input_slices * int(proven.size - proven.sum())


def saturating_layer(_: bool) -> list[Row]:
    """512x512, 256 vectors, 8-bit inputs bit-serial, 2-bit cells, 128 rows, 6-bit ADC."""
    step, vectors = dense_step(512, "6")
    layer = FastLayer(step, threads=1)
    numpy = plain_numpy(step, vectors)
    if not np.array_equal(layer.accumulate(vectors)[:, 0], numpy()):
        raise SystemExit("the fast engine and the plain executor differ")
    count = executed(step, len(vectors))
    ours, theirs = paired(lambda: layer.accumulate(vectors), numpy)
    return [
        {
            "work": "saturating layer: executed conversions per CPU second, against plain numpy",
            "ours_per_s": count / ours,
            "theirs_per_s": 256 * 4 * step.input_slices * step.conversions / theirs,
            "ratio": theirs / ours,
            "goal": ">= 4.5",
        }
    ]


def lossless_layer(_: bool) -> list[Row]:
    """The same layer, lossless, against ONNX Runtime's exact integer product."""
    step, vectors = dense_step(512, "lossless")
    layer = FastLayer(step, threads=1)
    weights = np.random.default_rng(0).integers(-127, 128, (1, 512, 512))
    product = IntegerProduct(weights[0], threads=1)
    codes = np.ascontiguousarray(vectors[:, 0])
    ours, theirs = paired(lambda: layer.accumulate(vectors), lambda: product.run(codes))
    name = "lossless layer: CPU time against ONNX Runtime's exact integer product"
    return [
        {"work": name, "ours_s": ours, "theirs_s": theirs, "ratio": ours / theirs, "goal": "<= 2"}
    ]


def network(quick: bool) -> list[Row]:
    """ResNet-20 at 3x32x32, images a CPU second, lossless and with 6-bit ADCs, two encodings."""
    rows = []
    images = 16 if quick else 64
    x = np.abs(np.random.default_rng(1).standard_normal((images, 3, 32, 32), dtype=np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet20.onnx"
        nets.resnet20(path)
        plain = OnnxSession(path, where="float", threads=1)
        for encoding in ("differential", "offset"):
            for adc in ("lossless", "6"):
                options = CompileOptions(encoding=encoding, adc=adc)
                program = compile_model(path, options=options, calibration={"x": x[:16]})
                executor = Executor(program, threads=1)
                feeds = {"x": x}
                ours, theirs = paired(partial(executor.run, feeds), partial(plain.run, feeds), 3)
                rows.append(
                    {
                        "work": f"ResNet-20, {encoding}, ADC {adc}: images a CPU second",
                        "ours_per_s": images / ours,
                        "theirs_per_s": images / theirs,
                        "ratio": ours / theirs,
                        "goal": ">= 300" if adc == "lossless" else ">= 50",
                    }
                )
    return rows


def chip(quick: bool) -> list[Row]:
    """ResNet-20 on a chip, images a CPU second: variation, noise, and without converters."""
    rows = []
    images = 4 if quick else 16
    x = np.abs(np.random.default_rng(1).standard_normal((images, 3, 32, 32), dtype=np.float32))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet20.onnx"
        nets.resnet20(path)
        program = compile_model(path, options=CompileOptions(), calibration={"x": x})
    for kinds, goal in (("variation", 30), ("variation,noise", 15)):
        sample = Chip(program, Effects(frozenset(kinds.split(","))))
        ours, theirs = (Executor(program, threads=1, chip=sample) for _ in range(2))
        for step in program.crossbar_steps:
            noise = getattr(chip_layer(sample, step, threads=1), "noise", None)
            plain = AnalogLayer(step, sample.levels(step), noise, 1, by_tables=False)
            theirs.runner.prepare(step, plain)
        work = (partial(ours.run, {"x": x}), partial(theirs.run, {"x": x}))
        rows.append(_chip_row(kinds.replace(",", " and "), images, paired(*work, 2), f">= {goal}"))
    effects = Effects(frozenset({"variation"}), converters=False)
    ideal = Executor(program, threads=1, chip=Chip(program, effects))
    plain_program = Executor(program, threads=1)
    work = (partial(ideal.run, {"x": x}), partial(plain_program.run, {"x": x}))
    rows.append(_chip_row("variation, ideal converters", images, paired(*work, 2), ">= 280"))
    return rows


def _chip_row(name: str, images: int, seconds: tuple[float, float], goal: str) -> Row:
    ours, theirs = seconds
    return {
        "work": f"ResNet-20 on a chip, {name}: images a CPU second",
        "ours_per_s": images / ours,
        "theirs_per_s": images / theirs,
        "ratio": theirs / ours,
        "goal": goal,
    }


def threads(quick: bool) -> list[Row]:
    """Wall time of the saturating layer on one and on two threads."""
    step, vectors = dense_step(512 if quick else 1024, "6")
    one, two = FastLayer(step, threads=1), FastLayer(step, threads=2)
    single = best(lambda: one.accumulate(vectors), time.perf_counter)
    double = best(lambda: two.accumulate(vectors), time.perf_counter)
    name = "two threads against one, wall time"
    return [
        {
            "work": name,
            "ours_s": double,
            "theirs_s": single,
            "ratio": single / double,
            "goal": ">= 1.8",
        }
    ]


def growth(quick: bool) -> list[Row]:
    """Work a CPU second over four sizes of a layer: conversions executed, and weights mapped."""
    rows = []
    for size in (128, 256, 512) if quick else (128, 256, 512, 1024):
        step, vectors = dense_step(size, "6")
        work = partial(FastLayer(step, threads=1).accumulate, vectors)
        count = executed(step, len(vectors))
        seconds = best(work, time.process_time)
        name = f"growth: executed conversions of a layer {size}x{size}"
        rows.append({"work": name, "ours_per_s": count / seconds, "goal": "even"})
    for size in (512, 1024) if quick else (512, 1024, 2048, 4096):
        seconds = best(partial(dense_step, size, "lossless"), time.process_time, 3)
        name = f"growth: weights of a layer {size}x{size} mapped"
        rows.append({"work": name, "ours_per_s": size * size / seconds, "goal": "even"})
    return rows


def compiling(quick: bool) -> list[Row]:
    """CPU seconds and peak memory of compile, verify and report, each in its own process."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        nets.resnet18(place / "resnet18.onnx")
        goals = {"compile": "<= 2 s, 0.9 GB", "verify": "<= compile", "report": ""}
        jobs = [("resnet18", 11_700_000, goals)]
        for name in () if quick else ("resnet50", "vgg19"):
            model = place / f"{name}.onnx"
            weights = fill.fill(fill.light_model(name), model, 0)
            goals = {"compile": "<= 9 s, 0.9 GB", "verify": "<= compile", "report": "<= 0.7 s"}
            jobs.append((name, weights, goals if name == "vgg19" else {}))
        for name, weights, goals in jobs:
            rows += _commands(place / f"{name}.onnx", weights, goals)
    return rows


_RUN_AND_TELL = """
import re, sys, time
from xbarc.cli import main
code = main(sys.argv[1:])
status = open("/proc/self/status").read()
peak = re.search(r"VmHWM:\\s+(\\d+) kB", status).group(1)
print(time.process_time(), peak, file=sys.stderr)
sys.exit(code)
"""
# The child tells both itself: what the parent's accounting calls the child's peak starts with the
# parent's own.


def _commands(model: Path, weights: int, goals: dict[str, str]) -> list[Row]:
    """A row per command, start-up included; each runs twice, since the first may compile loops."""
    output = model.with_suffix(".xbar")
    asked = {"compile": (str(model), "-o", str(output)), "verify": (str(output),)}
    rows = []
    for name, arguments in {**asked, "report": (str(output),)}.items():
        command = [sys.executable, "-c", _RUN_AND_TELL, name, *arguments]
        done = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in "12"]
        told = [run.stderr.split()[-2:] for run in done]
        rows.append(
            {
                "work": f"{name} {model.stem}, {weights:,} weights, CPU s",
                "ours_s": min(float(seconds) for seconds, _ in told),
                "peak_GB": int(told[-1][1]) * 1024 / 1e9,
                "goal": goals.get(name, ""),
            }
        )
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    rows[0]["bytes_a_weight"] = size / weights
    return rows


def help_text(_: bool) -> list[Row]:
    """Seconds of `xbarc --help`."""
    command = [sys.executable, "-m", "xbarc", "--help"]
    work = lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
    return [{"work": "xbarc --help", "ours_s": best(work, time.perf_counter), "goal": "<= 0.3"}]


BENCHMARKS = {
    "saturating": saturating_layer,
    "lossless": lossless_layer,
    "network": network,
    "chip": chip,
    "threads": threads,
    "growth": growth,
    "compile": compiling,
    "help": help_text,
}


COLUMNS = {
    "ours_per_s": "xbarc, per CPU s",
    "theirs_per_s": "other, per CPU s",
    "ours_s": "xbarc, s",
    "theirs_s": "other, s",
    "ratio": "ratio",
    "peak_GB": "peak GB",
    "bytes_a_weight": "bytes per weight",
}


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value / 1e6:,.4g} M" if value >= 1e5 else f"{value:,.3g}"


def _line(row: Row) -> str:
    shown = ", ".join(f"{name} {_number(row[key])}" for key, name in COLUMNS.items() if key in row)
    return f"{row['work']}: {shown}  [goal: {row['goal'] or 'none'}]"


def machine() -> dict[str, str]:
    """Processor, versions and date, without which no figure means anything."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = (line for line in info.read_text().splitlines() if line.startswith("model name"))
        cpu = next(lines, cpu).partition(":")[2].strip() or cpu
    versions = {name: version(name) for name in ("xbarc", "numpy", "numba", "onnxruntime")}
    date = time.strftime("%Y-%m-%d")
    return {"processor": cpu, "python": platform.python_version(), **versions, "date": date}


def markdown(rows: list[Row], facts: dict[str, str]) -> str:
    """The results as a table for the docs."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items())
    heads = ["work", *COLUMNS.values(), "goal"]
    lines = [f"{told}.", "", "| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        cells = [row["work"], *(_number(row.get(key)) for key in COLUMNS), row["goal"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the benchmarks named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, []])
    parser.add_argument("--json", type=Path, help="write rows, machine and versions here")
    parser.add_argument("--markdown", type=Path, help="write them as a table here")
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.names or BENCHMARKS:
        for row in BENCHMARKS[name](arguments.quick):
            print(_line(row), flush=True)
            rows.append(row)
    facts = machine()
    if arguments.json:
        text = json.dumps({**facts, "rows": rows}, indent=1) + "\n"
        arguments.json.write_text(text, encoding="utf-8")
    if arguments.markdown:
        arguments.markdown.write_text(markdown(rows, facts), encoding="utf-8")


if __name__ == "__main__":
    main()
