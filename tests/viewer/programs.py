"""Small programs of every kind that the viewer shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import xbarc
from tests.frontend.onnx_models import model_file
from xbarc.ir.program import CrossbarStep, Program, Step
from xbarc.target import load_target

GRAPH = """g (float[N,4,5,5] x) => (float[N,5] y) {
    c = Conv<pads = [1, 1, 1, 1]>(x, k) r = Relu(c)
    d = Conv<group = 6, pads = [1, 1, 1, 1]>(r, e) s = Relu(d) f = Flatten(s)
    h = MatMul(f, w) g = Relu(h) y = MatMul(g, v) }"""


def conv_program(folder: Path, **options: Any) -> Program:
    """A convolution, a depthwise one, two products; arrays of 64 x 32."""
    rng = np.random.default_rng(0)
    shapes = {"k": (6, 4, 3, 3), "e": (6, 1, 3, 3), "w": (150, 12), "v": (12, 5)}
    arrays: dict[str, Any] = {
        name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()
    }
    path = model_file(folder, GRAPH, **arrays)
    settings = ["array.rows=64", "array.active_rows=32", "array.columns=32"]
    return xbarc.compile(path, load_target("rram128", settings), **options).program


def with_factors(program: Program) -> Program:
    """The same with a digital factor for each column, as targets with multipliers have them."""
    rng = np.random.default_rng(2)

    def scale(step: Step) -> Step:
        if not isinstance(step, CrossbarStep):
            return step
        factors = rng.integers(1, 16, (1, 1, step.conversions)).astype(np.uint8)
        return replace(step, periphery=replace(step.periphery, column_scale=factors))

    return replace(program, steps=tuple(map(scale, program.steps)))
