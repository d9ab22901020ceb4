"""The reference of `xbarc check` multiplies integers exactly: exact programs are `identical`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.places import shipped_images
from tests.models.quantised import Form, Notation, exact_form, quantise
from xbarc.compiler import compile_model
from xbarc.evaluate import evaluate
from xbarc.frontend import runnable_model
from xbarc.numerics.types import AnyArray
from xbarc.oracle import Oracle

IMAGES = 64


@pytest.mark.parametrize("form", ["dynamic", "qoperator"])
@pytest.mark.parametrize("net", ["mlp", "vgg"])
def test_every_layer_is_identical(net: str, form: Form, tmp_path: Path) -> None:
    """int8 weights and uint8 activations: what saturates on x86 without VNNI."""
    path = quantise(Notation(net, form, per_channel=True, signed=False), tmp_path)
    program = compile_model(path)
    images: dict[str, AnyArray] = {"image": shipped_images(IMAGES)["image"]}
    result = evaluate(program, images, path)
    assert [layer.name for layer in result.layers if not layer.identical] == []
    names = [step.output for step in program.crossbar_steps]
    found = Oracle(runnable_model(path), names).run(images)
    wanted = Oracle(exact_form(path), names).run(images)
    assert {name for name in names if (found[name] != wanted[name]).any()} == set()
    assert result.identical
