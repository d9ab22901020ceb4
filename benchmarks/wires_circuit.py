"""Time and error of the circuit itself, for `benchmarks/wires.py`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from tests.models.places import MODELS, fashion_labelled, fashion_test
from xbarc.circuit import Chip, Effects
from xbarc.circuit.direct import direct_conductance
from xbarc.circuit.lines import (
    TOLERANCE,
    LineModel,
    effective_conductance,
    solve_by_elimination,
    solve_by_sweeps,
)
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor.run import Executor
from xbarc.ir.program import Program
from xbarc.target import load_target

_REPEATS = 5
_GATED = ((3.0, 1.0), (12.0, 4.0))
_IMAGES = 500
_DIRECT = 128


def cells_of(kind: str, size: int, seed: int = 0) -> Any:
    """Siemens; `log` lies between 10 k and 1 M ohm, `uniform` between 1 and 100 uS."""
    rng = np.random.default_rng(seed)
    if kind == "log":
        return 1e-4 * 10 ** -rng.uniform(0, 2, (size, size))
    if kind == "uniform":
        return rng.uniform(1e-6, 1e-4, (size, size))
    return np.full((size, size), 1e-4)


def seconds(work: Callable[[], Any], repeats: int = _REPEATS) -> float:
    """Median of CPU seconds, after a first run that is not counted."""
    work()
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return median(found)


def matrix() -> dict[str, Any]:
    """Effective matrices of single arrays, and of several."""
    lines = LineModel(1.0, 1.0)
    rows = [
        _matrix_row(cells_of(kind, size), lines, kind)
        for size in (64, 128, 256)
        for kind in ("log", "uniform", "full")
    ]
    many = np.stack([cells_of("log", 128, seed) for seed in range(16)])
    each = [
        seconds(lambda n=n: [solve_by_elimination(one, lines, 1) for one in many[:n]], 3) / n
        for n in (1, 4, 16)
    ]
    return {"rows": rows, "arrays": [1, 4, 16], "seconds_each": each, **_badcrossbar()}


def _matrix_row(cells: Any, lines: LineModel, kind: str) -> dict[str, Any]:
    found = solve_by_elimination(cells, lines, 1)
    small = len(cells) <= _DIRECT
    tight = solve_by_sweeps(cells, lines, 1e-13, 1, 1.0)
    return {
        "size": len(cells),
        "kind": kind,
        "seconds": seconds(lambda: solve_by_elimination(cells, lines, 1)),
        "sweeps_seconds": seconds(lambda: solve_by_sweeps(cells, lines, TOLERANCE, 1, 1.0)),
        "direct_seconds": seconds(lambda: direct_conductance(cells, lines), 1) if small else None,
        "error": float((abs(found - tight) / tight).max()),
    }


def _badcrossbar() -> dict[str, Any]:
    try:
        import badcrossbar  # noqa: PLC0415  # optional
    except ImportError:
        return {}
    cells = cells_of("log", 64)[:, :40]
    start = time.process_time()
    solved = badcrossbar.compute(np.eye(64), 1 / cells, r_i_word_line=3.0, r_i_bit_line=1.0)
    spent = time.process_time() - start
    wanted = np.asarray(solved.currents.output)
    lines = LineModel(3.0, 1.0)
    found = effective_conductance(cells, lines)
    return {
        "badcrossbar_error": float((abs(found - wanted) / wanted).max()),
        "badcrossbar_seconds": spent,
        "own_seconds": seconds(lambda: solve_by_elimination(cells, lines, 1)),
    }


def gated() -> dict[str, Any]:
    """Rows that are cut off while they read 0: column currents against the circuit without them."""
    rows = []
    for word, bit in _GATED:
        for share in (0.1, 0.3, 0.5):
            lines = LineModel(word, bit, 10.0, 10.0)
            rows.append({"wordline": word, "bitline": bit, "share": share, **_gated(lines, share)})
    return {"rows": rows}


def _gated(lines: LineModel, share: float) -> dict[str, float]:
    """Mean and largest error of a column current, relative to the ideal one."""
    cells, rng = cells_of("uniform", 64), np.random.default_rng(1)
    driven = effective_conductance(cells, lines)
    modelled = effective_conductance(cells, lines, active=share)
    errors: dict[str, list[Any]] = {"ideal": [], "driven": [], "gated": []}
    for _ in range(6):
        on = rng.random(len(cells)) < share
        true = on @ effective_conductance(np.where(on[:, None], cells, 0.0), lines)
        scale = on @ cells
        for name, matrix_ in (("ideal", cells), ("driven", driven), ("gated", modelled)):
            errors[name].append(abs(on @ matrix_ - true) / scale)
    found = {name: np.array(values) for name, values in errors.items()}
    means = {f"{name}_mean": float(values.mean()) for name, values in found.items()}
    return {**means, **{f"{name}_largest": float(v.max()) for name, v in found.items()}}


def speed() -> dict[str, Any]:
    """The VGG-like net with wires: preparing its arrays, and running beside ideal wires."""
    program = compile_model(
        MODELS / "fashion-vgg.onnx",
        load_target("rram128"),
        options=CompileOptions(weight_bits=8, activation_bits=8),
        calibration=fashion_labelled(256),
    )
    effects = Effects(frozenset({"lines"}))
    chip = Chip(program, effects)
    start = time.process_time()
    for step in program.crossbar_steps:
        chip.levels(step)
    prepared = time.process_time() - start
    images = {"image": fashion_test()["image"][:_IMAGES]}
    return {
        "arrays": program.arrays,
        "prepare_seconds": prepared,
        "images": _IMAGES,
        "wired_seconds": _run(program, chip, images),
        "ideal_seconds": _run(program, Chip(_ideal(program), effects), images),
        "exact_seconds": _run(program, None, images),
    }


def _ideal(program: Program) -> Program:
    """The same cells behind wires without resistance."""
    wires = program.target.wires
    parts = {
        name: getattr(wires, name).model_copy(update={"value": 0.0})
        for name in type(wires).model_fields
    }
    target = program.target.model_copy(update={"wires": wires.model_copy(update=parts)})
    return replace(program, target=target)


def _run(program: Program, chip: Chip | None, images: dict[str, Any]) -> float:
    """CPU seconds of all images, cells and kernels prepared."""
    executor = Executor(program, chip=chip)
    return seconds(lambda: executor.run(images), 1)


SECTIONS = {"matrix": matrix, "gated": gated, "speed": speed}
