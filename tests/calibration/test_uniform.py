"""Equalisation and one range for all layers, from the model to the program."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import small_target
from tests.frontend.onnx_models import model_file
from xbarc.cli import main
from xbarc.compiler import CompileOptions, compile_model
from xbarc.errors import MappingError
from xbarc.evaluate import evaluate, self_check
from xbarc.executor.run import Executor
from xbarc.ir.files import load_program, save_program
from xbarc.ir.program import CrossbarStep, Program, Step
from xbarc.ir.quantizers import FloatResult, StaticInput
from xbarc.ir.verify import broken_rules
from xbarc.numerics.types import AnyArray

GRAPH = """net (float[N,3,8,8] x) => (float[N,5] y) {
    a = Conv <pads = [1,1,1,1]> (x, w1, b1)
    b = Relu (a)
    c = Conv <pads = [1,1,1,1], strides = [2,2]> (b, w2, b2)
    d = Relu (c)
    e = Flatten (d)
    y = Gemm (e, w3, b3)
}"""


def _model(folder: Path) -> Path:
    """A net whose channels have very different ranges."""
    rng = np.random.default_rng(0)
    skew = np.exp(rng.normal(scale=1.5, size=8))
    w1 = rng.normal(size=(8, 3, 3, 3)) * skew[:, None, None, None]
    w2 = rng.normal(size=(6, 8, 3, 3)) / skew[None, :, None, None] / 8
    arrays: dict[str, Any] = {
        "w1": w1,
        "b1": rng.normal(size=8) * skew,
        "w2": w2,
        "b2": rng.normal(size=6),
        "w3": rng.normal(size=(96, 5)) / 8,
        "b3": rng.normal(size=5),
    }
    single: dict[str, Any] = {name: array.astype(np.float32) for name, array in arrays.items()}
    return model_file(folder, GRAPH, **single)


def _data(count: int = 48, seed: int = 1) -> dict[str, AnyArray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.uniform(size=(count, 3, 8, 8)).astype(np.float32)}


def _options(**more: object) -> CompileOptions:
    plain = CompileOptions(weight_bits=4, activation_bits=6, encoding="differential-analog")
    return plain.changed(**more)


TARGET: dict[str, Any] = {
    "array__rows": 64,
    "array__active_rows": 64,
    "input__dac_bits": 6,
    "adc__max_bits": 8,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _model(tmp_path_factory.mktemp("uniform"))


@pytest.fixture(scope="module")
def program(model: Path) -> Program:
    target = small_target(**TARGET)
    return compile_model(model, target, options=_options(uniform=True), calibration=_data())


def test_every_layer_has_the_same_converter(program: Program) -> None:
    settings = {
        (int(step.adc.lo.item()), int(step.adc.step.item()), int(step.adc.bits.item()))
        for step in program.crossbar_steps
    }
    assert len(settings) == 1
    assert settings.pop()[2] == 8


def _product(step: CrossbarStep) -> float:
    """Real value of one step of the accumulators."""
    assert isinstance(step.quantizer, StaticInput)
    assert isinstance(step.result, FloatResult)
    return step.quantizer.scale * float(step.result.scale[0])


def test_steps_differ_at_the_borders_only(program: Program) -> None:
    """Inside, one accumulator step for all outputs of all layers, and one input step."""
    first, inner, last = program.crossbar_steps
    sources = [step.quantizer for step in (first, inner, last)]
    assert all(isinstance(source, StaticInput) for source in sources)
    assert sources[1] == sources[2]
    for step in (first, inner, last):
        assert isinstance(step.result, FloatResult)
        assert np.unique(step.result.scale).size == 1
    one = [_product(step) for step in (first, inner)]
    assert one[0] == pytest.approx(one[1], rel=1e-5)


def test_the_program_is_sound_and_survives_files(program: Program, tmp_path: Path) -> None:
    assert not list(broken_rules(program))
    assert not list(self_check(program))
    save_program(program, tmp_path / "net.xbar")
    again = load_program(tmp_path / "net.xbar")
    for old, new in zip(program.crossbar_steps, again.crossbar_steps, strict=True):
        assert old.equalised is not None
        assert new.equalised is not None
        assert np.array_equal(old.equalised, new.equalised)
    feeds = _data(5, seed=9)
    assert np.array_equal(Executor(program).run(feeds)[0], Executor(again).run(feeds)[0])


def test_channels_beat_layers_beat_nothing(model: Path) -> None:
    target = small_target(**TARGET)
    found = []
    for share in ("none", "layer", "channel"):
        options = _options(uniform=True, equalise=share)
        made = compile_model(model, target, options=options, calibration=_data())
        found.append(evaluate(made, _data(100, seed=5), model).output_sqnr_db or 0.0)
    assert found[0] < found[1] < found[2]


def test_layers_are_compared_in_the_model_s_own_units(program: Program, model: Path) -> None:
    """Without taking equalisation back, these layers would be far off."""
    result = evaluate(program, _data(20, seed=5), model)
    assert all((layer.sqnr_db or 0) > 8 for layer in result.layers)
    steps: list[Step] = [
        replace(step, equalised=None) if isinstance(step, CrossbarStep) else step
        for step in program.steps
    ]
    bare = replace(program, steps=tuple(steps))
    assert min(layer.sqnr_db or 0 for layer in evaluate(bare, _data(20, seed=5), model).layers) < 3


@pytest.mark.parametrize("calibrated", [False, True])
def test_equalisation_alone_keeps_own_ranges(model: Path, calibrated: bool) -> None:
    target = small_target(input__dac_bits=6)
    data = _data() if calibrated else None
    plain = compile_model(model, target, options=_options(), calibration=data)
    scaled = compile_model(model, target, options=_options(equalise="channel"), calibration=data)
    before = evaluate(plain, _data(100, seed=5), model).output_sqnr_db or 0.0
    after = evaluate(scaled, _data(100, seed=5), model).output_sqnr_db or 0.0
    assert after > before
    assert all(step.equalised is not None for step in scaled.crossbar_steps)


def test_the_target_may_ask_for_one_range(model: Path) -> None:
    target = small_target(**TARGET, precision__uniform="true")
    made = compile_model(model, target, options=_options(), calibration=_data())
    assert "one_converter" in dict(made.settings)
    own = compile_model(
        model, small_target(precision__uniform="true"), options=_options(uniform=False)
    )
    assert "one_converter" not in dict(own.settings)


def test_one_range_needs_data(model: Path) -> None:
    with pytest.raises(MappingError, match="chosen from data") as caught:
        compile_model(model, small_target(**TARGET), options=_options(uniform=True))
    assert "--calibrate" in caught.value.hint


def test_integers_cannot_share_a_range(tmp_path: Path) -> None:
    graph = """net (uint8[2,4] x) => (int32[2,3] y) { y = MatMulInteger (x, w) }"""
    path = model_file(tmp_path, graph, w=np.ones((4, 3), np.int8))
    data = {"x": np.ones((2, 4), np.uint8)}
    with pytest.raises(MappingError, match="cannot share a range"):
        compile_model(
            path, small_target(**TARGET), options=_options(uniform=True), calibration=data
        )


@pytest.mark.parametrize("more", [{"equalise": "rows"}, {"uniform": True}])
def test_options_that_do_not_exist(model: Path, more: dict[str, object]) -> None:
    with pytest.raises(MappingError):
        compile_model(model, small_target(), options=_options(adc="worst-case", **more))


def test_a_factor_that_is_not_positive_breaks_a_rule(program: Program) -> None:
    first = program.crossbar_steps[0]
    assert first.equalised is not None
    wrong = replace(first, equalised=first.equalised * 0)
    steps = tuple(wrong if step is first else step for step in program.steps)
    assert [name for name, _ in broken_rules(replace(program, steps=steps))] == ["result_shapes"]


def test_the_command_line(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, data = tmp_path / "net.xbar", tmp_path / "data.npz"
    np.savez(data, **_data())  # type: ignore[arg-type]  # its stub takes allow_pickle for a name
    arguments = ["compile", str(model), "-o", str(out), "--uniform", "--weight-bits", "4"]
    arguments += ["--set", "input.dac_bits=6", "--activation-bits", "6", "--feedback", "off"]
    assert main(arguments) == 2
    assert "--calibrate" in capsys.readouterr().err
    assert main([*arguments, "--calibrate", str(data), "--equalise", "layer"]) == 0
    assert "one_converter" in dict(load_program(out).settings)
    assert main(["verify", str(out)]) == 0
