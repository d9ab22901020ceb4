"""No code that a network executes lies outside its interval, and false facts are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from tests.builders import small_target
from xbarc.compiler import CompileOptions, compile_model
from xbarc.errors import MappingError, ProgramError
from xbarc.evaluate import self_check
from xbarc.executor import FastLayer, ReferenceLayer
from xbarc.executor.run import StepRunner
from xbarc.ir.facts import WEIGHTS
from xbarc.ir.files import load_program, save_program
from xbarc.ir.geometry import Window
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.trace import LayerTrace
from xbarc.ir.value_ranges import ValueRanges
from xbarc.numerics.types import AnyArray, IntArray
from xbarc.options import RangeAnalysis


class Net:
    """A model that grows node by node; `x` is the last value."""

    def __init__(self, seed: int, channels: int = 2) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.held: list[Any] = []
        self.x, self.channels, self.count = "image", channels, 0

    def constant(self, array: AnyArray) -> str:
        """The name of an initialiser."""
        self.count += 1
        self.held.append(numpy_helper.from_array(array, f"c{self.count}"))
        return f"c{self.count}"

    def add(self, kind: str, *more: str, **attributes: Any) -> None:
        """One more operator on the last value."""
        self.count += 1
        name = f"{kind.lower()}{self.count}"
        self.nodes.append(helper.make_node(kind, [self.x, *more], [name], name, **attributes))
        self.x = name

    def quantized(self, scale: float, zero: int, dtype: str) -> None:
        """Integers and back."""
        names = (
            self.constant(np.array(scale, np.float32)),
            self.constant(np.array(zero, dtype)),
        )
        self.add("QuantizeLinear", *names)
        self.add("DequantizeLinear", *names)

    def conv(self, outputs: int, pads: int = 1, shift: float = 0.0) -> None:
        """A convolution with weights that lean to one side."""
        weights = self.rng.normal(shift, 1, (outputs, self.channels, 3, 3)).astype(np.float32)
        bias = self.rng.normal(0, 2, outputs).astype(np.float32)
        names = (self.constant(weights), self.constant(bias))
        self.add("Conv", *names, kernel_shape=[3, 3], pads=[pads] * 4)
        self.channels = outputs

    def dense(self, inputs: int, outputs: int) -> None:
        """Flattened, then a product."""
        self.add("Flatten")
        weights = self.rng.normal(0, 1, (inputs, outputs)).astype(np.float32)
        self.add("Gemm", self.constant(weights))

    def save(self, path: Path, shape: tuple[Any, ...]) -> Path:
        """The file; its input is a picture."""
        source = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
        result = helper.make_tensor_value_info(self.x, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [source], [result], self.held)
        opset = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
        return path


ACTIVATIONS = ("Relu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "none")


def _activation(net: Net, kind: str) -> None:
    if kind == "Clip":
        net.add("Clip", *(net.constant(np.array(v, np.float32)) for v in (0.0, 6.0)))
    elif kind != "none":
        net.add(kind)


@st.composite
def nets(draw: st.DrawFn) -> Net:
    """Convolutions, activations, pools and quantisers of every kind, on 6x6 pictures."""
    net = Net(draw(st.integers(0, 10_000)))
    size = 6
    quantised = draw(st.booleans())
    for _ in range(draw(st.integers(1, 3))):
        if quantised and draw(st.booleans()):
            dtype = draw(st.sampled_from(["int8", "uint8"]))
            zero = draw(st.sampled_from([0, 0, 7, 100]))
            net.quantized(draw(st.sampled_from([0.01, 0.05, 0.3])), zero, dtype)
        pads = draw(st.integers(0, 1))
        net.conv(draw(st.integers(1, 4)), pads, draw(st.sampled_from([0.0, -2.0, 1.0])))
        size += 2 * pads - 2
        _activation(net, draw(st.sampled_from(ACTIVATIONS)))
        if size > 1 and draw(st.booleans()):
            kind = draw(st.sampled_from(["MaxPool", "AveragePool"]))
            net.add(kind, kernel_shape=[2, 2])
            size -= 1
        if size < 3:
            break
    if quantised:
        net.quantized(0.04, draw(st.sampled_from([0, 3])), draw(st.sampled_from(["int8", "uint8"])))
    net.dense(net.channels * size * size, 3)
    return net


class Watched:
    """An engine that keeps the vectors it was given."""

    def __init__(self, step: CrossbarStep) -> None:
        self.fast, self.slow = FastLayer(step, threads=1), ReferenceLayer(step)
        self.seen: list[IntArray] = []

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """Both engines, which agree."""
        del trace
        self.seen.append(vectors)
        found: IntArray = self.slow.accumulate(vectors)
        assert np.array_equal(found, self.fast.accumulate(vectors))
        return found

    def convolve(self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None) -> None:
        """By way of vectors."""
        del padded, geometry, trace


def codes(program: Program, image: AnyArray) -> dict[str, IntArray]:
    """Codes of every layer; axes: vector, group, input."""
    runner, values = StepRunner(threads=1), {"image": image}
    found = {}
    for step in program.steps:
        engine = Watched(step) if isinstance(step, CrossbarStep) else None
        if engine is not None and isinstance(step, CrossbarStep):
            runner.prepare(step, engine)
        runner.run(step, values)
        if engine is not None:
            found[step.name] = np.concatenate(engine.seen)
    return found


def _pictures(rng: np.random.Generator, count: int = 4) -> AnyArray:
    kinds = [rng.normal(0, 3, (count, 2, 6, 6)), rng.choice([0.0, 1e3, -1e3], (2, 2, 6, 6))]
    return np.concatenate(kinds).astype(np.float32)


@settings(max_examples=40)
@given(net=nets(), calibrated=st.booleans(), mode=st.sampled_from(["structure", "all"]))
def test_no_code_lies_outside_its_interval(
    tmp_path_factory: pytest.TempPathFactory, net: Net, calibrated: bool, mode: RangeAnalysis
) -> None:
    path = net.save(tmp_path_factory.mktemp("net") / "net.onnx", ("n", 2, 6, 6))
    rng = np.random.default_rng(0)
    data = {"image": rng.normal(0, 1, (4, 2, 6, 6)).astype(np.float32)} if calibrated else None
    target = small_target(array__rows=16, array__columns=16, array__active_rows=16)
    options = CompileOptions(range_analysis=mode)
    program = compile_model(path, target, options=options, calibration=data)
    ranges = ValueRanges(program.inputs, weights=mode == "all")
    facts = {}
    for step in program.steps:
        if isinstance(step, CrossbarStep):
            facts[step.name] = ranges.codes_of(step)
            assert step.facts is None or step.facts.contains(facts[step.name])
        ranges.advance(step)
    for name, seen in codes(program, _pictures(rng)).items():
        assert (seen >= facts[name].low).all()
        assert (seen <= facts[name].high).all()


@settings(max_examples=20)
@given(net=nets())
def test_facts_change_no_result(tmp_path_factory: pytest.TempPathFactory, net: Net) -> None:
    path = net.save(tmp_path_factory.mktemp("net") / "net.onnx", ("n", 2, 6, 6))
    target = small_target(array__rows=16, array__columns=16, array__active_rows=8)
    image = _pictures(np.random.default_rng(1))
    results = []
    for mode in ("none", "all"):
        program = compile_model(path, target, options=CompileOptions(range_analysis=mode))
        values = {"image": image}
        runner = StepRunner(threads=1)
        for step in program.steps:
            runner.run(step, values)
        results.append(values[program.outputs[0].name])
    assert np.array_equal(results[0], results[1])


def _signed_relu(tmp_path: Path, clip: bool = False) -> Path:
    """Codes of a signed type behind an activation that is never negative."""
    net = Net(3)
    net.quantized(0.05, 0, "int8")
    net.conv(4)
    _activation(net, "Clip" if clip else "Relu")
    net.quantized(0.1, 0, "int8")
    net.conv(4)
    return net.save(tmp_path / "net.onnx", (1, 2, 6, 6))


def test_signed_codes_behind_relu_need_a_bit_less(tmp_path: Path) -> None:
    program = compile_model(_signed_relu(tmp_path), small_target())
    assert [step.input_bits for step in program.crossbar_steps] == [8, 7]
    assert [step.facts for step in program.crossbar_steps] == [None, None]


def test_a_clip_that_leaves_codes_unused_needs_fewer_bits(tmp_path: Path) -> None:
    """6 / 0.1 = 60: six bits."""
    path = _signed_relu(tmp_path, clip=True)
    program = compile_model(path, small_target(input__dac_bits=4))
    step = program.crossbar_steps[1]
    assert step.input_bits == 6
    assert step.facts is not None
    assert (step.facts.low.min(), step.facts.high.max()) == (0, 60)
    assert step.facts.reasons[0].startswith("Clip 'clip")
    plain = compile_model(
        path, small_target(input__dac_bits=4), options=CompileOptions(range_analysis="none")
    )
    assert plain.crossbar_steps[1].input_bits == 8
    assert plain.crossbar_steps[1].adc.bits.max() >= step.adc.bits.max()


def test_nothing_may_be_claimed(tmp_path: Path) -> None:
    """Ranges taken at run time use every code; so does a net without activations."""
    net = Net(4)
    net.conv(4)
    _activation(net, "Clip")
    net.conv(3)
    program = compile_model(net.save(tmp_path / "net.onnx", (1, 2, 6, 6)), small_target())
    assert [step.facts for step in program.crossbar_steps] == [None, None]
    assert [step.input_bits for step in program.crossbar_steps] == [8, 8]


def _dead_channel(tmp_path: Path) -> Path:
    """The second channel of three is never above zero, whatever the picture."""
    net = Net(5, channels=1)
    _activation(net, "Sigmoid")
    net.quantized(1 / 255, 0, "uint8")
    weights = np.ones((3, 1, 3, 3), np.float32)
    weights[1] = -1
    bias = np.zeros(3, np.float32)
    names = (net.constant(weights), net.constant(bias))
    net.add("Conv", *names, kernel_shape=[3, 3])
    net.channels = 3
    _activation(net, "Relu")
    net.quantized(1 / 32, 0, "uint8")
    net.conv(2, pads=0)
    return net.save(tmp_path / "net.onnx", (1, 1, 6, 6))


def test_dead_channels_are_found_from_weights(tmp_path: Path) -> None:
    program = compile_model(_dead_channel(tmp_path), small_target())
    facts = program.crossbar_steps[1].facts
    assert facts is not None
    assert WEIGHTS in facts.reasons
    by_channel = facts.high.reshape(3, 9)
    assert not by_channel[1].any()
    assert (by_channel[[0, 2]] == 255).all()
    plain = compile_model(
        _dead_channel(tmp_path), small_target(), options=CompileOptions(range_analysis="structure")
    )
    assert plain.crossbar_steps[1].facts is None
    assert program.crossbar_steps[1].adc.bits.max() < plain.crossbar_steps[1].adc.bits.max()


def test_verify_feeds_what_can_be(tmp_path: Path) -> None:
    """Engines are compared on codes within the facts; beyond them converters may saturate."""
    program = compile_model(_dead_channel(tmp_path), small_target())
    assert list(self_check(program)) == []


def test_files_hold_facts_and_refuse_false_ones(tmp_path: Path) -> None:
    program = compile_model(_dead_channel(tmp_path), small_target())
    save_program(program, tmp_path / "net.xbar")
    loaded = load_program(tmp_path / "net.xbar").crossbar_steps[1].facts
    facts = program.crossbar_steps[1].facts
    assert loaded is not None
    assert facts is not None
    assert np.array_equal(loaded.high, facts.high)
    assert (loaded.reasons, loaded.plain_bits) == (facts.reasons, facts.plain_bits)
    claimed = facts.high.copy()
    claimed[0, 3] = 200
    steps = list(program.steps)
    place = steps.index(program.crossbar_steps[1])
    steps[place] = replace(program.crossbar_steps[1], facts=replace(facts, high=claimed))
    save_program(replace(program, steps=tuple(steps)), tmp_path / "false.xbar")
    words = "facts_proven: conv.*input 3 claims codes 0 to 200, provable are 0 to 255"
    with pytest.raises(ProgramError, match=words):
        load_program(tmp_path / "false.xbar")


def test_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="'some' is not available"):
        compile_model(
            _signed_relu(tmp_path),
            small_target(),
            options=CompileOptions(range_analysis="some"),  # type: ignore[arg-type]
        )
