"""A small network with data that judge and data that calibrate, and studies of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper as oh
import onnx.numpy_helper as on
import pytest

from xbarc.explore import Study, make_study

MakeStudy = Callable[..., Study]


def write_net(path: Path, seed: int = 0, hidden: int = 40) -> Path:
    """Two products with a Relu between them: 12 inputs, 5 classes."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(12, hidden)).astype(np.float32)
    second = rng.normal(size=(hidden, 5)).astype(np.float32)
    nodes = [
        oh.make_node("MatMul", ["x", "w1"], ["a"], name="first"),
        oh.make_node("Relu", ["a"], ["h"]),
        oh.make_node("MatMul", ["h", "w2"], ["y"], name="second"),
    ]
    graph = oh.make_graph(
        nodes,
        "net",
        [oh.make_tensor_value_info("x", 1, ["N", 12])],
        [oh.make_tensor_value_info("y", 1, ["N", 5])],
        [on.from_array(first, "w1"), on.from_array(second, "w2")],
    )
    model = oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def write_flat_net(path: Path, *, keep: bool = False) -> Path:
    """A number a sample, and an axis of one score where it is kept: 12 inputs."""
    weights = np.random.default_rng(0).normal(size=(12, 8)).astype(np.float32)
    nodes = [
        oh.make_node("MatMul", ["x", "w"], ["a"], name="only"),
        oh.make_node("ReduceSum", ["a", "axis"], ["y"], keepdims=int(keep)),
    ]
    graph = oh.make_graph(
        nodes,
        "flat",
        [oh.make_tensor_value_info("x", 1, ["N", 12])],
        [oh.make_tensor_value_info("y", 1, ["N", 1] if keep else ["N"])],
        [on.from_array(weights, "w"), on.from_array(np.array([1]), "axis")],
    )
    onnx.save(oh.make_model(graph, opset_imports=[oh.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """The model, with `test.npz` and `cal.npz` beside it."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(150, 12)).astype(np.float32)
    labels = rng.integers(0, 5, 150)
    np.savez(tmp_path / "test.npz", x=x, labels=labels)
    np.savez(tmp_path / "cal.npz", x=rng.normal(size=(40, 12)).astype(np.float32))
    return write_net(tmp_path / "net.onnx")


@pytest.fixture
def study(net: Path) -> MakeStudy:
    """A study with these fields in place of the usual ones."""

    def make(**fields: Any) -> Study:
        folder = net.parent
        usual: dict[str, Any] = {
            "models": (net,),
            "data": folder / "test.npz",
            "calibrate": folder / "cal.npz",
            "knobs": {"array.columns": [64, 128], "adc": ["lossless", 5, 3]},
            "objectives": {"agreement": "max", "energy_uj": "min", "area_mm2": "min"},
            "search": {"images": (20, "all")},
        }
        return make_study({**usual, **fields})

    return make
