"""Trained nets lose at most 0.2 points on crossbars; the onnx package's nine classics run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.models.places import (
    LIGHT,
    MODELS,
    calibration,
    digits,
    fashion_test,
    qonnx_model,
    shipped_images,
)
from tests.models.zoo import assert_close_to_float, batched_mnist, measured
from xbarc.compiler import compile_model
from xbarc.evaluate import evaluate
from xbarc.executor import Executor

FASHION = ("vgg", "resnet", "mlp", "depthwise")
RANGES = ("static", "dynamic")
POINTS = 0.2


def _fashion(net: str, ranges: str, data: dict[str, Any]) -> Any:
    known = calibration() if ranges == "static" else None
    return measured(MODELS / f"fashion-{net}.onnx", data, calibration=known)


def _shipped() -> list[Any]:
    """Every net; the two slowest with dynamic ranges in the slow lane."""
    late = {("resnet", "dynamic"), ("depthwise", "dynamic")}
    return [
        pytest.param(net, ranges, marks=(pytest.mark.slow,) if (net, ranges) in late else ())
        for net in FASHION
        for ranges in RANGES
    ]


@pytest.mark.parametrize(("net", "ranges"), _shipped())
def test_fashion_on_shipped_images(net: str, ranges: str) -> None:
    """On 250 images a point is 2.5 answers, so agreement says more than top-1."""
    result = _fashion(net, ranges, shipped_images(250))
    assert result.samples == 250
    assert result.agreement is not None
    assert result.agreement >= 0.988
    assert not any(layer.saturated for layer in result.layers)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("ranges", RANGES)
@pytest.mark.parametrize("net", FASHION)
def test_fashion_on_all_test_images(net: str, ranges: str) -> None:
    result = _fashion(net, ranges, fashion_test())
    assert result.samples == 10_000
    assert_close_to_float(result, POINTS)
    assert result.agreement is not None
    assert result.agreement >= 0.99


@pytest.mark.data
def test_zoo_mnist_as_shipped() -> None:
    """Batch 1, pixels 0 to 255."""
    pixels, labels = digits(200)
    path = qonnx_model("mnist-conv/model.onnx")
    result = measured(path, {"Input3": pixels, "labels": labels})
    assert result.samples == 200
    assert_close_to_float(result, POINTS)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("ranges", RANGES)
def test_zoo_mnist_on_all_digits(ranges: str, tmp_path: Path) -> None:
    """Static ranges see 250 of the digits that are measured, dynamic ranges see none before."""
    pixels, labels = digits(5000)
    path = batched_mnist(qonnx_model("mnist-conv/model.onnx"), tmp_path / "mnist.onnx")
    known = {"Input3": pixels[::20]} if ranges == "static" else None
    result = measured(path, {"Input3": pixels, "labels": labels}, calibration=known)
    assert result.samples == 5000
    assert_close_to_float(result, POINTS)


@pytest.mark.data
def test_a_dynamic_batch_changes_no_answer(tmp_path: Path) -> None:
    source = qonnx_model("mnist-conv/model.onnx")
    pixels, _ = digits(5)
    whole = compile_model(batched_mnist(source, tmp_path / "mnist.onnx"))
    (together,) = Executor(whole).run({"Input3": pixels})
    single = Executor(compile_model(source))
    alone = [single.run({"Input3": pixels[at : at + 1]})[0] for at in range(5)]
    assert np.array_equal(together, np.concatenate(alone))


def _light() -> list[Any]:
    """All nine; the largest in the slow lane."""
    large: tuple[str, ...] = (
        "light_vgg19",
        "light_bvlc_alexnet",
        "light_zfnet512",
        "light_densenet121",
    )
    large += ("light_inception_v1", "light_inception_v2", "light_resnet50", "light_shufflenet")
    names = sorted(path.stem for path in LIGHT.glob("light_*.onnx"))
    assert len(names) == 9
    return [
        pytest.param(name, marks=(pytest.mark.slow,) if name in large else ()) for name in names
    ]


@pytest.mark.parametrize("name", _light())
def test_light_models_compile_and_run(name: str) -> None:
    """As shipped; each layer is ONNX Runtime's but for quantisation, the file stays as it was.

    The classifiers' own outputs say little: all weights of a layer are equal, and so all classes.
    """
    path = LIGHT / f"{name}.onnx"
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    graph = onnx.load(path).graph
    convolutions = sum(node.op_type in ("Conv", "Gemm") for node in graph.node)
    program = compile_model(path)
    assert len(program.crossbar_steps) == convolutions
    assert all(not step.notes for step in program.digital_steps)
    (value,) = program.inputs
    shape = [size if isinstance(size, int) else 1 for size in value.shape or ()]
    pixels = np.random.default_rng(0).random(shape, dtype=np.float32)
    result = evaluate(program, {value.name: pixels}, path)
    assert result.samples == shape[0]
    assert result.agreement is not None
    for layer in result.layers:
        assert layer.identical or (layer.sqnr_db or 0.0) >= 25, layer
        assert not layer.saturated, layer
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
