"""`If` on a constant: the branch that is taken; on anything else digital, as a note says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import check, f32, model_file, normal, notes, operators
from xbarc.api import compile as compile_program
from xbarc.api import load
from xbarc.errors import InputError
from xbarc.evaluate import evaluate, self_check
from xbarc.frontend import read_network
from xbarc.options.values import parse_fixed

CHOICE = """g (float[N,4] x) => (float[] y) {
    k = Equal(n, two)
    y = If (k) <
        then_branch = a () => (float[] p) { [dense] q = MatMul(x, w) p = Relu(q) },
        else_branch = b () => (float[] p) { [dense] q = MatMul(x, v) p = Neg(q) }
    >
}"""


@pytest.mark.parametrize("number", [2, 3])
def test_the_branch_of_a_constant_is_taken(number: int, tmp_path: Path) -> None:
    tensors: dict[str, Any] = {"w": normal(4, 3), "v": normal(4, 3, seed=1), "two": np.int64(2)}
    path = model_file(tmp_path, CHOICE, n=np.int64(number), **tensors)
    network = check(path, x=normal(2, 4, seed=2))
    (layer,) = network.matrix_layers
    assert layer.name == "dense"
    assert "If" not in operators(network)


def test_branches_inside_branches_and_beside_each_other(tmp_path: Path) -> None:
    """Both bodies use the same names; a branch gives one value twice."""
    text = """g (float[N,4] x) => (float[] y, float[] z, float[] u) {
        y, z = If (yes) <
            then_branch = a () => (float[] o, float[] o) {
                s = If (no) <
                    then_branch = c () => (float[] t) { t = Neg(x) },
                    else_branch = d () => (float[] t) { [m] t = MatMul(x, w) }
                >
                o = Relu(s)
            },
            else_branch = b () => (float[] p, float[] q) { p = Neg(x) q = Abs(x) }
        >
        u = If (yes) <
            then_branch = e () => (float[] s) { [m] t = MatMul(z, w) s = Abs(t) },
            else_branch = f () => (float[] s) { s = Neg(x) }
        >
    }"""
    tensors: dict[str, Any] = {"w": normal(4, 4), "yes": np.array(True), "no": np.array(False)}
    path = model_file(tmp_path, text, **tensors)
    network = check(path, x=normal(2, 4, seed=2))
    assert [layer.name for layer in network.matrix_layers] == ["m", "m#2"]


def test_branches_of_an_input_stay_digital_and_are_said(tmp_path: Path) -> None:
    text = CHOICE.replace("float[N,4] x)", "float[N,4] x, int64 n)")
    path = model_file(tmp_path, text, w=normal(4, 3), v=normal(4, 3, seed=1), two=np.int64(2))
    network = check(path, x=f32([[1, 2, 3, 4]]), n=np.array(2))
    assert not network.matrix_layers
    assert "it stands in the body of If" in notes(network)
    assert "condition depends on input 'n': --fix-input n=VALUE takes one branch" in notes(network)


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("form", ["number", "text", "array", "list"])
def test_an_input_that_is_fixed_takes_a_branch(tmp_path: Path, number: int, form: str) -> None:
    """The program lacks the input; `evaluate` feeds it to the model as it is."""
    text = CHOICE.replace("float[N,4] x)", "float[N,4] x, int64[1] n)")
    path = model_file(tmp_path, text, w=normal(4, 3), v=normal(4, 3, seed=1), two=np.int64(2))
    given: Any = {
        "number": {"n": number},
        "text": [f"n={number}"],
        "array": {"n": np.array([number])},
    }
    given["list"] = {"n": [number]}
    made = compile_program(path, fix_input=given[form], weight_bits=12, activation_bits=12)
    made.save(tmp_path / "p.xbar")
    program = load(tmp_path / "p.xbar").program
    assert [value.name for value in program.inputs] == ["x"]
    assert len(program.crossbar_steps) == 1
    assert json.loads(dict(program.settings)["fix_input"])["n"] in (number, [number])
    found = evaluate(program, {"x": normal(8, 4, seed=2)}, path)
    assert found.output_sqnr_db is not None
    assert found.output_sqnr_db > 50
    assert not list(self_check(program))


FIXED = "g (float[N,4] x, uint8 k, float[2,?] f, bool b) => (float[] y) { y = Relu(x) }"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("z=3", "the model has no input 'z'"),
        ("k=300", "input 'k': 300 given"),
        ("k=-1", "input 'k': -1 given"),
        ("k=1.5", "input 'k': 1.5 given"),
        ("k=nan", "input 'k': nan given"),
        ("b=2", "input 'b': 2 given"),
        ("k=1,2", "input 'k': 2 numbers of shape"),
        ("f=1,2,3", "input 'f': 3 numbers of shape"),
        ("f=1e39,0", "which it does not hold"),
    ],
)
def test_what_cannot_be_fixed(tmp_path: Path, text: str, message: str) -> None:
    path = model_file(tmp_path, FIXED)
    with pytest.raises(InputError, match=re.escape(message)) as raised:
        read_network(path, fixed=parse_fixed([text]))
    assert "--fix-input" in str(raised.value)
    every = "x (float[N, 4]), k (uint8[]), f (float[2, ?]), b (bool[])"
    assert every in str(raised.value) or f"expected {text[0]} (" in str(raised.value)


@pytest.mark.parametrize("text", ["k", "=3", "k=", "k=a", "k=1,,2", "k=[1]"])
def test_texts_that_fix_nothing(text: str) -> None:
    with pytest.raises(InputError, match="is not INPUT=16000"):
        parse_fixed([text])


@pytest.mark.parametrize("value", ["3", None, {"a": 1}, [1, "2"]])
def test_values_that_are_no_numbers(value: object) -> None:
    with pytest.raises(InputError, match="expected a number or a list of them"):
        parse_fixed({"k": value})


@pytest.mark.parametrize(
    ("shape", "size", "taken"),
    [
        ("N,4", "d = Gather(s, one)", True),
        ("2,4", "d = Gather(s, minus)", True),
        ("4,M", "d = Gather(s, one)", False),
        ("1,4", "i = Gather(s, ones)  d = Squeeze(i)", True),
    ],
)
def test_sizes_that_an_input_declares_decide(
    tmp_path: Path, shape: str, size: str, taken: bool
) -> None:
    text = CHOICE.replace("float[N,4]", f"float[{shape}]").replace("(n, two)", "(d, four)")
    text = text.replace("k = Equal", f"s = Shape(x)  {size}  k = Equal")
    places = {"one": np.int64(1), "minus": np.int64(-1), "ones": np.array([1])}
    tensors: dict[str, Any] = {"w": normal(4, 3), "v": normal(4, 3, seed=1), **places}
    path = model_file(tmp_path, text, four=np.int64(4), **tensors)
    rows = {"N,4": 3, "2,4": 2, "4,M": 4, "1,4": 1}[shape]
    network = check(path, x=normal(rows, 4, seed=2))
    assert len(network.matrix_layers) == int(taken)
