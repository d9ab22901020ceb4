"""Our nets as onnxruntime.quantization writes them equal exact integer semantics.

QOperator and dynamic forms are integers all the way: bit for bit. In the QDQ form a real sum is
rounded to the next layer's integers. We scale the exact integer sum once in float64; ONNX Runtime
adds dequantised numbers in float32. Where the two lie on both sides of a tie, one step differs for
every rounding; a residual Add follows two of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.graphs import integers, write
from tests.models.places import shipped_images
from tests.models.quantised import (
    Form,
    Notation,
    allowed_steps,
    as_float,
    exact_form,
    integer_names,
    quantise,
)
from xbarc.compiler import compile_model
from xbarc.executor import Executor, StepRunner
from xbarc.ir.network import DigitalFragment, layer_outputs
from xbarc.ir.program import Program
from xbarc.ir.quantizers import IntegerInput
from xbarc.oracle import Oracle

CROSSBARS = {"vgg": 8, "resnet": 12, "mlp": 3}
MATRIX_OPERATORS = {"Conv", "ConvInteger", "Gemm", "MatMul", "MatMulInteger", "QLinearConv"}
MATRIX_OPERATORS |= {"QLinearMatMul", "com.microsoft.QGemm"}
IMAGES = 200

Record = Callable[[str, object], None]


def _notations(form: Form) -> list[Any]:
    """All of them; the fast lane takes the MLP in every form and the larger nets in one."""
    fast = {"vgg": (True, False), "resnet": (True, False)}
    signs = (False,) if form == "dynamic" else (False, True)
    every = [
        Notation(net, form, channel, signed)
        for net in CROSSBARS
        for channel in (True, False)
        for signed in signs
    ]
    return [
        pytest.param(
            n,
            id=str(n),
            marks=()
            if n.net == "mlp" or fast[n.net] == (n.per_channel, n.signed)
            else (pytest.mark.slow,),
        )
        for n in every
    ]


def _compiled(notation: Notation, folder: Path) -> tuple[Path, Program]:
    """The quantised net compiled: every matrix product is on crossbars, on the model's integers."""
    path = quantise(notation, folder)
    program = compile_model(path)
    assert len(program.crossbar_steps) == CROSSBARS[notation.net]
    stayed = {name for step in program.digital_steps for name, _ in step.operators}
    assert not stayed & MATRIX_OPERATORS
    for step in program.crossbar_steps:
        assert isinstance(step.quantizer, IntegerInput), step.name
        assert step.input_bits == 8
    return path, program


def _images() -> dict[str, Any]:
    return {"image": shipped_images(IMAGES)["image"]}


def _both(program: Program, path: Path, names: list[str]) -> list[tuple[str, Any, Any]]:
    """Values of the program and of exact ONNX Runtime: the output, and those of these names."""
    outputs = [value.name for value in program.outputs]
    wanted = Oracle(exact_form(path), names).run(_images())
    found = Executor(program).run(_images(), [*outputs, *names])
    return [
        (name, value, wanted[name]) for name, value in zip([*outputs, *names], found, strict=True)
    ]


@pytest.mark.parametrize("notation", _notations("qoperator"))
def test_qoperator_equals_bit_for_bit(notation: Notation, tmp_path: Path) -> None:
    path, program = _compiled(notation, tmp_path)
    names = [step.output for step in program.crossbar_steps]
    for name, found, wanted in _both(program, path, names):
        assert found.dtype == wanted.dtype, name
        assert np.array_equal(found, wanted), name


@pytest.mark.parametrize("notation", _notations("dynamic"))
def test_dynamic_equals_bit_for_bit(notation: Notation, tmp_path: Path) -> None:
    path, program = _compiled(notation, tmp_path)
    names = [step.output for step in program.crossbar_steps]
    for name, found, wanted in _both(program, path, names):
        assert found.dtype == wanted.dtype, name
        assert np.array_equal(found, wanted), name


@pytest.mark.parametrize("notation", _notations("qdq"))
def test_qdq_differs_by_a_step_at_ties_only(
    notation: Notation, tmp_path: Path, record_property: Record
) -> None:
    """Each layer, and the fragment behind it, on the very integers that ONNX Runtime gave them."""
    path, program = _compiled(notation, tmp_path)
    written = {name for step in program.steps for name in layer_outputs(step)}
    codes = sorted(written.intersection(integer_names(path)))
    real = [step.output for step in program.crossbar_steps]
    wanted = Oracle(exact_form(path), [*codes, *real]).run(_images())
    values, runner = _images(), StepRunner()
    differing = total = 0
    for step in program.steps:
        runner.run(step, values)
        for name in set(layer_outputs(step)).intersection(codes):
            steps = np.abs(as_float(values[name]) - as_float(wanted[name]))
            assert isinstance(step, DigitalFragment)
            assert steps.max() <= allowed_steps(step.model, name), name
            differing, total = differing + int(np.count_nonzero(steps)), total + steps.size
            values[name] = wanted[name]
        for name in set(layer_outputs(step)).intersection(real):
            _assert_float_rounding(values[name], wanted[name], name)
    assert total
    assert differing <= total * 1e-4
    record_property("QDQ, layer by layer", f"{differing} of {total} codes differ: {notation}")


def _assert_float_rounding(found: Any, wanted: Any, name: str) -> None:
    """float32 sums of at most 784 products: 16 roundings of the largest value cover them."""
    assert found.dtype == np.float32
    error = np.abs(as_float(found) - as_float(wanted)).max()
    assert error <= 16 * 2.0**-24 * np.abs(as_float(wanted)).max(), name


@pytest.mark.parametrize("notation", _notations("qdq"))
def test_qdq_from_end_to_end(notation: Notation, tmp_path: Path, record_property: Record) -> None:
    """A step of difference moves what lies behind it: few codes differ, and no answer."""
    path, program = _compiled(notation, tmp_path)
    written = {name for step in program.steps for name in layer_outputs(step)}
    names = sorted(written.intersection(integer_names(path)))
    both = _both(program, path, names)
    differing = sum(int(np.count_nonzero(found != wanted)) for _, found, wanted in both[1:])
    total = sum(wanted.size for _, _, wanted in both[1:])
    assert differing <= total * 1e-3
    _, logits, reference = both[0]
    assert np.array_equal(logits.argmax(axis=1), reference.argmax(axis=1))
    record_property("QDQ, end to end", f"{differing} of {total} codes differ: {notation}")


def test_digital_integer_products_are_exact(tmp_path: Path) -> None:
    """Neither side is constant, so the product stays digital, where uint8 x int8 would saturate."""
    text = "(uint8[4,512] x, int8[512,16] w) => (int32[] y) { y = MatMulInteger(x, w) }"
    path = write(tmp_path, text)
    feeds = {"x": integers(200, 255, 4, 512), "w": integers(100, 127, 512, 16)}
    program = compile_model(path)
    assert not program.crossbar_steps
    kinds = {"x": np.uint8, "w": np.int8}
    (found,) = Executor(program).run({name: feeds[name].astype(kinds[name]) for name in feeds})
    assert np.array_equal(found, feeds["x"] @ feeds["w"])
