"""Models of the qonnx package: their scales and widths are honoured, and QCDQ means the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.models.places import qonnx_model
from tests.models.qcdq import qcdq_form
from xbarc.compiler import compile_model
from xbarc.executor import Executor, StepRunner
from xbarc.frontend import runnable_model
from xbarc.ir.effective import effective_weights
from xbarc.ir.program import CrossbarStep, Program
from xbarc.ir.quantizers import IntegerInput
from xbarc.oracle import Oracle

pytestmark = pytest.mark.data

UPSCALING = ("nn_resize", "subpixel")


def _espcn(folder: str, kind: str) -> Path:
    return qonnx_model(f"bsd300x3-espcn/{folder}/{kind}_model.onnx")


def _picture(program: Program) -> dict[str, Any]:
    """Smooth pixels 0 to 1 with some noise, seeded: the trained ranges are those of photographs."""
    (value,) = program.inputs
    shape = tuple(size for size in value.shape or () if isinstance(size, int))
    rows, columns = np.mgrid[0 : shape[2], 0 : shape[3]] / max(shape[2:])
    rng = np.random.default_rng(0)
    waves = [np.sin(7 * rows + 2 * channel) * np.cos(5 * columns) for channel in range(shape[1])]
    picture = 0.5 + 0.4 * np.stack(waves)[None] + rng.normal(0, 0.05, shape)
    levels = np.rint(np.clip(picture, 0, 1) * 255) / 255
    return {value.name: levels.astype(np.float32)}


@pytest.mark.parametrize("folder", UPSCALING)
def test_float_espcn(folder: str) -> None:
    path = _espcn(folder, "float")
    program = compile_model(path)
    assert len(program.crossbar_steps) == 4
    feeds = _picture(program)
    (found,) = Executor(program).run(feeds)
    ((_, wanted),) = Oracle(runnable_model(path)).run(feeds).items()
    noise = np.square(found - wanted).sum() / np.square(wanted).sum()
    assert found.shape == wanted.shape
    assert -10 * np.log10(noise) > 30  # 8/8 bits through four layers


@pytest.mark.parametrize("folder", UPSCALING)
def test_widths_are_honoured(folder: str) -> None:
    """8 and 4 bits, as each Quant says; nn_resize's last layer reads through a Resize."""
    path = _espcn(folder, "quant")
    declared = _declared_widths(path)
    assert sorted({bits for pair in declared for bits in pair if bits}) == [4, 8]
    for step, (weights, inputs) in zip(compile_model(path).crossbar_steps, declared, strict=True):
        assert step.weight_bits == weights
        assert np.abs(effective_weights(step)).max() <= 2 ** (weights - 1) - 1  # narrow range
        assert isinstance(step.quantizer, IntegerInput) == bool(inputs), step.name
        assert not inputs or step.input_bits == inputs


def _declared_widths(path: Path) -> list[tuple[int, int]]:
    """Bits that the Quant before each Conv declares for weights and input; 0 without one."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}

    def bits(name: str) -> int:
        node = makers.get(name)
        if node is not None and node.op_type == "Resize":
            node = makers[node.input[0]]
        return int(tensors[node.input[3]]) if node is not None else 0

    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return [(bits(node.input[1]), bits(node.input[0])) for node in convolutions]


@pytest.mark.parametrize("folder", UPSCALING)
def test_weights_are_the_models_integers(folder: str) -> None:
    """Cells read back as round(weight / scale), clipped to the declared width."""
    path = _espcn(folder, "quant")
    model = onnx.load(path)
    tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    quants = {node.output[0]: node for node in model.graph.node if node.op_type == "Quant"}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    program = compile_model(path)
    for step, node in zip(program.crossbar_steps, convolutions, strict=True):
        weights, scale, _, bits = (tensors[name] for name in quants[node.input[1]].input)
        top = 2 ** (int(bits) - 1) - 1
        wanted = np.clip(np.rint(weights / scale), -top, top).reshape(len(weights), -1)
        assert np.array_equal(effective_weights(step)[0].T, wanted), step.name


@pytest.mark.parametrize("folder", UPSCALING)
def test_quantised_espcn_equals_its_qcdq_form(folder: str, tmp_path: Path) -> None:
    """Two notations, one network: weights, integers and real values between layers are the same."""
    path, standard = _espcn(folder, "quant"), tmp_path / "qcdq.onnx"
    standard.write_bytes(qcdq_form(path))
    program, other = compile_model(path), compile_model(standard)
    for one, two in zip(program.crossbar_steps, other.crossbar_steps, strict=True):
        assert np.array_equal(effective_weights(one), effective_weights(two))
    one_codes, two_codes = _codes(program), _codes(other)
    for one_code, two_code in zip(one_codes[:3], two_codes[:3], strict=True):
        assert np.array_equal(one_code, two_code)
    names = [step.output for step in program.crossbar_steps[:3]]
    feeds = _picture(program)
    values = Executor(program).run(feeds, names), Executor(other).run(feeds, names)
    for name, one_value, two_value in zip(names, *values, strict=True):
        assert np.array_equal(one_value, two_value), name


@pytest.mark.parametrize("folder", UPSCALING)
def test_outputs_equal_those_of_the_qcdq_form(folder: str, tmp_path: Path) -> None:
    path, standard = _espcn(folder, "quant"), tmp_path / "qcdq.onnx"
    standard.write_bytes(qcdq_form(path))
    program, other = compile_model(path), compile_model(standard)
    for one, two in zip(program.crossbar_steps, other.crossbar_steps, strict=True):
        assert isinstance(one.quantizer, IntegerInput) == isinstance(two.quantizer, IntegerInput)
    feeds = _picture(program)
    assert np.array_equal(Executor(program).run(feeds), Executor(other).run(feeds))


def _codes(program: Program) -> list[Any]:
    """What each layer with an integer input reads."""
    steps = [s for s in program.crossbar_steps if isinstance(s.quantizer, IntegerInput)]
    return Executor(program).run(_picture(program), [step.input for step in steps])


@pytest.mark.parametrize("folder", UPSCALING)
def test_layers_equal_onnx_runtime(folder: str) -> None:
    """Each layer on the integers that the lowered model has there in ONNX Runtime."""
    path = _espcn(folder, "quant")
    program = compile_model(path)
    steps = [s for s in program.crossbar_steps if isinstance(s.quantizer, IntegerInput)][:3]
    assert len(steps) == 3
    feeds = _picture(program)
    inputs, outputs = [step.input for step in steps], [step.output for step in steps]
    wanted = Oracle(runnable_model(path), [*inputs, *outputs]).run(feeds)
    for step, codes in zip(steps, Executor(program).run(feeds, inputs), strict=True):
        # Codes of the whole program may differ at ties; the layer itself runs on equal ones.
        assert np.abs(codes.astype(np.float64) - wanted[step.input]).max() <= 1
        assert np.mean(codes != wanted[step.input]) <= 1e-4
        _assert_layer(step, wanted)


def _assert_layer(step: CrossbarStep, wanted: dict[str, Any]) -> None:
    """float32 sums of at most 576 products: 16 roundings of the largest value cover them."""
    own = {step.input: wanted[step.input]}
    StepRunner().run(step, own)
    error = np.abs(own[step.output].astype(np.float64) - wanted[step.output]).max()
    assert error <= 16 * 2.0**-24 * np.abs(wanted[step.output]).max(), step.name


def test_residual_block(tmp_path: Path) -> None:
    """It ships without values of its own: weights are filled with seeded normal numbers."""
    model = onnx.load(qonnx_model("residual_block_clean.onnx"))
    rng = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        shape, fan = tuple(tensor.dims), max(1, int(np.prod(tensor.dims[1:])))
        values = rng.normal(0, fan**-0.5, shape).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    path = tmp_path / "residual.onnx"
    path.write_bytes(model.SerializeToString())
    program = compile_model(path)
    assert len(program.crossbar_steps) == 3
    feeds = {"global_in": rng.normal(size=(1, 1, 200, 200)).astype(np.float32)}
    (found,) = Executor(program).run(feeds)
    wanted = Oracle(path).run(feeds)["global_out"]
    assert found.shape == wanted.shape
    noise = np.square(found - wanted).sum() / np.square(wanted).sum()
    assert -10 * np.log10(noise) > 30
