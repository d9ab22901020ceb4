"""What every encoding must keep, one check each; `check_encoding` runs all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor import Engine, Executor, PlainLayer
from xbarc.ir import (
    CrossbarStep,
    Dense,
    Geometry,
    IntegerInput,
    Program,
    Scatter,
    Trace,
    Window,
    effective_weights,
    is_lossless,
    load_program,
    save_program,
    verify_program,
)
from xbarc.mapping import Encoding, load_encoding
from xbarc.numerics import AnyArray
from xbarc.options import Method
from xbarc.report import collect
from xbarc.testing.cases import Case, int_layer, mapped, program_of, small_target

ENGINES: tuple[Engine, ...] = ("fast", "reference")
_FEW_COLUMNS = "neighbouring columns"
_WIDE_SUMS = "the ADC of rram128 has 16"
_NARROW_ADC = ("1", "3", "6")
# Sums of some hundred float64 terms, in another order: relative error below 1e-13.
_ROUNDING = 1e-12
_SUMMED = {
    "cells": 0.0,
    "conversions": 0.0,
    "area_mm2": _ROUNDING,
    "energy_uj": _ROUNDING,
    "latency_us": 1e-6,  # times of schedules are whole picoseconds
}
"""Totals that add up over layers, and the share by which rounding may part them."""


class ConformanceError(AssertionError):
    """A method does not keep what its protocol promises."""


def require(holds: bool, message: str) -> None:
    """Raise where a promise is broken.

    Raises:
        ConformanceError: it does not hold.
    """
    if not holds:
        raise ConformanceError(message)


def map_case(case: Case) -> CrossbarStep | None:
    """The case on crossbars; None where its array is too small for any such encoding."""
    try:
        return mapped(case.layer, case.target, **case.options)
    except MappingError as error:
        # The only refusals that an encoding may earn by the case alone: an array narrower than one
        # weight, and sums beyond the widest ADC.
        if _FEW_COLUMNS in str(error) or _WIDE_SUMS in str(error):
            return None
        raise ConformanceError(f"{case}: refused: {error}") from error


def check_product(case: Case) -> None:
    """A lossless layer equals the plain integer product, whatever its geometry; both engines.

    Raises:
        ConformanceError: it does not.
    """
    step = map_case(case)
    if step is None:
        return
    weights = case.layer.weight.tensor.load()
    require(np.array_equal(effective_weights(step), weights), f"{case}: cells mean other weights")
    # Checked by the cells, not by what the encoding claims of them.
    require(is_lossless(step), f"{case}: converters do not cover every sum")
    wanted = PlainLayer(case.layer).run(case.tensor, {})
    for engine in ENGINES:
        found, _ = _run(_program(step, case), case, engine)
        require(np.array_equal(found, wanted), f"{case}: {engine} gives another product")


def check_engines(case: Case) -> None:
    """Both engines give the same bits and counts, also where converters saturate.

    Raises:
        ConformanceError: they do not.
    """
    for adc in _NARROW_ADC:
        step = map_case(replace(case, options={**case.options, "adc": adc}))
        if step is not None:
            program = _program(step, case)
            (fast, seen), (reference, counted) = (_run(program, case, one) for one in ENGINES)
            require(np.array_equal(fast, reference), f"{case}: engines differ at --adc {adc}")
            require(seen == counted, f"{case}: engines count {seen} and {counted} at --adc {adc}")


def check_files(case: Case, folder: Path) -> None:
    """A program is sound, and the same after saving and loading; mapping again gives its bytes.

    Raises:
        ConformanceError: it is not.
    """
    # Twice from the start: a set that is walked, or a clock, shows as differing bytes.
    steps = [map_case(case), map_case(case)]
    if steps[0] is None or steps[1] is None:
        return
    programs = [_program(step, case) for step in steps if step is not None]
    for name, program in zip("ab", programs, strict=True):
        save_program(program, folder / f"{name}.xbar", {})
    first, again = (
        {
            file.name: file.read_bytes()
            for file in (folder / f"{name}.xbar").iterdir()
            if file.is_file()
        }
        for name in "ab"
    )
    require(first == again, f"{case}: mapped twice, the bytes differ")
    loaded = load_program(folder / "a.xbar")
    verify_program(loaded)
    before, after = (_run(one, case, "fast")[0] for one in (programs[0], loaded))
    require(np.array_equal(before, after), f"{case}: loaded, it gives another product")


def check_report(encoding: str | Method) -> None:
    """Totals of the report are the sums of its rows.

    Raises:
        ConformanceError: they are not.
    """
    target = small_target(array__rows=8, array__active_rows=4, array__columns=16)
    weights = np.random.default_rng(0).integers(-128, 128, (1, 19, 7))
    layer = replace(int_layer(weights), input_shape=(1, 19))
    step = mapped(layer, target, encoding=encoding)
    report = collect(program_of([step], target, [1, 19]))
    totals, rows = report.totals, report.layers
    for name, slack in _SUMMED.items():
        total, parts = getattr(totals, name), [getattr(row, name) for row in rows]
        if total is None or not math.isclose(total, math.fsum(parts), rel_tol=slack):
            raise ConformanceError(f"{step.encoding}: {name} is {total}, its rows {parts}")
    require(totals.cells == step.cells.count, f"{step.encoding}: cells of the report differ")


def check_encoding(encoding: str | Method, cases: int = 20) -> None:
    """Run every check on extremes, every geometry and seeded random layers.

    Args:
        encoding: an object, or a name.
        cases: random layers, beside the fixed ones.

    Raises:
        ConformanceError: a promise is broken.
        MappingError: it lacks methods.
    """
    loaded = load_encoding(encoding)
    every = [*edge_cases(loaded).values(), *_random_cases(loaded, cases)]
    for case in every:
        check_product(case)
        check_engines(case)
        with TemporaryDirectory() as folder:
            check_files(case, Path(folder))
    check_report(loaded)


def edge_cases(encoding: Encoding) -> dict[str, Case]:
    """Weights at their limits, and a layer of every geometry."""
    few, wide = -128, np.random.default_rng(1).integers(-128, 128, (1, 21, 11))
    holed = wide.copy()
    holed[:, 3], holed[:, :, 4] = 0, 0
    low = wide.copy()
    # -128 has no counterpart in 8 bits: magnitudes that are kept in 7 read it back as 0.
    low[:, 5], low[:, :, 2] = few, few
    dense = {
        "one element": np.full((1, 1, 1), few),
        "least everywhere": np.full((1, 9, 5), few),
        "most everywhere": np.full((1, 9, 5), 127),
        "zero everywhere": np.zeros((1, 9, 5), dtype=np.int64),
        "one input": wide[:, :1],
        "one output": wide[:, :, :1],
        "zero row and column": holed,
        "least row and column": low,
        "only positive": np.abs(wide) % 128,
        "random": wide,
    }
    found = {name: _case(encoding, weights, Dense(), (2,)) for name, weights in dense.items()}
    # Strides and dilations that differ by axis, and pads by side: an axis that is swapped shows.
    pair = ((3, 3), (2, 1), (1, 2))
    window = Window(*pair, (1, 0, 2, 1), "explicit")
    scatter = Scatter((2, 2), (2, 1), (1, 1), (0,) * 4, (0, 0))
    shape = (2, 7, 6)
    rng = np.random.default_rng(2)
    for groups in (1, 3):
        kernel = rng.integers(-128, 128, (groups, 2 * 9, 4))
        found[f"convolution, {groups} groups"] = _case(encoding, kernel, window, shape)
        spread = rng.integers(-128, 128, (groups, 2, 3 * 4))
        found[f"transposed, {groups} groups"] = _case(encoding, spread, scatter, shape)
    depthwise = rng.integers(-128, 128, (5, 9, 1))
    found["depthwise"] = _case(encoding, depthwise, window, shape)
    return found


def _case(
    encoding: Encoding, weights: AnyArray, geometry: Geometry, shape: tuple[int, ...]
) -> Case:
    """Small arrays, so that layers are cut; the first axis of the shape is the batch."""
    groups, inputs, _ = weights.shape
    taps = math.prod(geometry.kernel) if isinstance(geometry, Window) else 1
    channels = groups * inputs // taps
    # A zero point other than 0, so that borders and constants carry a code.
    layer = int_layer(weights, geometry=geometry, quantizer=IntegerInput(0, 8, 3))
    sizes = (shape[0], channels, *shape[1:])
    tensor = np.random.default_rng(3).integers(0, 256, sizes).astype(np.uint8)
    target = small_target(array__rows=8, array__active_rows=5, array__columns=14)
    return Case(layer, tensor, target, {"encoding": encoding})


def _random_cases(encoding: Encoding, count: int) -> Iterator[Case]:
    for seed in range(count):
        rng = np.random.default_rng(seed)
        shape = (int(rng.integers(1, 2)), int(rng.integers(1, 40)), int(rng.integers(1, 12)))
        bits, cell_bits = int(rng.integers(2, 9)), int(rng.integers(1, 9))
        low = -(1 << (bits - 1))
        weights = rng.integers(low, -low, shape)
        rows = int(rng.choice([1, 3, 8, 64]))
        target = small_target(
            array__rows=rows,
            array__active_rows=int(rng.integers(1, rows + 1)),
            array__columns=int(rng.choice([3, 7, 40])),
            cell__bits=cell_bits,
            input__dac_bits=int(rng.integers(1, 9)),
        )
        layer = int_layer(weights, weight_bits=bits)
        tensor = rng.integers(0, 256, (3, shape[1])).astype(np.uint8)
        yield Case(layer, tensor, target, {"encoding": encoding})


def _program(step: CrossbarStep, case: Case) -> Program:
    program = program_of([step], case.target, [None] * case.tensor.ndim)
    verify_program(program)
    return program


def _run(program: Program, case: Case, engine: Engine) -> tuple[AnyArray, tuple[int, int]]:
    """The layer's accumulators, and the conversions made and saturated."""
    trace = Trace()
    values = {"x": case.tensor}
    step = program.crossbar_steps[0]
    Executor(program, engine).runner.run(step, values, trace)
    seen = trace.layer(step.name)
    return values["y"], (seen.conversions, seen.saturated)
