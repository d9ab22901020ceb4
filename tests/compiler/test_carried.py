"""Networks exported with their mapping: compiled again to the same cells, or mapped anew."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from safetensors.numpy import load, save

import xbarc
from tests.binary_models import bnn_target, conv_net, dense_net
from tests.cost.converters.test_cost_laws import Same
from tests.frontend.onnx_models import model_file
from tests.fuzz.forgeries import EXTREMES, leaves, put
from xbarc.cost.converters.cost_law import law_origin
from xbarc.errors import InputError, ModelError, XbarcError
from xbarc.ir import CARRIED_KEY, CrossbarStep, Program, effective_weights, verify_program
from xbarc.mapping import adc_settings, encoding_names
from xbarc.numerics import AnyArray, pack_cells
from xbarc.oracle import Oracle
from xbarc.target import Target, load_target

RNG = np.random.default_rng(0)


def _real(*shape: int) -> AnyArray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32) / 3


NETS: dict[str, tuple[str, dict[str, Any]]] = {
    "mlp": (
        """net (float[N, 12] x) => (float[N, 4] y) {
        a = Gemm <transB = 1> (x, w, c) b = Relu (a) y = MatMul (b, v) }""",
        {"w": _real(10, 12), "c": _real(10), "v": _real(10, 4)},
    ),
    "vgg": (
        """net (float[N, 2, 8, 8] x) => (float[N, 4] y) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w, c) b = Relu (a)
        p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (b)
        d = Conv <pads = [1, 1, 1, 1], auto_pad = "NOTSET"> (p, v) e = Relu (d)
        g = GlobalAveragePool (e) f = Flatten (g) y = MatMul (f, u) }""",
        {"w": _real(5, 2, 3, 3), "c": _real(5), "v": _real(6, 5, 3, 3), "u": _real(6, 4)},
    ),
    "residual": (
        """net (float[N, 3, 6, 6] x) => (float[N, 3, 3, 3] y, float[N, 3, 6, 6] h) {
        a = Conv <pads = [1, 1, 1, 1]> (x, w) b = Relu (a)
        d = Conv <pads = [1, 1, 1, 1]> (b, v) h = Add (d, x)
        y = Conv <strides = [2, 2]> (h, u) }""",
        {"w": _real(4, 3, 3, 3), "v": _real(3, 4, 3, 3), "u": _real(3, 3, 1, 1)},
    ),
    "depthwise": (
        """net (float[N, 4, 6, 6] x) => (float[N, 5, 6, 6] y) {
        a = Conv <group = 4, auto_pad = "SAME_UPPER"> (x, w) b = Clip (a, z, t)
        y = Conv (b, v) }""",
        {
            "w": _real(4, 1, 3, 3),
            "v": _real(5, 4, 1, 1),
            "z": np.zeros((), np.float32),
            "t": np.full((), 6, np.float32),
        },
    ),
    "one-d": (
        """net (float[N, 3, 20] x) => (float[N, 4] y) {
        a = Conv <strides = [2], dilations = [2]> (x, w) b = Relu (a)
        d = ReduceMean <axes = [2], keepdims = 0> (b) y = Gemm (d, v, c) }""",
        {"w": _real(6, 3, 3), "v": _real(6, 4), "c": _real(4)},
    ),
}
ADCS = ("lossless", "calibrated:1", "calibrated:2", "calibrated:3", "calibrated:4")


def _data(name: str) -> AnyArray:
    shapes = {"mlp": (12,), "vgg": (2, 8, 8), "residual": (3, 6, 6)}
    shapes |= {"depthwise": (4, 6, 6), "one-d": (3, 20)}
    return np.random.default_rng(3).normal(size=(24, *shapes[name])).astype(np.float32)


def _net(folder: Path, name: str) -> Path:
    text, arrays = NETS[name]
    return model_file(folder, text, **arrays)


def _digest(program: Program) -> str:
    found = hashlib.sha256()
    for step in program.crossbar_steps:
        found.update(step.cells.data.tobytes())
    return found.hexdigest()


def _with_any_cells(program: Program, seed: int) -> Program:
    """Random cells and scales, as after training; converters that follow from cells sized anew."""
    rng = np.random.default_rng(seed)

    def change(step: Any) -> Any:
        if not isinstance(step, CrossbarStep):
            return step
        cells = rng.integers(0, 1 << step.cells.bits, step.cells.shape).astype(np.uint8)
        step = replace(step, cells=pack_cells(cells, step.cells.bits), fit=None, choice=None)
        scale = step.result.scale * rng.normal(1, 0.1, step.result.scale.shape).astype(np.float32)
        step = replace(step, result=replace(step.result, scale=scale))
        if step.sense is None and step.adc.policy == "lossless":
            step = replace(step, adc=adc_settings(step, program.target, "lossless"))
        return step

    steps = tuple(change(step) for step in program.steps)
    made = replace(program, steps=steps, front=(), rows=())
    verify_program(made)
    return made


def _check_round_trip(
    folder: Path, program: Program, target: Target, feeds: dict[str, AnyArray]
) -> xbarc.CompiledProgram:
    first, second = folder / "first.onnx", folder / "second.onnx"
    made = xbarc.CompiledProgram(program)
    made.export(first)
    again = xbarc.compile(first, target)
    assert dict(again.program.settings)["carried_mapping"] == "taken"
    assert _digest(again.program) == _digest(program)
    for one, other in zip(
        made.session().run(None, feeds), again.session().run(None, feeds), strict=True
    ):
        assert np.array_equal(one, other)
    again.export(second)
    assert first.read_bytes() == second.read_bytes()
    Oracle(first).run(feeds)  # ONNX Runtime takes it
    return again


def _compile_and_check(folder: Path, net: str, encoding: str, adc: str) -> None:
    x = _data(net)
    # random cells make sums that the widest of the target's own converters does not hold
    target = load_target("rram128", ["adc.max_bits=16"])
    made = xbarc.compile(
        _net(folder, net),
        target,
        calibration={"x": x},
        encoding=encoding,
        adc=adc,
        range_analysis="structure",
    )
    _check_round_trip(folder, made.program, target, {"x": x})
    trained = _with_any_cells(made.program, len(encoding))
    _check_round_trip(folder, trained, target, {"x": x})


@pytest.mark.parametrize("number", range(len(encoding_names())))
def test_every_encoding_comes_back_with_its_cells(number: int, tmp_path: Path) -> None:
    nets = list(NETS)
    encoding, adc = encoding_names()[number], ADCS[number % len(ADCS)]
    _compile_and_check(tmp_path, nets[(number // len(ADCS) + number) % len(nets)], encoding, adc)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", encoding_names())
@pytest.mark.parametrize("net", NETS)
def test_every_net_encoding_and_converter_comes_back(
    net: str, encoding: str, tmp_path: Path
) -> None:
    for adc in ADCS:
        _compile_and_check(tmp_path, net, encoding, adc)


@pytest.mark.parametrize("make", [dense_net, conv_net])
@pytest.mark.parametrize("bits", [1, 2])
def test_comparisons_come_back(make: Callable[[Path], Path], bits: int, tmp_path: Path) -> None:
    shape = (40, 20) if make is dense_net else (30, 4, 6, 6)
    feeds = {"b0" if make is dense_net else "x": RNG.choice([-1.0, 1.0], shape).astype(np.float32)}
    target = bnn_target(10)
    made = xbarc.compile(make(tmp_path), target, calibration=feeds, sense_bits=bits)
    assert any(step.sense is not None for step in made.program.crossbar_steps)
    _check_round_trip(tmp_path, made.program, target, feeds)


@pytest.mark.parametrize(
    "options",
    [
        {"adc_savings": "all,rows"},
        {"placement": "srs", "adc": "calibrated:4"},
        {"encoding": "auto"},
        {"weight_slices": 1, "feedback": "on", "encoding": "acm"},
        {"prune": 0.5, "tile": "even"},
        {"equalise": "channel", "pack": "network"},
        {"range_analysis": "none", "activation_bits": 4},
        {"adc_budget": "20dB"},
        {"weight_bits": 12, "activation_bits": 12},
    ],
)
def test_whatever_was_asked_for_comes_back(options: dict[str, Any], tmp_path: Path) -> None:
    x = _data("mlp")
    target = load_target("rram128", ["array.rows=16", "array.columns=16", "array.active_rows=8"])
    made = xbarc.compile(_net(tmp_path, "mlp"), target, calibration={"x": x}, **options)
    _check_round_trip(tmp_path, made.program, target, {"x": x})


def test_ranges_of_run_time_and_shared_ranges_come_back(tmp_path: Path) -> None:
    x = _data("vgg")
    path, target = _net(tmp_path, "vgg"), load_target("rram128")
    made = xbarc.compile(path, target, shapes={"x": [1, 2, 8, 8]})
    _check_round_trip(tmp_path, made.program, target, {"x": x})
    target = load_target("iot4")
    made = xbarc.compile(path, target, calibration={"x": x})
    _check_round_trip(tmp_path, made.program, target, {"x": x})


def test_quantised_models_come_back(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """net (uint8[N, 6] x) => (uint8[N, 3] y, int32[N, 4] z) {
        b = QLinearMatMul (x, s, p, w, t, o, r, q) y = QLinearMatMul (b, r, q, v, t, o, s, p)
        z = MatMulInteger (x, u, p) }""",
        w=RNG.integers(-128, 128, (6, 5)).astype(np.int8),
        v=RNG.integers(-128, 128, (5, 3)).astype(np.int8),
        u=RNG.integers(-128, 128, (6, 4)).astype(np.int8),
        s=np.float32(0.02),
        p=np.uint8(3),
        t=np.float32(0.01),
        o=np.int8(0),
        r=np.float32(0.05),
        q=np.uint8(100),
    )
    x = RNG.integers(0, 256, (20, 6)).astype(np.uint8)
    made = xbarc.compile(path)
    again = _check_round_trip(tmp_path, made.program, load_target("rram128"), {"x": x})
    answers = again.session().run(None, {"x": x})
    found = dict(zip(("y", "z"), answers, strict=True))
    wanted = Oracle(tmp_path / "first.onnx").run({"x": x})
    for name, array in found.items():
        assert np.array_equal(array, wanted[name])


def test_a_constant_that_two_fragments_read_is_written_once(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """net (float[N, 4] x) => (float[N, 4] y) {
        k = Constant <value = float[4] {1.0, 2.0, 3.0, 4.0}> ()
        b = Max (x, k) c = Min (b, t) d = MatMul (c, w) e = Max (d, k) f = Min (e, t)
        g = MatMul (f, v) y = Max (g, k) }""",
        t=_real(4),
        w=_real(4, 4),
        v=_real(4, 4),
    )
    x = RNG.normal(size=(8, 4)).astype(np.float32)
    made = xbarc.compile(path, calibration={"x": x})
    assert len(made.program.digital_steps) == 3
    again = _check_round_trip(tmp_path, made.program, load_target("rram128"), {"x": x})
    models = [[s.model for s in p.program.digital_steps] for p in (made, again)]
    assert models[0] == models[1]
    names = [t.name for t in onnx.load(tmp_path / "first.onnx").graph.initializer]
    assert len(names) == len(set(names))


def test_old_opsets_are_written_in_newer_ones(tmp_path: Path) -> None:
    path = model_file(
        tmp_path,
        """net (float[N, 4] x) => (float[N, 3] y) {
        a = MatMul (x, w) b = Unsqueeze <axes = [2]> (a) c = Squeeze <axes = [2]> (b)
        d = Softmax (c) y = MatMul (d, v) }""",
        '<ir_version: 8, opset_import: ["": 11]>',
        w=_real(4, 5),
        v=_real(5, 3),
    )
    x = RNG.normal(size=(8, 4)).astype(np.float32)
    made = xbarc.compile(path, calibration={"x": x})
    _check_round_trip(tmp_path, made.program, load_target("rram128"), {"x": x})
    assert onnx.load(tmp_path / "first.onnx").opset_import[0].version == 13


# what the model carries, and what is asked for


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    made = xbarc.compile(
        _net(tmp_path, "mlp"), calibration={"x": _data("mlp")}, encoding="acm", adc="calibrated:3"
    )
    path = tmp_path / "exported.onnx"
    made.export(path)
    return path


@pytest.mark.parametrize("net", NETS)
def test_integers_and_answers_stay_without_the_metadata(net: str, tmp_path: Path) -> None:
    """Any tool may drop metadata: the graph alone holds all that lossless converters give."""
    x, target = {"x": _data(net)}, load_target("rram128", ["adc.max_bits=16"])
    made = xbarc.compile(_net(tmp_path, net), target, calibration=x, range_analysis="structure")
    for program in (made.program, _with_any_cells(made.program, 1)):
        path = tmp_path / "plain.onnx"
        xbarc.CompiledProgram(program).export(path)
        _edit(path, lambda model: model.metadata_props.pop())
        again = xbarc.compile(path, target)
        assert not _said(again)
        pairs = zip(program.crossbar_steps, again.program.crossbar_steps, strict=True)
        for one, other in pairs:
            assert np.array_equal(effective_weights(one), effective_weights(other))
        answers = xbarc.CompiledProgram(program).session().run(None, x)
        for old, new in zip(answers, again.session().run(None, x), strict=True):
            assert np.array_equal(old, new)


def _said(program: xbarc.CompiledProgram) -> str:
    return dict(program.program.settings).get("carried_mapping", "")


def test_options_that_say_the_same_are_no_other_wish(exported: Path) -> None:
    data = {"x": _data("mlp")}
    made = xbarc.compile(exported, calibration=data, encoding="acm", adc="calibrated:3")
    assert _said(made) == "taken"
    assert _said(xbarc.compile(exported, carried_mapping="require")) == "taken"


def test_a_default_that_is_typed_out_is_a_wish(exported: Path) -> None:
    made = xbarc.compile(exported, adc="lossless")
    assert _said(made) == "not taken: --adc asks for another one"
    assert {step.adc.policy for step in made.program.crossbar_steps} == {"lossless"}
    with pytest.raises(ModelError, match="--adc asks for another"):
        xbarc.compile(exported, adc="lossless", carried_mapping="require")
    # what was asked for with data is the same wish without
    same: dict[str, Any] = {"feedback": "auto", "ranges": "mse", "placement": "none"}
    assert _said(xbarc.compile(exported, tile="fill", refit=True, **same)) == "taken"


def test_an_export_never_takes_the_place_of_the_model_that_was_compiled(tmp_path: Path) -> None:
    path = _net(tmp_path, "mlp")
    before = path.read_bytes()
    made = xbarc.compile(path)
    with pytest.raises(InputError, match="would be lost"):
        made.export(path)
    assert path.read_bytes() == before
    other = tmp_path / "other.onnx"
    other.write_text("any other file may be replaced")
    made.export(other)
    xbarc.compile(other).export(other)  # the same bytes: nothing is lost
    assert _said(xbarc.compile(other)) == "taken"


def test_options_that_ask_for_another_mapping_get_it(exported: Path) -> None:
    made = xbarc.compile(exported, encoding="offset")
    assert _said(made) == "not taken: --encoding asks for another one"
    assert {step.encoding for step in made.program.crossbar_steps} == {"offset"}
    assert any("carries was not taken" in note for note in made.report().notes)
    with pytest.raises(ModelError, match="--encoding asks for another"):
        xbarc.compile(exported, encoding="offset", carried_mapping="require")
    made = xbarc.compile(exported, carried_mapping="ignore")
    assert not _said(made)
    assert {step.encoding for step in made.program.crossbar_steps} == {"differential"}


def test_how_a_program_is_counted_is_no_other_mapping(exported: Path, tmp_path: Path) -> None:
    plain = xbarc.compile(exported)
    law = Same(2.0, name="twice")
    made = xbarc.compile(exported, duplicate="balance", cost_law=law, carried_mapping="require")
    assert _said(made) == "taken"
    assert _digest(made.program) == _digest(plain.program)
    settings = dict(made.program.settings)
    assert settings["duplicate"] == "balance"
    assert settings["cost_law"] == law_origin(law)
    assert (made.report().totals.area_mm2 or 0) > (plain.report().totals.area_mm2 or 0)
    # what a model carries holds until something else is asked for
    made.export(tmp_path / "again.onnx")
    path = tmp_path / "again.onnx"
    kept = xbarc.compile(path, carried_mapping="require")
    none = xbarc.compile(path, duplicate="none", carried_mapping="require")
    assert dict(kept.program.settings)["duplicate"] == "balance"
    assert "duplicate" not in dict(none.program.settings)
    assert none.report().totals == plain.report().totals


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "auto"},
        {"adc_budget": "20dB"},
        {"adc_savings": "recode", "conversion_cost": "target"},
        {"adc_savings": "rows"},
    ],
)
def test_a_law_of_costs_is_another_wish_where_costs_chose_the_mapping(
    options: dict[str, Any], tmp_path: Path
) -> None:
    path, law = tmp_path / "made.onnx", Same(2.0, name="twice")
    made = xbarc.compile(_net(tmp_path, "mlp"), calibration={"x": _data("mlp")}, **options)
    made.export(path)
    assert _said(xbarc.compile(path, duplicate="balance")) == "taken"
    again = xbarc.compile(path, cost_law=law)
    assert _said(again) == "not taken: --cost-law asks for another one"


def test_other_hardware_is_mapped_anew(exported: Path) -> None:
    target = load_target("rram128", ["array.rows=64", "array.active_rows=64"])
    assert "rows 128, the target has 64" in _said(xbarc.compile(exported, target))
    # a price changes no cell
    cheaper = load_target("rram128", ["costs.router_energy=0.1"])
    assert _said(xbarc.compile(exported, cheaper)) == "taken"


def test_a_model_that_carries_none_is_refused_where_one_is_required(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="carries none"):
        xbarc.compile(_net(tmp_path, "mlp"), carried_mapping="require")


# models that were changed, and metadata that lie


def _edit(path: Path, change: Callable[[onnx.ModelProto], object]) -> Path:
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    return path


def _edit_text(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Change the JSON, and make its size and digest those of its arrays again."""

    def apply(model: onnx.ModelProto) -> None:
        data = json.loads(model.metadata_props[0].value)
        change(data)
        model.metadata_props[0].value = json.dumps(data)

    return _edit(path, apply)


def _edit_arrays(data: dict[str, Any], change: Callable[[dict[str, AnyArray]], object]) -> None:
    arrays = dict(load(zlib.decompress(base64.b64decode(data["packed"]))))
    change(arrays)
    plain = save(arrays)
    data["packed"] = base64.b64encode(zlib.compress(plain)).decode()
    data["size"], data["digest"] = len(plain), hashlib.sha256(plain).hexdigest()


def _tensor(model: onnx.ModelProto, name: str) -> Any:
    return next(t for t in model.graph.initializer if t.name.startswith(name))


def _add_one(model: onnx.ModelProto, name: str) -> None:
    tensor = _tensor(model, name)
    array = numpy_helper.to_array(tensor).copy()
    array.reshape(-1)[0] += 1
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _function() -> onnx.FunctionProto:
    node = onnx.helper.make_node("Neg", ["p"], ["q"])
    opset = [onnx.helper.make_opsetid("", 17)]
    return onnx.helper.make_function("my", "act", ["p"], ["q"], [node], opset)


def _other_node(model: onnx.ModelProto) -> None:
    next(n for n in model.graph.node if n.op_type == "Relu").op_type = "Abs"


def _flip_cell(data: dict[str, Any]) -> None:
    def change(arrays: dict[str, AnyArray]) -> None:
        name = next(n for n in sorted(arrays) if n.endswith(".cells"))
        arrays[name] = arrays[name].copy()
        arrays[name].reshape(-1)[0] ^= 1

    _edit_arrays(data, change)


def _weight_of(model: onnx.ModelProto) -> str:
    return str(next(t.name for t in model.graph.initializer if t.name.endswith("/weight")))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: _add_one(m, _weight_of(m)), "weight' differs"),
        (lambda m: _add_one(m, _weight_of(m) + "_scale"), "weight_scale' differs"),
        (lambda m: _add_one(m, _weight_of(m).replace("weight", "bias")), "bias' differs"),
        (lambda m: _add_one(m, _weight_of(m).replace("weight", "input_zero")), "input_zero'"),
        (_other_node, "operator"),
        (lambda m: setattr(m.opset_import[0], "version", 18), "opset 18 of ai.onnx"),
        (lambda m: m.functions.append(_function()), "function 'act' differs"),
        (lambda m: m.metadata_props.append(m.metadata_props[0]), "more than once"),
    ],
)
def test_a_changed_graph_is_compiled_as_it_is_now(
    change: Callable[[onnx.ModelProto], object], said: str, exported: Path
) -> None:
    path = _edit(exported, change)
    made = xbarc.compile(path)
    assert said in _said(made)
    anew = xbarc.compile(path, carried_mapping="ignore")
    assert _digest(made.program) == _digest(anew.program)
    with pytest.raises(ModelError, match="cannot be taken"):
        xbarc.compile(path, carried_mapping="require")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_flip_cell, "weight' differs"),
        (lambda d: d.update(format=2), "format"),
        (lambda d: d.update(more=1), "more"),
        (lambda d: d.pop("hardware"), "hardware"),
        (lambda d: d.update(packed=d["packed"][: len(d["packed"]) // 8 * 4]), "damaged"),
        (lambda d: d.update(packed="%%"), "damaged"),
        (lambda d: d.update(digest="0" * 64), "damaged"),
        (lambda d: d.update(size=1 << 60), "holds"),
        (lambda d: d.update(size=d["size"] - 1), "damaged"),
        (lambda d: d["steps"][0].update(input_bits=3), "input_chosen"),
        (lambda d: d["steps"][0].update(output="z"), "values_flow"),
        (lambda d: d.update(arrays=7), "arrays"),
        (lambda d: d["steps"].pop(), "values_flow"),
        (lambda d: d["settings"].append(["shapes", "x"]), "a setting that is none"),
        (lambda d: d["settings"].append(["duplicate", "\x1b[31m"]), "a setting that is none"),
        (lambda d: d["settings"].append(["fix_input", "[" * 5000]), "a setting that is none"),
        (lambda d: _edit_arrays(d, lambda a: a.pop(sorted(a)[0])), "lacks the array"),
        (lambda d: _edit_arrays(d, lambda a: a.update({"00000.cells": a["00000.cells"][:0]})), ""),
    ],
)
def test_a_mapping_that_lies_is_not_taken(
    change: Callable[[dict[str, Any]], object], said: str, exported: Path
) -> None:
    made = xbarc.compile(_edit_text(exported, change))
    assert _said(made).startswith("not taken")
    assert said in _said(made)


@pytest.mark.parametrize("text", ["", "{}", "[" * 5000, "null", '{"format": 1}', "\ud7ff"])
def test_text_that_is_no_mapping_is_not_taken(text: str, exported: Path) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.metadata_props[0].value = text

    assert _said(xbarc.compile(_edit(exported, change))).startswith("not taken")


def test_a_bomb_is_never_unpacked(exported: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        data["packed"] = base64.b64encode(zlib.compress(bytes(1 << 28))).decode()

    assert "damaged" in _said(xbarc.compile(_edit_text(exported, change)))


def test_no_extreme_anywhere_gives_a_wrong_program(exported: Path) -> None:
    """Every number of the text in turn: the program is the same, or the reason is said."""
    wanted = xbarc.compile(exported)
    model = onnx.load(exported)
    assert model.metadata_props[0].key == CARRIED_KEY
    plain = json.loads(model.metadata_props[0].value)
    x = {"x": _data("mlp")}
    answers = wanted.session().run(None, x)
    rng = np.random.default_rng(1)
    found = [path for path, _ in leaves(plain) if path[-1] != "packed"]
    for path in rng.permutation(len(found))[:40]:
        data = json.loads(json.dumps(plain))
        options: tuple[Any, ...] = (*EXTREMES, None, "x", 1.5, [], {})
        put(data, found[path], options[int(rng.integers(len(options)))])
        model.metadata_props[0].value = json.dumps(data)
        onnx.save(model, exported)
        try:
            made = xbarc.compile(exported)
        except XbarcError as error:
            pytest.fail(f"{found[path]}: {error}")
        if _said(made) == "taken":
            for one, other in zip(answers, made.session().run(None, x), strict=True):
                assert np.array_equal(one, other), found[path]
