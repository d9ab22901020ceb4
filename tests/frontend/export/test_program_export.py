"""A program as ONNX: it runs anywhere, and compiles to the same cells."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import float_result, program_of
from tests.executor.test_engines import draw_adc, mapped_or_none
from tests.strategies import Case, cases
from xbarc.errors import MappingError
from xbarc.executor import Executor
from xbarc.frontend import program_model, read_carried
from xbarc.ir import (
    CrossbarStep,
    Dense,
    DynamicInput,
    IntegerResult,
    Program,
    Quantizer,
    RequantizedResult,
    Scatter,
    SignResult,
    StaticInput,
    Value,
    effective_weights,
)
from xbarc.mapping import adc_settings
from xbarc.numerics import AnyArray, pack_cells
from xbarc.runtime import OnnxSession

QUANTIZERS = ("integer", "static", "ceil", "half_away", "dynamic")
RESULTS = ("integer", "float", "requantized", "sign")


def _channels(step: CrossbarStep) -> int:
    channels = step.groups * step.outputs
    if isinstance(step.geometry, Scatter):
        channels //= int(np.prod(step.geometry.kernel))
    return channels


def _result(step: CrossbarStep, kind: str, rng: np.random.Generator) -> Any:
    channels = _channels(step)
    match kind:
        case "integer":
            return IntegerResult(str(rng.choice(["int32", "int64"])))
        case "float":
            made = float_result(channels)
            scale = rng.normal(size=channels).astype(np.float32)
            return replace(made, scale=scale, bias=rng.normal(size=channels).astype(np.float32))
        case "requantized":
            multiplier = (rng.random(channels) / 50).astype(np.float32)
            return RequantizedResult(multiplier, 3, str(rng.choice(["int8", "uint8", "int16"])))
        case _:
            flip = rng.integers(0, 2, channels).astype(np.uint8)
            return SignResult(rng.integers(-99, 99, channels), flip)


def _network(
    case: Case, kinds: tuple[str, str], seed: int
) -> tuple[CrossbarStep, Program, AnyArray] | None:
    """A layer with any cells, quantiser and result; its program, and an input for it."""
    step = mapped_or_none(case)
    if step is None or (kinds[0] == "dynamic" and kinds[1] != "float"):
        return None
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 1 << step.cells.bits, step.cells.shape).astype(np.uint8)
    step = replace(
        step,
        cells=pack_cells(cells, step.cells.bits),
        result=_result(step, kinds[1], rng),
        facts=None,
    )
    bits, scale = step.input_bits, 0.125
    tensor = case.tensor
    dtype = "uint8" if bits <= 8 else "uint16"
    if kinds[0] != "integer":
        dtype = "float32"
        zero = int(rng.integers(0, 1 << bits))
        made: dict[str, Quantizer] = {
            "static": StaticInput(bits, scale, zero),
            "ceil": StaticInput(bits, scale, zero, "ceil"),
            "half_away": StaticInput(bits, scale, zero, "half_away"),
            "dynamic": DynamicInput(bits),
        }
        step = replace(step, quantizer=made[kinds[0]])
        tensor = scale * (case.tensor.astype(np.float32) - zero) + np.float32(0.01)
    program = program_of([step], case.target, [None] * tensor.ndim)
    program = replace(
        program,
        inputs=(Value("x", dtype, (None,) * tensor.ndim),),
        outputs=(Value("y", step.result.dtype, None),),
    )
    return step, program, tensor.astype(dtype)


def _read_back(program: Program) -> tuple[bytes, Program]:
    """The exported model, and the program that it carries."""
    model = program_model(program)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(model)
        found = read_carried(path, program.target)
    assert found is not None
    return model, found


@given(
    cases(),
    st.data(),
    st.tuples(st.sampled_from(QUANTIZERS), st.sampled_from(RESULTS)),
    st.integers(0, 999),
)
def test_a_layer_of_any_form_comes_back_with_its_cells_and_answers(
    case: Case, data: st.DataObject, kinds: tuple[str, str], seed: int
) -> None:
    made = _network(case, kinds, seed)
    if made is None:
        return
    step, program, tensor = made
    step = draw_adc(step, data)
    program = replace(program, steps=(step,))
    model, found = _read_back(program)
    (again,) = found.crossbar_steps
    assert np.array_equal(again.cells.data, step.cells.data)
    assert program_model(found) == model
    answers = [Executor(p).run({"x": tensor})[0] for p in (program, found)]
    assert np.array_equal(*answers)


@given(
    cases(), st.tuples(st.sampled_from(QUANTIZERS), st.sampled_from(RESULTS)), st.integers(0, 999)
)
def test_onnx_runtime_gives_what_lossless_converters_give(
    case: Case, kinds: tuple[str, str], seed: int
) -> None:
    made = _network(case, kinds, seed)
    if made is None or not made[2].size or kinds[0] == "dynamic":
        return
    step, program, tensor = made
    geometry = step.geometry
    automatic = not isinstance(geometry, Dense) and geometry.auto_pad != "explicit"
    if automatic and max(geometry.dilations) > 1:  # type: ignore[union-attr]
        return  # ONNX Runtime takes no such convolution
    if isinstance(geometry, Scatter):
        padded = zip(geometry.output_padding, geometry.strides, strict=True)
        if any(more >= stride for more, stride in padded):
            return  # nor a transposed one that adds a whole stride
    weights = np.abs(effective_weights(step)).max(initial=0)
    if weights * step.inputs * (1 << step.input_bits) >= 1 << 24:
        return  # float32 rounds such sums
    try:
        step = replace(step, adc=adc_settings(step, case.target, "lossless"))
    except MappingError:
        return
    program = replace(program, steps=(step,))
    (wanted,) = Executor(program).run({"x": tensor})
    (found,) = OnnxSession(program_model(program), where="export", threads=1).run({"x": tensor})
    assert found.dtype == wanted.dtype
    if kinds[1] == "float":
        largest = np.abs(wanted).max(initial=1.0)
        assert np.abs(found - wanted).max(initial=0) <= 1e-4 * largest
    else:
        assert np.array_equal(found, wanted)
