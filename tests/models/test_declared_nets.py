"""What onnxruntime.quantization makes of our nets keeps its integers, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.models.places import shipped_images
from tests.models.quantised import Form, quantise_with
from xbarc.compiler import CompileOptions, compile_model
from xbarc.executor import Executor
from xbarc.frontend import runnable_model
from xbarc.ir.program import Program
from xbarc.ir.quantizers import IntegerInput
from xbarc.oracle import Oracle
from xbarc.report import collect

CROSSBARS = {"mlp": 3, "vgg": 8, "resnet": 12, "depthwise": 8}
IMAGES = 20
Record = Callable[[str, object], None]


@dataclass(frozen=True)
class Way:
    """How a net is quantised."""

    net: str
    form: Form
    bits: int
    per_channel: bool
    symmetric: bool

    def __str__(self) -> str:
        return "-".join(str(getattr(self, item.name)) for item in fields(self))


FORMS: tuple[Form, ...] = ("qdq", "qoperator", "dynamic")


def _ways() -> list[Any]:
    """All that ONNX Runtime's tool can write; the quick lane takes two of the smallest net."""
    every = [
        Way(net, form, bits, channel, symmetric)
        for net, form, bits, channel, symmetric in product(
            CROSSBARS, FORMS, (8, 16), (False, True), (False, True)
        )
        if bits == 8 or form == "qdq"
    ]
    quick = {"mlp-qdq-16-True-False", "mlp-qdq-16-False-True"}
    return [
        pytest.param(way, id=str(way), marks=() if str(way) in quick else (pytest.mark.slow,))
        for way in every
    ]


@pytest.mark.parametrize("way", _ways())
def test_every_layer_keeps_its_integers(way: Way, tmp_path: Path, record_property: Record) -> None:
    path = quantise_with(
        way.net,
        way.form,
        tmp_path,
        bits=way.bits,
        per_channel=way.per_channel,
        symmetric=way.symmetric,
    )
    program = compile_model(path, options=CompileOptions(exact_weights=True))
    steps = program.crossbar_steps
    exact = [s for s in steps if isinstance(s.quantizer, IntegerInput) and not s.unkept]
    stayed = [note for step in program.digital_steps for note in step.notes]
    record_property("layers on declared integers", f"{len(exact)} of {len(steps)}: {way}")
    assert len(exact) == len(steps)
    assert len(steps) + len(stayed) >= CROSSBARS[way.net]
    assert not stayed, stayed
    assert not any(note.startswith("Declared integers") for note in collect(program).notes)
    assert max(step.input_bits for step in steps) <= way.bits  # fewer where codes are never used
    _assert_close(program, path, way)


def _assert_close(program: Program, path: Path, way: Way) -> None:
    """Numbers quantised anew would show: 8 bits leave some 40 dB, and 16 bits some 85."""
    images = {"image": shipped_images(IMAGES)["image"]}
    (wanted,) = Oracle(runnable_model(path)).run(images).values()
    (found,) = Executor(program).run(images)
    error = np.square(found.astype(np.float64) - wanted.astype(np.float64)).sum()
    energy = np.square(wanted.astype(np.float64)).sum()
    sqnr = 999.0 if error == 0 else 10 * float(np.log10(energy / error))
    assert sqnr > (100 if way.form != "qdq" else 40), sqnr
