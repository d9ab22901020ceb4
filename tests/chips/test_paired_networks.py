"""Gains and offsets that are fitted to layers as they are executed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.builders import float_result, int_layer, mapped, program_of, small_target
from xbarc.chips.paired_networks import AccumulatorMoments, Pairing
from xbarc.chips.program_fit import FitOptions, fit_program
from xbarc.circuit import Chip, Effects
from xbarc.executor.run import Executor
from xbarc.ir.network import Value
from xbarc.ir.program import Program
from xbarc.ir.quantizers import StaticInput
from xbarc.mapping.place.layer import cells_of

LINES = Effects(frozenset({"lines"}), converters=False)


def _program(zero_point: int = 0) -> Program:
    target = small_target(
        array__rows=16, array__columns=32, array__active_rows=16, wires__bitline__value=150.0
    )
    weights = np.random.default_rng(0).integers(-100, 101, (1, 12, 5))
    layer = int_layer(weights, result=float_result(5, 1e-4))
    layer = replace(layer, quantizer=StaticInput(8, 0.01, zero_point))
    program = program_of([mapped(layer, target)], target, (None, 12))
    return replace(
        program,
        inputs=(Value("x", "float32", (None, 12)),),
        outputs=(Value(program.outputs[0].name, "float32", None),),
    )


def _feeds(count: int = 300) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"x": rng.uniform(-1, 1, (count, 12)).astype(np.float32)}


def test_levels_of_the_program_itself_need_no_factor() -> None:
    program = _program()
    step = program.crossbar_steps[0]
    found = Pairing(program, _feeds()).sums(step, step, cells_of(step))
    assert np.array_equal(found.wanted_found, found.found_found)
    assert np.allclose(found.slopes, 1)


def test_slopes_are_those_of_a_regression() -> None:
    program = _program()
    step = program.crossbar_steps[0]
    levels = Chip(program, LINES).levels(step)
    sums = Pairing(program, _feeds()).sums(step, step, levels)
    wired = np.asarray(Executor(program, chip=Chip(program, LINES)).run(_feeds())[0])
    plain = np.asarray(Executor(program).run(_feeds())[0])
    for output in range(5):
        slope = np.polyfit(wired[:, output], plain[:, output], 1)[0]
        assert sums.slopes[0, output] == pytest.approx(slope, rel=1e-4)


def test_what_does_not_vary_keeps_its_factor() -> None:
    ones = np.ones((1, 3))
    flat = AccumulatorMoments(wanted=2 * ones, found=ones, wanted_found=2 * ones, found_found=ones)
    assert (flat.slopes == 1).all()


@pytest.mark.parametrize("zero_point", [0, 100])
@pytest.mark.parametrize("kind", ["gain", "outputs", "predistort,gain"])
def test_zero_points_do_not_spoil_a_factor(kind: str, zero_point: int) -> None:
    """The codes of zeros go onto the wordlines, and wires take their share of them too."""
    program = _program(zero_point)
    compensations = frozenset(kind.split(","))
    fitted = fit_program(program, _feeds(), FitOptions("none", compensations, LINES)).program
    test = {"x": np.random.default_rng(2).uniform(-1, 1, (200, 12)).astype(np.float32)}
    if not zero_point:
        test = {"x": abs(test["x"])}
    plain = np.asarray(Executor(program).run(test)[0])

    def far(other: Program) -> float:
        found = np.asarray(Executor(other, chip=Chip(other, LINES)).run(test)[0])
        return float(np.square(found - plain).sum() / np.square(plain).sum())

    assert far(fitted) < {"gain": 0.25, "outputs": 0.1}.get(kind, 0.05) * far(program)
