"""Mapped programs as text, for every encoding, converter policy and kind of layer.

Weights and data are written as arithmetic, so that no generator's stream is part of the files, and
what is set from data is set on a layer of declared integers: their sums are exact on every CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.frontend.onnx_models import model_file
from xbarc.compiler import STAGES, Compilation, compile_model, run_compiler
from xbarc.ir.program import CrossbarStep
from xbarc.ir.text import checksum, program_text
from xbarc.mapping import encoding_names
from xbarc.numerics.types import AnyArray
from xbarc.options import CompileOptions
from xbarc.pipeline import Stage
from xbarc.target import load_target

Golden = Callable[[str, str], None]

TARGET = ["array.rows=16", "array.columns=16", "array.active_rows=16", "cell.bits=2"]
"""Arrays so small that each layer takes several blocks."""


def spread(*shape: int, step: int = 37) -> AnyArray:
    """Numbers between -1 and 1 in an order that repeats late, on a grid of 1/64."""
    count = int(np.prod(shape))
    return ((np.arange(count) * step % 127 - 63) / 64).astype(np.float32).reshape(shape)


def dense(folder: Path) -> Path:
    return model_file(
        folder,
        """net (float[N, 20] x) => (float[N, 5] y) {
            h = MatMul (x, w1) b = Add (h, b1) r = Relu (b) y = Gemm (r, w2, b2) }""",
        w1=spread(20, 12),
        b1=spread(12) / 4,
        w2=spread(12, 5, step=41),
        b2=spread(5),
    )


def convolutions(folder: Path) -> Path:
    return model_file(
        folder,
        """net (float[N, 2, 7, 6] x) => (float[N, 3, 9, 7] y) {
            a = Conv <strides = [1, 1], pads = [1, 1, 1, 1]> (x, w1, b1)
            r = Relu (a)
            d = Conv <group = 4, dilations = [2, 1]> (r, w2)
            m = MaxPool <kernel_shape = [1, 2], strides = [1, 1]> (d)
            y = ConvTranspose <strides = [2, 2], output_shape = [9, 7], pads = [0, 0, 0, 0]> (m, w3)
        }""",
        w1=spread(4, 2, 3, 3),
        b1=spread(4),
        w2=spread(4, 1, 2, 2, step=29),
        w3=spread(4, 3, 3, 3, step=41),
    )


def declared(folder: Path) -> Path:
    levels = (spread(8, 6) * 64).astype(np.int8)
    return model_file(
        folder,
        """net (float[N, 8] x) => (float[N, 6] y) {
            q = QuantizeLinear (x, s, z) f = DequantizeLinear (q, s, z)
            w = DequantizeLinear (v, t) y = MatMul (f, w) }""",
        s=np.float32(1 / 32),
        z=np.uint8(7),
        t=np.float32(1 / 64),
        v=levels,
    )


def images(size: int, count: int = 12) -> dict[str, AnyArray]:
    return {"x": spread(count, size, step=53)}


NETS = {"dense": dense, "convolutions": convolutions, "declared": declared}


def text_of(path: Path, **asked: Any) -> str:
    calibration = asked.pop("calibration", None)
    target = load_target("rram128", TARGET + asked.pop("set", []))
    program = compile_model(path, target, options=CompileOptions(**asked), calibration=calibration)
    return program_text(program) + "".join(_arrays(step) for step in program.crossbar_steps)


def _arrays(step: CrossbarStep) -> str:
    """What the executor multiplies with, and where: more than people are shown."""
    parts: dict[str, Any] = {"tiling": step.tiling, "periphery": step.periphery, "adc": step.adc}
    lines = [f"  arrays of {step.name}"]
    for room, part in parts.items():
        values = ((field.name, getattr(part, field.name)) for field in fields(part))
        found = [(name, value) for name, value in values if isinstance(value, np.ndarray)]
        lines += [f"    {room}.{name} {checksum(value)}" for name, value in found]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("net", NETS)
def test_kinds_of_layers(net: str, tmp_path: Path, golden: Golden) -> None:
    golden(f"layers-{net}.txt", text_of(NETS[net](tmp_path)))


@pytest.mark.parametrize("encoding", encoding_names())
def test_encodings(encoding: str, tmp_path: Path, golden: Golden) -> None:
    text = text_of(dense(tmp_path), encoding=encoding, weight_bits=5)
    golden(f"encoding-{encoding.replace(':', '-')}.txt", text)


@pytest.mark.parametrize("policy", ["lossless", "3", "calibrated:3", "per-cycle", "budget"])
def test_converter_policies(policy: str, tmp_path: Path, golden: Golden) -> None:
    asked: dict[str, Any] = {"adc": policy, "calibration": images(8)}
    if policy == "budget":
        asked = {"adc_budget": "20dB", "calibration": images(8, 32)}
    if policy == "per-cycle":
        asked = {"set": ['adc.reference="per-cycle"']}
    golden(f"converters-{policy.replace(':', '-')}.txt", text_of(declared(tmp_path), **asked))


ASKED: dict[str, dict[str, Any]] = {
    "savings": {"adc_savings": ("recode", "centre", "distribute", "group", "rows")},
    "wires": {"placement": "optimal", "compensate": "gain", "calibration": images(8, 32)},
}


@pytest.mark.parametrize("name", ASKED)
def test_options_that_change_cells(name: str, tmp_path: Path, golden: Golden) -> None:
    golden(f"option-{name}.txt", text_of(declared(tmp_path), **ASKED[name]))


def test_every_stage(tmp_path: Path, golden: Golden) -> None:
    """What `--print-after` shows after each stage that ran; the others are named."""
    shown: list[str] = []

    def observe(stage: Stage[Compilation], made: Compilation, seconds: float | None) -> None:
        text = "skipped\n" if seconds is None else made.text()
        shown.append(f"== {stage.name}\n{text}")

    options = CompileOptions(adc_savings=("rows",), adc="lossless")
    target = load_target("rram128", TARGET)
    run_compiler(dense(tmp_path), target, options=options, observe=observe)
    assert len(shown) == len(STAGES)
    golden("stages.txt", "\n".join(shown))
