"""Declared integers are honoured, or the layer says which, why and how large the error is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import check, matrix_layer, model_file
from xbarc.api import compile as compile_program
from xbarc.errors import MappingError
from xbarc.frontend import read_network, runnable_model
from xbarc.ir.quantizers import FloatInput, IntegerInput
from xbarc.operators import OPERATORS, Form, Matrix
from xbarc.oracle import Oracle
from xbarc.report import collect

RNG = np.random.default_rng(0)
WEIGHTS = RNG.integers(-127, 128, (6, 4)).astype(np.int8)
EACH = RNG.uniform(0.001, 0.02, (6, 4)).astype(np.float32)
PART = RNG.uniform(0.1, 1, 6).astype(np.float32)
SPELLED = "a = DequantizeLinear(x, s, z)  c = Cast <to = 1> (q)  {0}  y = MatMul(a, w)"
BETWEEN = "a = DequantizeLinear(x, s, z)  w = DequantizeLinear(q, t)  {0}  y = MatMul(m, w)"

CASES: dict[str, tuple[str, Any, str]] = {
    "a scale for each weight": (
        SPELLED.format("w = Mul(c, k)"),
        EACH,
        "its weights are not kept, since Mul 'w' gives them more than one scale an output; SQNR",
    ),
    "division by one for each": (
        SPELLED.format("w = Div(c, k)"),
        EACH,
        "since Div 'w' gives them more than one scale an output; SQNR",
    ),
    "products of two vectors": (
        SPELLED.format("w = Mul(c, k)"),
        np.outer(PART, EACH[0]),
        "since Mul 'w' gives",
    ),
    "one scale, written out": (SPELLED.format("w = Mul(c, k)"), np.full((6, 4), 0.01), ""),
    "one an output, written out": (SPELLED.format("w = Mul(c, k)"), np.tile(EACH[:1], (6, 1)), ""),
    "the other sign": (BETWEEN.replace("w)", "v)").format("m = Identity(a)  v = Neg(w)"), 1.0, ""),
    "a factor for each channel": (
        BETWEEN.format("m = Mul(a, k)"),
        PART,
        "its input is quantised again, since Mul 'm' gives them more than one scale (declared at",
    ),
    "a divisor for each channel": (
        BETWEEN.format("m = Div(a, k)"),
        PART,
        "since Div 'm' gives them more than one scale",
    ),
    "a factor before Relu": (
        BETWEEN.format("n = Mul(a, k)  m = Relu(n)"),
        PART,
        "since Mul 'n' gives",
    ),
    "an addend": (
        BETWEEN.format("m = Add(a, k)"),
        0.3,
        "since Add 'm' uses a number that is not a multiple of their step",
    ),
    "an addend for each channel": (
        BETWEEN.format("m = Sub(a, k)"),
        PART,
        "since Sub 'm' uses a number",
    ),
    "a sum": (BETWEEN.format("m = Add(a, a)"), 1.0, "since Add 'm' gives new numbers"),
    "a sum of what is joined": (
        BETWEEN.format("e = DequantizeLinear(x, k, z)  n = Add(a, e)  m = Relu(n)"),
        0.3,
        "Add 'n' gives new numbers, for which no scale is declared (declared at Deq",
    ),
    "a slope": (BETWEEN.format("m = LeakyRelu(a)"), 1.0, "since LeakyRelu 'm' gives new numbers"),
    "a table": (BETWEEN.format("n = Sigmoid(a)  m = Mul(a, n)"), 1.0, "since Sigmoid 'n' gives"),
    "an average": (
        BETWEEN.format("n = ReduceMean <axes = [0]> (a)  m = Sqrt(n)"),
        1.0,
        "since ReduceMean 'n' gives new numbers",
    ),
    "an operator that the table does not list": (
        BETWEEN.format("n = Unsqueeze(a, zo)  o = GridSample(n, grid)  m = Squeeze(o, zo)"),
        1.0,
        "since GridSample 'o' gives new numbers",
    ),
    "half precision": (
        BETWEEN.format("n = Cast <to = 10> (a)  m = Cast <to = 1> (n)"),
        1.0,
        "since Cast 'n' rounds them to float16",
    ),
    "whole numbers": (
        BETWEEN.format("n = Cast <to = 6> (a)  m = Cast <to = 1> (n)"),
        1.0,
        "since Cast 'n' rounds them to int32",
    ),
    "the other direction": (
        BETWEEN.format("m = Mul(a, k)"),
        -1.0,
        "since they have more than one scale, or one that is not positive (declared at",
    ),
    "integers again": (
        BETWEEN.format("n = Add(a, a)  o = QuantizeLinear(n, k, z)  m = DequantizeLinear(o, k, z)"),
        0.04,
        "",
    ),
    "one scale of zero": (SPELLED.format("w = Mul(c, k)"), PART[:4] * [1, 0, 1, -1], ""),
    "half a step": (
        SPELLED.format("o = Sub(c, k)  w = Mul(o, t)"),
        0.5,
        "its weights are not kept, since Sub 'o' uses a number that is not a multiple of their",
    ),
    "weights of half precision": (
        SPELLED.format("n = Cast <to = 10> (c)  o = Neg(n)  w = Cast <to = 1> (o)"),
        0.5,
        "its weights are not kept, since Cast 'n' rounds them to float16",
    ),
    "one factor": (BETWEEN.format("m = Mul(a, k)"), 0.3, ""),
}


@pytest.mark.parametrize("name", CASES)
def test_declared_integers_are_exact_or_noted(tmp_path: Path, name: str) -> None:
    body, constant, reason = CASES[name]
    arrays: dict[str, Any] = {
        "q": WEIGHTS,
        "s": np.float32(0.02),
        "z": np.uint8(7),
        "t": np.float32(0.01),
    }
    arrays["k"] = np.asarray(constant, np.float32)
    arrays |= {"zo": np.array([0, 1]), "grid": np.full((1, 2, 6, 2), 0.3, np.float32)}
    path = model_file(tmp_path, f"g (uint8[2,6] x) => (float[] y) {{ {body} }}", **arrays)
    made = compile_program(path)
    said = [note for note in collect(made.program).notes if note.startswith("Declared integers")]
    if reason:
        assert len(said) == 1
        assert reason in said[0]
        with pytest.raises(MappingError, match="Declared integers"):
            compile_program(path, exact_weights=True)
        return
    assert not said
    feeds = {"x": RNG.integers(0, 256, (2, 6)).astype(np.uint8)}
    (found,) = made.session().run(None, feeds)
    wanted = Oracle(runnable_model(path)).run(feeds)["y"]
    assert np.allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


FREE = {
    "a real input": "m = Sigmoid(r)",
    "a sum with a real input": "a = DequantizeLinear(x, s, z)  m = Add(a, r)",
    "the sums of a layer": "a = DequantizeLinear(x, s, z)  n = MatMul(a, v)  m = Relu(n)",
    "rows of a table, normalised": """e = DequantizeLinear <axis = 0> (q6, p)
        c = Cast <to = 7> (x)  n = Gather(e, c)  o = ReduceSum(n, axes)  m = Softmax(o)""",
    "which are larger": "a = DequantizeLinear(x, s, z)  c = Greater(a, k)  m = Cast <to = 1> (c)",
}


@pytest.mark.parametrize("name", FREE)
def test_what_is_not_declared_is_not_missed(tmp_path: Path, name: str) -> None:
    """Real numbers that go into a value, and sums, were never declared to be integers."""
    text = f"""g (uint8[2,6] x, float[2,6] r) => (float[] y) {{
        w = DequantizeLinear(q, t)  {FREE[name]}  y = MatMul(m, w) }}"""
    arrays: dict[str, Any] = {"s": np.float32(0.02), "z": np.uint8(7), "t": np.float32(0.01)}
    table: dict[str, Any] = {"k": np.float32(1), "axes": np.array([1])}
    table |= {"q6": RNG.integers(-127, 128, (256, 6)).astype(np.int8)}
    table["p"] = RNG.uniform(0.1, 1, 256).astype(np.float32)
    square = RNG.normal(size=(6, 6)).astype(np.float32)
    network = read_network(model_file(tmp_path, text, q=WEIGHTS, v=square, **arrays, **table))
    last = network.matrix_layers[-1].quantizer
    assert isinstance(last, FloatInput)
    assert not last.lost


def test_the_note_names_the_declaration_and_what_to_do(tmp_path: Path) -> None:
    body = BETWEEN.format("e = DequantizeLinear(x, k, z)  n = Add(a, e)  m = Relu(n)")
    arrays: dict[str, Any] = {
        "q": WEIGHTS,
        "s": np.float32(0.02),
        "z": np.uint8(7),
        "t": np.float32(0.01),
    }
    text = f"g (uint8[2,6] x) => (float[] y) {{ {body} }}"
    made = compile_program(model_file(tmp_path, text, k=np.float32(0.3), **arrays))
    (said,) = (note for note in made.report().notes if note.startswith("Declared integers"))
    assert said == (
        "Declared integers of layer MatMul:y: its input is quantised again, since Add 'n' gives "
        "new numbers, for which no scale is declared (declared at DequantizeLinear 'a' and "
        "DequantizeLinear 'e'); the error is up to half a step of the new range. A QuantizeLinear "
        "and a DequantizeLinear with one constant scale in front of the layer keep integers, and "
        "--activation-bits 16 makes the error smaller."
    )


NOT_REAL = {"BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "QLinearAdd"}
NOT_REAL |= {"QLinearLeakyRelu", "QLinearMul", "QLinearSigmoid"}
NEWER = {"Mish", "RMSNormalization", "Swish"}  # than the opset of the tests
CALLS = {
    "BatchNormalization": "BatchNormalization(a, p, p, p, p)",
    "CumSum": "CumSum(a, axis)",
    "LayerNormalization": "LayerNormalization(a, p)",
    "ReduceSum": "ReduceSum(a, axes)",
    "TopK": "TopK(a, six)",
}
COMPUTING = sorted(
    row.name
    for row in OPERATORS.values()
    if row.form in (Form.ENTRY, Form.AXES)
    and row.matrix is Matrix.NO
    and row.dtype == 0
    and row.name not in NOT_REAL | NEWER
)


def _call(name: str) -> str:
    row = OPERATORS[name]
    domain = "com.microsoft." if "com.microsoft" in row.domains else ""
    axes = " <axes = [0]> " if name.startswith("Reduce") else ""
    return CALLS.get(name, f"{domain}{name}{axes}({'a, a' if row.broadcasts else 'a'})")


@pytest.mark.parametrize("name", COMPUTING)
def test_an_operator_keeps_integers_or_says_that_it_does_not(tmp_path: Path, name: str) -> None:
    """Whatever the table of operators holds: no other one loses them without a word."""
    results = "m, i" if name == "TopK" else "m"
    text = f"""g (uint8[2,6] x) => (float[] y) {{
        a = DequantizeLinear(x, s, z)  {results} = {_call(name)}  y = MatMul(m, w) }}"""
    arrays: dict[str, Any] = {
        "s": np.float32(0.02),
        "z": np.uint8(7),
        "w": EACH,
        "p": PART,
        "axis": np.int64(1),
        "axes": np.array([0]),
        "six": np.array([6]),
    }
    layer = matrix_layer(read_network(model_file(tmp_path, text, **arrays)))
    if isinstance(layer.quantizer, FloatInput):
        assert f"{name} 'm'" in layer.quantizer.lost
    else:
        assert isinstance(layer.quantizer, IntegerInput)
        assert layer.quantizer.scale == np.float32(0.02)


def test_rows_of_a_table_with_a_scale_each_are_missed(tmp_path: Path) -> None:
    text = """g (int64[5] x) => (float[] y) {
        a = DequantizeLinear <axis = 0> (q, p)  m = Gather(a, x)  y = MatMul(m, w) }"""
    table = RNG.integers(-127, 128, (6, 6)).astype(np.int8)
    path = model_file(tmp_path, text, q=table, p=PART, w=EACH)
    layer = matrix_layer(check(path, x=np.array([5, 0, -1, 2, 2])))
    assert isinstance(layer.quantizer, FloatInput)
    assert "more than one scale" in layer.quantizer.lost
    assert "(declared at DequantizeLinear 'a')" in layer.quantizer.lost


def test_many_paths_are_walked_once(tmp_path: Path) -> None:
    """Forty sums of a value with itself have 2^40 paths to its declaration."""
    chain = "".join(f"n{i + 1} = Add(n{i}, n{i})  " for i in range(40))
    text = f"""g (uint8[2,6] x) => (float[] y) {{
        n0 = DequantizeLinear(x, s)  {chain} y = MatMul(n40, w) }}"""
    network = read_network(model_file(tmp_path, text, s=np.float32(0.02), w=EACH))
    assert "Add 'n1'" in matrix_layer(network).quantizer.lost  # type: ignore[union-attr]


def test_a_mask_declares_no_weights(tmp_path: Path) -> None:
    """Zeros and ones that choose among real weights are no integers that a cell should hold."""
    mask = RNG.integers(0, 2, (6, 4)).astype(np.uint8)
    text = (
        "g (float[2,6] x) => (float[] y) { c = Cast <to = 1> (q)  w = Mul(c, k)  y = MatMul(x, w) }"
    )
    made = compile_program(model_file(tmp_path, text, q=mask, k=EACH))
    assert not [note for note in collect(made.program).notes if note.startswith("Declared")]
