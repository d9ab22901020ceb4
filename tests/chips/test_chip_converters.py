"""Converters from data are set on the sums that wires and compensations leave."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import float_result, int_layer, mapped, small_target
from tests.frontend.onnx_models import model_file
from xbarc.calibration.cells import ChipCells, IdealCells
from xbarc.chips.chip_converters import ConverterCalibration, ConverterSetter
from xbarc.chips.program_fit import replace_step
from xbarc.chips.selection import ON_CHIP, ON_IDEAL_CELLS
from xbarc.circuit import Chip, Effects
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor.run import Executor
from xbarc.instruments.chip_sums import ChipSums
from xbarc.instruments.column_sums import SumCounter
from xbarc.ir.program import CrossbarStep, Program
from xbarc.mapping.converter_savings.grouping import order_columns
from xbarc.mapping.place.permute import permute_columns
from xbarc.options import ColumnRule
from xbarc.target import load_target

LINES = Effects(frozenset({"lines"}))
GRAPH = """
two (float[N, 48] x) => (float[N, 5] y) {
    a = Gemm(x, w, b)
    r = Relu(a)
    y = Gemm(r, v, c)
}
"""
SETTINGS = (
    "array.rows=64",
    "array.columns=64",
    "array.active_rows=64",
    "cell.bits=4",
    f"cell.conductance.values={[50 * level / 15 for level in range(16)]}",
    "input.dac_bits=4",
    "adc.max_bits=16",
    "wires.wordline.value=24.0",
    "wires.bitline.value=24.0",
)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    shapes = {"w": (48, 32), "b": (32,), "v": (32, 5), "c": (5,)}
    arrays: dict[str, Any] = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    return model_file(tmp_path_factory.mktemp("two"), GRAPH, **arrays)


def _data(seed: int = 1, count: int = 240) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(count, 48)).astype(np.float32)}


def _compiled(net: Path, **options: Any) -> Program:
    asked = CompileOptions(feedback="off", weight_bits=5, **options)
    return compile_model(net, load_target("rram128", SETTINGS), options=asked, calibration=_data())


def _settings(program: Program) -> list[list[Any]]:
    return [
        [getattr(step.adc, name).tolist() for name in ("bits", "lo", "step")]
        for step in program.crossbar_steps
    ]


def _on_wires(program: Program) -> Any:
    return np.asarray(Executor(program, chip=Chip(program, LINES)).run(_data(5, 256))[0])


@pytest.mark.parametrize("options", [{"compensate": {"gain"}}, {"placement": "rows"}])
def test_converters_are_set_on_the_sums_of_the_fitted_program(
    net: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    right, fitted = ConverterSetter.on_chip, []

    def watched(reading: ConverterSetter, program: Program) -> Program:
        fitted.append((reading, program))
        return right(reading, program)

    monkeypatch.setattr(ConverterSetter, "on_chip", watched)
    found = _compiled(net, adc="calibrated:4", **options)
    assert dict(found.settings)["converters"] == ON_CHIP
    converters = ConverterCalibration(found.target, "calibrated:4", 4)
    seen = {name: array[:180] for name, array in _data().items()}  # the rest judges
    wired, ideal = (
        converters.set_on(converters.unset(found), seen, cells)
        for cells in (ChipCells(Chip(found, LINES)), IdealCells())
    )
    assert _settings(found)[0] == _settings(wired)[0]
    assert _settings(found)[0] != _settings(ideal)[0]
    reading, program = fitted[0]
    wanted, ours = _on_wires(program), _on_wires(found)
    others = _on_wires(reading.on_ideal_cells(program))
    assert ((ours - wanted) ** 2).mean() < 0.8 * ((others - wanted) ** 2).mean()


def test_converters_that_are_worse_on_the_chip_are_left(
    net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = ConverterSetter.on_chip

    def spoilt(reading: ConverterSetter, program: Program) -> Program:
        made = right(reading, program)
        for step in made.crossbar_steps:
            made = replace_step(made, replace(step, adc=replace(step.adc, step=step.adc.step * 9)))
        return made

    first = _compiled(net, adc="calibrated:4", compensate={"gain"})
    assert dict(first.settings)["converters"] == ON_CHIP
    monkeypatch.setattr(ConverterSetter, "on_chip", spoilt)
    monkeypatch.setattr("xbarc.chips.selection._try_omissions", lambda *_: {})
    found = _compiled(net, adc="calibrated:4", compensate={"gain"})
    told = dict(found.settings)["converters"]
    assert told == f"{ON_IDEAL_CELLS} ({ON_CHIP}: worse on 60 held-back samples)"
    assert _settings(found) != _settings(first)


def test_a_budget_keeps_its_bits(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only ranges and steps are set anew; every conversion takes its bits along."""
    given: dict[str, Any] = {}
    right = ConverterCalibration.kept_bits

    def watched(converters: ConverterCalibration, placed: CrossbarStep) -> Any:
        given.update(converters.allocated or {})
        return right(converters, placed)

    monkeypatch.setattr(ConverterCalibration, "kept_bits", watched)
    found = _compiled(net, adc_budget="20dB", placement="heaviest", compensate={"gain"})
    assert dict(found.settings)["converters"] == ON_CHIP
    for after in found.crossbar_steps:
        before = given[after.name]
        assert sorted(before.adc.bits.reshape(-1)) == sorted(after.adc.bits.reshape(-1))
        assert before.adc.bits.max() > 0
    first = found.crossbar_steps[0]
    assert not np.array_equal(given[first.name].adc.step, first.adc.step)


def test_bits_follow_their_columns() -> None:
    weights = np.random.default_rng(0).integers(-100, 101, (1, 20, 6))
    step = mapped(int_layer(weights, result=float_result(6, 1e-4)), small_target())
    bits = np.arange(step.conversions, dtype=np.uint8).reshape(1, 1, -1, 1)
    order = np.random.default_rng(1).permutation(step.cells.columns)
    given = replace(step, adc=replace(step.adc, bits=bits))
    placed = permute_columns(given, order)
    program = ConverterCalibration(small_target(), "budget", allocated={step.name: given})
    moved = program.kept_bits(replace(placed, adc=step.adc))
    assert moved.tolist() == placed.adc.bits.tolist()


@pytest.mark.parametrize("encoding", ["differential", "differential-analog", "acm", "bias-column"])
def test_sums_of_a_chip_without_effects_are_the_ideal_ones(encoding: str) -> None:
    rng = np.random.default_rng(2)
    weights = rng.integers(-100, 101, (2, 40, 5))
    layer = int_layer(weights, result=float_result(10, 1e-4))
    step = mapped(layer, small_target(), encoding=encoding)
    vectors = rng.integers(0, 1 << step.input_bits, (50, 2, 40)).astype(np.uint8)
    levels = step.cells.unpack((slice(None),)).astype(np.float64)
    ideal, wired = SumCounter(step), SumCounter(step, ChipSums(step, levels))
    found = []
    for observer in (ideal, wired):
        observer.take(1 << 40)
        product = observer.engine.accumulate(vectors)
        told = observer.statistics
        each = [
            dict(zip(told.sums[row > 0].tolist(), row[row > 0].tolist(), strict=True))
            for row in told.counts.reshape(-1, told.counts.shape[3])
        ]
        found.append((product.tolist(), each, told.vectors, told.width))
    assert found[0] == found[1]


def test_pairs_stay_neighbours_where_wires_count() -> None:
    weights = np.random.default_rng(3).integers(-100, 101, (1, 30, 4))
    target = small_target()
    step = mapped(int_layer(weights, result=float_result(4, 1e-4)), target)
    order = order_columns(step, target, ColumnRule(), shares="slice").order
    assert order is not None
    bitline, p = order[0, 0], step.periphery
    assert not np.array_equal(bitline, np.sort(bitline))
    exponent = np.abs(p.r_code[0, 0].astype(int))
    for output, place in product(range(step.outputs), np.unique(exponent)):
        pair = bitline[p.r_conversion[(p.r_output == output) & (exponent == place)]]
        assert np.ptp(pair) == 1
    by_line = exponent[np.argsort(bitline)]
    assert np.count_nonzero(np.diff(by_line)) == len(np.unique(exponent)) - 1


@pytest.mark.parametrize("encoding", ["acm", "segmented:4"])
def test_chains_stay_in_their_order_where_wires_count(encoding: str) -> None:
    weights = np.random.default_rng(3).integers(-100, 101, (1, 30, 4))
    layer = int_layer(weights, result=float_result(4, 1e-4))
    step = mapped(layer, small_target(), encoding=encoding)
    assert order_columns(step, small_target(), ColumnRule(), shares="slice").order is None
