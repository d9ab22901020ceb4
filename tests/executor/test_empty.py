"""Inputs without a position: what ONNX Runtime gives for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.frontend.onnx_models import model_file, normal
from xbarc.api import compile as compile_program
from xbarc.errors import InputError, ModelError
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


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize(
    ("node", "kernel", "shape"),
    [
        ("Conv", 3, (1, 1, 2, 2)),
        ("Conv", 3, (1, 1, 5, 2)),
        ("Conv <dilations = [2,2]>", 2, (1, 1, 2, 9)),
        ("Conv <strides = [3,3]>", 4, (1, 1, 3, 3)),
        ("Conv", 2, (0, 1, 1, 1)),
        ("Conv <pads = [1,1,1,1]>", 3, (1, 1, 0, 3)),
        ("ConvTranspose <pads = [2,2,2,2]>", 3, (1, 1, 2, 2)),
    ],
)
def test_a_kernel_that_does_not_fit_is_refused(
    tmp_path: Path, engine: str, node: str, kernel: int, shape: tuple[int, ...]
) -> None:
    """As ONNX Runtime refuses it, when a network runs; where sizes are declared, beforehand."""
    graph = f"g (float[] x) => (float[] y) {{ y = {node} (x, w) }}"
    path = model_file(tmp_path, graph, w=normal(1, 1, kernel, kernel))
    feeds = {"x": np.zeros(shape, np.float32)}
    with pytest.raises(InputError):
        Oracle(path).run(feeds)
    with pytest.raises(InputError, match="has no position"):
        compile_program(path).session(engine).run(None, feeds)  # type: ignore[arg-type]
    if 0 not in shape:
        declared = f"float[{','.join(map(str, shape))}]"
        path = model_file(
            tmp_path, graph.replace("float[] x", f"{declared} x"), w=normal(1, 1, kernel, kernel)
        )
        with pytest.raises(ModelError, match="expected an input that a kernel"):
            compile_program(path)


def test_an_empty_picture_with_padding_has_positions(tmp_path: Path) -> None:
    graph = "g (float[] x) => (float[] y) { y = Conv <pads = [1,1,1,1]> (x, w, b) }"
    path = model_file(tmp_path, graph, w=normal(3, 1, 2, 2), b=normal(3))
    feeds = {"x": np.zeros((1, 1, 0, 3), np.float32)}
    (found,) = compile_program(path).session().run(None, feeds)
    assert np.array_equal(found, Oracle(path).run(feeds)["y"])
