"""Binary networks from ONNX to bits: exact where one array holds a layer, refused where it must."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.binary_models import (
    SIGNS,
    bnn_target,
    both,
    compiled,
    conv_net,
    dense_net,
    pm_one,
    senses,
)
from tests.frontend.onnx_models import model_file
from xbarc.api import CompiledProgram
from xbarc.chips.program_fit import FitOptions, fit_program
from xbarc.chips.sensitivity import gather_moments
from xbarc.compiler import CompileOptions, compile_model
from xbarc.encoding_comparison import NoiseSettings, compare
from xbarc.errors import MappingError, UnsupportedError
from xbarc.evaluate import evaluate, self_check
from xbarc.executor import Executor
from xbarc.instruments.operands import operand_statistics
from xbarc.instruments.samples import input_vectors
from xbarc.ir.files import load_program, save_program
from xbarc.ir.quantizers import SignResult
from xbarc.ir.text import program_text
from xbarc.numerics.types import AnyArray
from xbarc.report import collect
from xbarc.target import load_target


def _noise(*shape: int, seed: int = 1) -> AnyArray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("sign", SIGNS)
def test_one_group_equals_the_model_in_every_notation(sign: str, tmp_path: Path) -> None:
    path = dense_net(tmp_path, sign)
    program = compiled(path, bnn_target(64))
    assert [step.name for step in senses(program)] == ["MatMul:a1", "MatMul:a2"]
    for found, wanted in both(path, program, ["y"], b0=_noise(200, 20)):
        assert np.array_equal(found, wanted)
    assert not list(self_check(program))


@pytest.mark.parametrize("pool_last", [False, True])
@pytest.mark.parametrize(("channels", "pads"), [(4, 1), (3, 1), (5, 2), (4, 0)])
def test_zero_padding_and_pools_are_exact(
    channels: int, pads: int, pool_last: bool, tmp_path: Path
) -> None:
    path = conv_net(tmp_path, channels, pool_last, pads)
    program = compiled(path, bnn_target(256))
    (step,) = senses(program)
    wordlines = 4 if channels % 2 and pads else 2
    assert step.cells.shape[1] == wordlines * channels * 9
    for found, wanted in both(path, program, ["y"], x=_noise(20, channels, 6, 6)):
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("rows", ["complementary", "zero-one"])
def test_split_layers_give_the_same_bits_in_both_engines(rows: str, tmp_path: Path) -> None:
    path = dense_net(tmp_path)
    data = {"b0": _noise(300, 20)}
    program = compiled(path, bnn_target(10), data, sense_rows=rows, sense_bits=2)
    both(path, program, ["y"], b0=_noise(50, 20, seed=3))
    assert not list(self_check(program))
    assert all(step.sense is not None and step.sense.levels == 3 for step in senses(program))


def test_zero_one_rows_are_exact(tmp_path: Path) -> None:
    path = dense_net(tmp_path)
    program = compiled(path, bnn_target(24), sense_rows="zero-one")
    for found, wanted in both(path, program, ["y"], b0=_noise(100, 20)):
        assert np.array_equal(found, wanted)


def test_calibration_lowers_the_wrong_bits(tmp_path: Path) -> None:
    path = dense_net(tmp_path, inputs=40)
    target, data, test = bnn_target(16), {"b0": _noise(2000, 40)}, {"b0": _noise(2000, 40, seed=9)}
    equal = {}
    for thresholds in ("even", "mean", "calibrated"):
        program = compiled(path, target, data, thresholds=thresholds)
        result = evaluate(program, test, path)
        equal[thresholds] = np.mean([layer.agreement or 0 for layer in result.layers])
    assert equal["even"] < equal["mean"] <= equal["calibrated"] + 0.005
    assert equal["calibrated"] > equal["even"] + 0.01


def test_the_classifier_is_fitted_to_a_split_network(tmp_path: Path) -> None:
    path = dense_net(tmp_path, inputs=40)
    data, test = {"b0": _noise(2000, 40)}, {"b0": _noise(2000, 40, seed=9)}
    plain, fitted = (compiled(path, bnn_target(16), data, refit=r) for r in (False, True))
    assert not any("classifier fitted" in note for s in plain.digital_steps for note in s.notes)
    assert any("classifier fitted" in note for s in fitted.digital_steps for note in s.notes)
    before, after = (evaluate(p, test, path) for p in (plain, fitted))
    assert [layer.agreement for layer in before.layers] == [x.agreement for x in after.layers]
    assert before.output_sqnr_db is not None
    assert after.output_sqnr_db is not None
    assert after.output_sqnr_db > before.output_sqnr_db


def test_a_network_in_one_array_keeps_its_classifier(tmp_path: Path) -> None:
    path = dense_net(tmp_path)
    program = compiled(path, bnn_target(48), {"b0": _noise(300, 20)})
    for found, wanted in both(path, program, ["y"], b0=_noise(100, 20, seed=3)):
        assert np.array_equal(found, wanted)


def test_more_groups_tell_more(tmp_path: Path) -> None:
    path = dense_net(tmp_path, inputs=40)
    data, test = {"b0": _noise(2000, 40)}, {"b0": _noise(2000, 40, seed=9)}
    agreement = []
    for extra in (0.0, 1.0):
        program = compiled(path, bnn_target(20), data, extra_groups=extra, refit=False)
        assert not list(self_check(program))
        assert [len(s.tiling.segment_bounds) - 1 for s in senses(program)] == (
            [4, 3] if not extra else [8, 6]
        )
        result = evaluate(program, test, path)
        agreement.append(np.mean([layer.agreement or 0 for layer in result.layers]))
    assert agreement[1] > agreement[0] + 0.02
    with pytest.raises(MappingError, match="expected 0 to 8"):
        compiled(path, bnn_target(20), data, extra_groups=9.0)


@pytest.mark.parametrize(("columns", "levels"), [(24, [1, 1]), (40, [1, 2]), (80, [3, 3])])
def test_spare_columns_compare_again(columns: int, levels: list[int], tmp_path: Path) -> None:
    path = dense_net(tmp_path, inputs=40)  # 24 and 16 outputs
    program = compiled(path, bnn_target(20, columns), spare_columns=True)
    assert [step.sense.levels for step in program.crossbar_steps if step.sense] == levels
    whole = compiled(path, bnn_target(80, columns), spare_columns=True)  # nothing is split
    assert [step.sense.levels for step in whole.crossbar_steps if step.sense] == [1, 1]


def test_every_comparison_is_paid_for(tmp_path: Path) -> None:
    path = dense_net(tmp_path, inputs=40)
    for bits in (1, 2):
        report = CompiledProgram(compiled(path, bnn_target(20), sense_bits=bits)).report()
        paid = [
            part.count
            for part in report.components.energy
            if part.name == "ADC of 1 bit, bits decided"
        ]
        assert paid == [report.totals.conversions]


def test_converters_take_binary_layers_exactly(tmp_path: Path) -> None:
    nets = (
        (dense_net, {"b0": _noise(50, 20)}),
        (conv_net, {"x": _noise(10, 4, 6, 6)}),
    )
    for make, feeds in nets:
        path = make(tmp_path)
        program = compile_model(path, "rram128")
        binary = [s for s in program.crossbar_steps if isinstance(s.result, SignResult)]
        assert binary
        names = [s.output for s in binary if not s.output.endswith("/bits")] or ["f"]
        for found, wanted in both(path, program, names, **feeds):
            assert np.array_equal(found, wanted)


def test_programs_survive_the_disk(tmp_path: Path) -> None:
    program = compiled(conv_net(tmp_path), bnn_target(32), {"x": _noise(30, 4, 6, 6)})
    save_program(program, tmp_path / "a.xbar")
    again = load_program(tmp_path / "a.xbar")
    assert program_text(again) == program_text(program)
    assert "1 comparison per conversion" in program_text(again)


TIE = """net (float[N, 4] x) => (float[N, 2] y) {
    s = Sign (x) a = MatMul (s, w) t = Sign (a) y = MatMul (t, v) }"""


def _tie_net(folder: Path) -> Path:
    weights = np.array([[1, -1], [1, 1], [1, 1], [-1, 1]], np.float32)
    return model_file(folder, TIE, w=weights, v=_noise(2, 2))


def test_sign_of_zero_is_what_the_user_says(tmp_path: Path) -> None:
    path = _tie_net(tmp_path)
    with pytest.raises(UnsupportedError, match="a sum of 0 in output 0 makes Sign"):
        compiled(path, bnn_target())
    x = np.array([[1, 1, -1, 1], [1, 1, 1, -1]], np.float32)  # sums 0 and 0, 4 and 0
    for side, value in (("plus", 1), ("minus", -1)):
        program = compiled(path, bnn_target(), sign_of_zero=side)
        ((found, wanted),) = both(path, program, ["t"], x=x)
        assert np.array_equal(wanted == 0, [[True, True], [False, True]])
        assert np.array_equal(found, np.where(wanted == 0, value, wanted))


def test_converters_keep_the_sign_of_zero(tmp_path: Path) -> None:
    path = _tie_net(tmp_path)
    x = np.sign(_noise(40, 4))
    for found, wanted in both(path, compile_model(path, "rram128"), ["t"], x=x):
        assert np.array_equal(found, wanted)


def test_converters_keep_zeros_that_a_sign_of_numbers_gives(tmp_path: Path) -> None:
    """Five inputs of +1 and -1 never add up to 0; with one of them 0 they can."""
    graph = """net (float[N, 5] x) => (float[N, 2] y) {
        r = Relu (x) s = Sign (r) a = MatMul (s, w) t = Sign (a) y = MatMul (t, v) }"""
    path = model_file(tmp_path, graph, w=np.sign(_noise(5, 3)), v=_noise(3, 2))
    program = compile_model(path, "rram128")
    found, wanted = both(path, program, ["t"], x=_noise(200, 5))[0]
    assert 0 < np.mean(wanted == 0) < 1
    assert np.array_equal(found, wanted)


def test_a_threshold_gives_no_zero_to_the_next_layer(tmp_path: Path) -> None:
    graph = """net (float[N, 8] x) => (float[N, 2] y) {
        s = Sign (x) a = MatMul (s, w) b = Add (a, h) t = Sign (b)
        c = MatMul (t, u) d = Sign (c) y = MatMul (d, v) }"""
    first, second = np.sign(_noise(8, 5)), np.sign(_noise(5, 3, seed=2))
    half = np.full(5, 0.5, np.float32)
    path = model_file(tmp_path, graph, w=first, h=half, u=second, v=_noise(3, 2))
    program = compile_model(path, "rram128")
    results = [type(step.result) for step in program.crossbar_steps]
    assert results[:2] == [SignResult, SignResult]
    for found, wanted in both(path, program, ["t", "d"], x=np.round(_noise(200, 8))):
        assert np.array_equal(found, wanted)


def test_comparators_tell_what_a_zero_does(tmp_path: Path) -> None:
    path = dense_net(tmp_path)
    for side, told in (("onnx", True), ("plus", False)):
        program = compiled(path, bnn_target(64), sign_of_zero=side)
        said = [note for note in collect(program).notes if note.startswith("Layer MatMul:a1")]
        assert bool(said) is told


def test_ternary_weights_only_when_asked_for(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = rng.choice(np.array([-1, 0, 1], np.float32), (9, 5))
    offset = np.full(5, 0.5, np.float32)
    graph = """net (float[N, 9] x) => (float[N, 5] y) {
        s = Sign (x) a = MatMul (s, w) b = Add (a, h) t = Sign (b) y = MatMul (t, v) }"""
    path = model_file(tmp_path, graph, w=weights, h=offset, v=rng.random((5, 5), np.float32))
    with pytest.raises(UnsupportedError, match="weights are 0"):
        compiled(path, bnn_target())
    program = compiled(path, bnn_target(), allow_ternary=True)
    for found, wanted in both(path, program, ["t"], x=_noise(60, 9)):
        assert np.array_equal(found, wanted)


def test_refusals_give_numbers(tmp_path: Path) -> None:
    path = dense_net(tmp_path)
    with pytest.raises(MappingError, match="an input needs 2 wordlines, the array drives 1"):
        compiled(path, bnn_target(1))
    with pytest.raises(MappingError, match="has 20 inputs, an array takes 8"):
        compiled(path, bnn_target(16), split={"MatMul:a1": np.zeros(20, int)})


def test_networks_without_binary_layers_are_refused(tmp_path: Path) -> None:
    graph = "net (float[N, 2] x) => (float[N, 2] y) { y = MatMul (x, w) }"
    with pytest.raises(MappingError, match="none of the 1 matrix operators is binary"):
        compile_model(model_file(tmp_path, graph, w=_noise(2, 2)), "bnn128")


def test_there_are_no_converters_to_calibrate(tmp_path: Path) -> None:
    options = CompileOptions(encoding="differential", adc="calibrated:4")
    with pytest.raises(MappingError, match="has no converters"):
        compile_model(dense_net(tmp_path), bnn_target(), options=options)


@pytest.mark.parametrize("placement", ["heaviest", "srs", "drs", "rows", "optimal"])
def test_placement_changes_no_bit(tmp_path: Path, placement: str) -> None:
    """Also where a binary layer feeds another one, whose inputs cannot be a little weaker."""
    rng = np.random.default_rng(3)
    path = model_file(
        tmp_path,
        """net (float[N, 21] x) => (float[N, 3] y) {
        s = Sign (x) a = MatMul (s, w1) t = Sign (a) b = MatMul (t, w2) u = Sign (b)
        y = MatMul (u, w3) }""",
        w1=pm_one(rng, 21, 9),
        w2=pm_one(rng, 9, 6),
        w3=rng.normal(size=(6, 3)).astype(np.float32),
    )
    data = {"x": rng.normal(size=(64, 21)).astype(np.float32)}
    program = compiled(path, bnn_target(16, 16), data)
    placed = fit_program(program, data, FitOptions(placement)).program
    assert np.array_equal(Executor(placed).run(data)[0], Executor(program).run(data)[0])


def test_operands_of_layers_behind_comparisons_are_those_that_run(tmp_path: Path) -> None:
    """Every layer is watched in the engine that executes it, comparisons too."""
    program = compiled(dense_net(tmp_path), bnn_target(16, 16))
    data, steps = {"b0": _noise(60, 20)}, program.crossbar_steps
    tensors = Executor(program).run(data, [step.input for step in steps])
    seen, moments = operand_statistics(program, [data]), gather_moments(program, data)
    assert len(steps) == 2
    for step, tensor in zip(steps, tensors, strict=True):
        codes = np.concatenate(list(input_vectors(step, {step.input: tensor})))
        assert np.allclose(seen[step.name].driven[0], (codes & 1).mean(axis=0))
        assert np.allclose(moments[step.name].mean, codes.mean(axis=0))


def test_encodings_are_compared_where_converters_read(tmp_path: Path) -> None:
    """Thresholds stay where no gain can act; on sense amplifiers there is no encoding at all."""
    path, data = dense_net(tmp_path), {"b0": _noise(60, 20)}
    target = load_target("rram128")
    noise = NoiseSettings(0.05, seeds=1)
    found = compare(path, target, ["differential"], data, calibration=data, noise=noise)
    blind, refitted, *_ = found.rows[0].noise
    assert (blind.variant, refitted.variant) == ("blind", "refitted")
    assert blind.agreement is not None
    assert refitted.agreement is not None
    assert refitted.agreement.mean > 0.8
    assert refitted.agreement.mean >= blind.agreement.mean - 0.05
    with pytest.raises(MappingError, match="no layer has an encoding"):
        compare(path, bnn_target(), ["differential"], data)
