"""Inputs without a position: what ONNX Runtime gives for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.onnx_models import model_file, normal
from xbarc.api import compile as compile_program
from xbarc.oracle import Oracle

GRAPH = "g (float[1,2,N] x) => (float[] y) { y = ConvTranspose <strides = [2]> (x, w, b) }"


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_a_transposed_convolution_of_nothing(tmp_path: Path, engine: str) -> None:
    """Nothing reaches the one position of the result but the bias."""
    path = model_file(tmp_path, GRAPH, w=normal(2, 3, 3), b=normal(3))
    feeds = {"x": np.zeros((1, 2, 0), np.float32)}
    (found,) = compile_program(path).session(engine).run(None, feeds)  # type: ignore[arg-type]
    assert found.shape == (1, 3, 1)
    assert np.array_equal(found, Oracle(path).run(feeds)["y"])
