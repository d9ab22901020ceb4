"""`If` on a constant: the branch that is taken; on anything else digital, as a note says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import check, f32, model_file, normal, notes, operators

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
