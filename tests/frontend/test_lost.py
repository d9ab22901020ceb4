"""Declared integers are honoured, or the layer says which, why and how large the error is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import model_file
from xbarc.api import compile as compile_program
from xbarc.errors import MappingError
from xbarc.frontend import runnable_model
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
        "its input is quantised again, since Mul 'm' gives them more than one scale; the error",
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


def test_a_mask_declares_no_weights(tmp_path: Path) -> None:
    """Zeros and ones that choose among real weights are no integers that a cell should hold."""
    mask = RNG.integers(0, 2, (6, 4)).astype(np.uint8)
    text = (
        "g (float[2,6] x) => (float[] y) { c = Cast <to = 1> (q)  w = Mul(c, k)  y = MatMul(x, w) }"
    )
    made = compile_program(model_file(tmp_path, text, q=mask, k=EACH))
    assert not [note for note in collect(made.program).notes if note.startswith("Declared")]
