"""ResNet-20 in one process: as compiled, and on chips whose cells deviate."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import nets
import numpy as np
import onnxruntime
from timing import Row, compare, take_turns

from xbarc.circuit import Chip, Effects
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import AnalogLayer, Executor, chip_layer
from xbarc.ir import Program

_IMAGES_A_CPU_SECOND = "images per CPU s"


def pictures(count: int) -> Any:
    """Images of 3 x 32 x 32."""
    rng = np.random.default_rng(1)
    return np.abs(rng.standard_normal((count, 3, 32, 32), dtype=np.float32))


@contextmanager
def resnet20() -> Iterator[Path]:
    """The net's file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet20.onnx"
        nets.resnet20(path)
        yield path


def float_session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """ONNX Runtime as it comes, all optimisations on; 0 leaves threads to it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options)


def compile_resnet20(path: Path, encoding: str = "differential", adc: str = "lossless") -> Program:
    """The net with static ranges of 8 bits."""
    options = CompileOptions(encoding=encoding, adc=adc)
    return compile_model(path, options=options, calibration={"x": pictures(16)})


def network(quick: bool) -> Iterator[Row]:
    """Images per CPU second, by encoding and converters, against ONNX Runtime on the float net."""
    goals = {"lossless": ">= 450", "calibrated:6": ">= 110", "6": ">= 130"}
    with resnet20() as path:
        plain = float_session(path, 1)
        for adc, goal in goals.items():
            images = 64 if adc == "lossless" and not quick else 16
            x = pictures(images)
            for encoding in ("offset", "differential"):
                executor = Executor(compile_resnet20(path, encoding, adc), threads=1)
                works = {
                    "ours": partial(executor.run, {"x": x}),
                    "theirs": partial(plain.run, None, {"x": x}),
                }
                times = take_turns(works, 9 if adc == "lossless" else 5)
                yield compare(
                    f"ResNet-20, {encoding}, ADC {adc}, batch {images}",
                    *(times["ours"], times["theirs"]),
                    peer="ONNX Runtime, float, optimised",
                    unit=_IMAGES_A_CPU_SECOND,
                    amount=images,
                    goal=goal,
                )
        yield _wall(path)


def _wall(path: Path) -> Row:
    """As people call both, all threads."""
    x = pictures(64)
    executor, plain = Executor(compile_resnet20(path)), float_session(path, 0)
    ours, theirs = [], []
    for number in range(8):
        for found, run in (
            (ours, partial(executor.run, {"x": x})),
            (theirs, partial(plain.run, None, {"x": x})),
        ):
            start = time.perf_counter()
            run()
            if number:
                found.append(time.perf_counter() - start)
    return compare(
        "ResNet-20, differential, lossless, batch 64, all threads",
        *(ours, theirs),
        peer="ONNX Runtime, float, as it comes",
        unit="images per wall s",
        amount=64,
    )


def chip(quick: bool) -> Iterator[Row]:
    """ResNet-20 on a chip, images per CPU second: variation, noise, and without converters."""
    images = 4 if quick else 16
    x = pictures(images)
    with resnet20() as path:
        program = compile_resnet20(path)
    for kinds, goal in (("variation", ">= 30"), ("variation,noise", ">= 15")):
        sample = Chip(program, Effects(frozenset(kinds.split(","))))
        ours, theirs = (Executor(program, threads=1, chip=sample) for _ in range(2))
        for step in program.crossbar_steps:
            noise = getattr(chip_layer(sample, step, threads=1), "noise", None)
            plain = AnalogLayer(step, sample.levels(step), noise, 1, by_tables=False)
            theirs.runner.prepare(step, plain)
        works = {"ours": partial(ours.run, {"x": x}), "theirs": partial(theirs.run, {"x": x})}
        times = take_turns(works, 3)
        yield compare(
            f"ResNet-20 on a chip, {kinds.replace(',', ' and ')}, batch {images}",
            *(times["ours"], times["theirs"]),
            peer="the definition, products in floats",
            unit=_IMAGES_A_CPU_SECOND,
            amount=images,
            goal=goal,
        )
    yield _ideal_converters(program)


def _ideal_converters(program: Program) -> Row:
    effects = Effects(frozenset({"variation"}), converters=False)
    x = pictures(64)
    ideal = Executor(program, threads=1, chip=Chip(program, effects))
    plain = Executor(program, threads=1)
    works = {"ours": partial(ideal.run, {"x": x}), "theirs": partial(plain.run, {"x": x})}
    times = take_turns(works, 7)
    return compare(
        "ResNet-20 on a chip, variation, ideal converters, batch 64",
        *(times["ours"], times["theirs"]),
        peer="xbarc, lossless, cells ideal",
        unit=_IMAGES_A_CPU_SECOND,
        amount=64,
        goal=">= 280",
    )
