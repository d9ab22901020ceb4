"""Orders are searched with the compensations that follow; what is worse than leaving it is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import float_result, int_layer, mapped, small_target
from tests.frontend.onnx_models import model_file
from xbarc.chips.judgement import ASKED, Judge, hold_back, is_less
from xbarc.chips.program_fit import FitOptions, fit_program, replace_step
from xbarc.chips.responses import divergence, some_images
from xbarc.circuit import Chip, Effects
from xbarc.compiler import compile_model
from xbarc.executor.run import Executor
from xbarc.ir.network import Value
from xbarc.ir.program import Program
from xbarc.ir.quantizers import FloatResult
from xbarc.mapping.place.layer import exchangeable_rows

LINES = Effects(frozenset({"lines"}), converters=False)
GRAPH = """
two (float[N, 12] x) => (float[N, 5] y) {
    a = Gemm(x, w, b)
    r = Relu(a)
    y = Gemm(r, v, c)
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """Two layers with large biases, which stay digital: what wires take changes answers."""
    rng = np.random.default_rng(0)
    shapes = {"w": (12, 24), "b": (24,), "v": (24, 5), "c": (5,)}
    arrays: dict[str, Any] = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    path = model_file(tmp_path_factory.mktemp("two"), GRAPH, **arrays)
    target = small_target(
        array__rows=32, array__columns=64, array__active_rows=32, wires__bitline__value=150.0
    )
    return compile_model(path, target, calibration=_data())


def _data(seed: int = 1, count: int = 96) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"x": rng.normal(size=(count, 12)).astype(np.float32)}


def _divergence(plain: Program, program: Program, data: dict[str, Any]) -> float:
    found = np.asarray(Executor(program, chip=Chip(program, LINES)).run(data)[0])
    return divergence(np.asarray(Executor(plain).run(data)[0], dtype=np.float64), found)


def _fit(program: Program, placement: str, *compensations: str) -> Any:
    chosen = FitOptions(placement, frozenset(compensations), LINES, swaps=1, judged=False)
    return fit_program(program, _data(), chosen)


@pytest.mark.parametrize("compensations", [(), ("gain",), ("outputs",)])
def test_orders_are_judged_with_the_corrections_that_follow(
    program: Program, compensations: tuple[str, ...]
) -> None:
    """What the search took an order for is what the corrected program does."""
    images = some_images(_data(), 64, 256)
    found = _fit(program, "optimal", *compensations)
    before = _divergence(program, _fit(program, "none", *compensations).program, images)
    after = _divergence(program, found.program, images)
    near = 0.3 if "outputs" in compensations else 0.02  # expected from moments, then executed
    assert found.searched.before == pytest.approx(before, rel=near)
    assert found.searched.after == pytest.approx(after, rel=near)
    assert after <= before * 1.05
    if compensations:
        assert before < 0.8 * _divergence(program, program, images)


def test_what_held_back_samples_show_to_be_worse_is_left(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(placed: Any, *_: Any) -> tuple[Any, float]:
        factor = np.linspace(-1, 1, len(placed.result.scale)).astype(np.float32)
        return replace(placed, result=replace(placed.result, scale=factor)), 1.0

    monkeypatch.setattr("xbarc.chips.program_fit.compensate_layer", spoilt)
    found = fit_program(program, _data(), FitOptions("rows", frozenset({"gain"}), LINES))
    settings = dict(found.program.settings)
    assert settings["compensate"].startswith("none (gain: worse on 24 held-back samples)")
    assert found.judgement is not None
    assert found.judgement.divergence[found.judgement.kept] <= found.judgement.divergence[ASKED]
    pairs = zip(found.program.crossbar_steps, program.crossbar_steps, strict=True)
    assert all(np.array_equal(a.result.scale, b.result.scale) for a, b in pairs)  # type: ignore[union-attr]
    told = found.as_json()["judgement"]
    assert told["samples"] == 24


def test_one_spoilt_layer_is_left_alone(program: Program) -> None:
    first, second = program.crossbar_steps
    good = _fit(program, "none", "gain").program
    assert isinstance(second.result, FloatResult)
    result = replace(second.result, scale=second.result.scale[::-1].copy())
    asked = replace_step(good, replace(second, result=result))
    mixed = Judge(program, _data(5), LINES).mix_layers([asked, good])
    assert mixed.crossbar_steps[0] is good.crossbar_steps[0]
    assert mixed.crossbar_steps[1] is good.crossbar_steps[1]
    assert first is program.crossbar_steps[0]


def test_an_order_that_changes_nothing_is_said(program: Program) -> None:
    placed = _fit(program, "heaviest").program
    assert dict(placed.settings)["placement"] == "heaviest"
    again = _fit(placed, "heaviest").program
    assert dict(again.settings)["placement"] == "heaviest (changed nothing)"


def test_what_judges_was_not_fitted_to(program: Program) -> None:
    data = {**_data(count=40), "labels": np.arange(40)}
    fitting, judging = hold_back(program, data)
    assert len(fitting["x"]) == len(fitting["labels"]) == 30
    assert sorted(judging) == ["x"]
    assert np.array_equal(np.concatenate([fitting["x"], judging["x"]]), data["x"])
    assert len(hold_back(program, _data(count=4000))[1]["x"]) == 128
    fixed = replace(program, inputs=(Value("x", "float32", (8, 12)),))
    assert len(hold_back(fixed, _data(count=96))[1]["x"]) == 24
    assert len(hold_back(fixed, _data(count=40))[1]["x"]) == 8
    few, none = hold_back(program, _data(count=31))
    assert (len(few["x"]), none) == (31, {})


def test_a_difference_within_its_noise_is_none() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(64)
    noisy = before + rng.normal(size=64)
    assert not is_less(before, before)
    assert not is_less(before * 0.995, before)
    assert is_less(before * 0.9, before)
    assert not is_less(noisy - noisy.mean() + before.mean() - 0.05, before)
    assert not is_less(np.full(64, np.inf), before)
    assert is_less(before, np.full(64, np.inf))


def test_outputs_that_are_no_scores_are_not_judged(tmp_path: Path) -> None:
    """One number for all samples cannot be held against the plain program's, sample by sample."""
    graph = """
    one (float[N, 12] x) => (float s) {
        y = MatMul(x, w)
        s = ReduceSum <keepdims = 0> (y)
    }
    """
    weights = np.random.default_rng(3).normal(size=(12, 4)).astype(np.float32)
    path = model_file(tmp_path, graph, w=weights)
    program = compile_model(path, small_target(), calibration=_data())
    found = fit_program(program, _data(), FitOptions("none", frozenset({"gain"}), LINES))
    assert found.judgement is None
    assert dict(found.program.settings)["compensate"] == "gain"


def test_converters_set_from_data_keep_their_rows() -> None:
    """Rows do not leave the segment whose sums the settings were made for."""
    target = small_target(array__rows=16, array__columns=64, array__active_rows=16)
    weights = np.random.default_rng(0).integers(-100, 101, (1, 48, 5))
    step = mapped(int_layer(weights, result=float_result(5, 1e-4)), target)
    assert exchangeable_rows(step) == [(0, 48)]
    assert step.adc.bits.shape[1] == 3
    calibrated = replace(step, adc=replace(step.adc, policy="calibrated:4"))
    assert exchangeable_rows(calibrated) == [(0, 16), (16, 32), (32, 48)]
    one = {name: getattr(step.adc, name)[:, :1] for name in ("bits", "lo", "step")}
    same_setting = replace(step, adc=replace(calibrated.adc, **one))
    assert exchangeable_rows(same_setting) == [(0, 48)]
