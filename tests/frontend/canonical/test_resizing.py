"""ONNX Runtime ends the process where Upsample and Resize meet a rank that they are not for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import xbarc
from tests.frontend.onnx_models import model_file, write
from xbarc.errors import InputError
from xbarc.frontend import runnable_model
from xbarc.runtime import OnnxSession

KINDS = [("Upsample", 7), ("Upsample", 9), ("Resize", 10), ("Resize", 13)]


def net(kind: str, opset: int, count: int, shape: list[int] | None, before: str) -> onnx.ModelProto:
    """A factor of 2 on the last of `count` axes, behind an operator that keeps the rank open."""
    factors = numpy_helper.from_array(np.array([1.0] * (count - 1) + [2.0], np.float32), "s")
    inputs = ["r", "s"]
    given: dict[str, Any] = {"mode": "nearest"}
    if (kind, opset) == ("Upsample", 7):
        inputs = ["r"]
        given["scales"] = [1.0] * (count - 1) + [2.0]
    if opset > 10:
        inputs = ["r", "", "s"]
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if before == "Reshape":
        ports.append(helper.make_tensor_value_info("n", TensorProto.INT64, ["k"]))
    first = helper.make_node(before, [port.name for port in ports], ["r"])
    node = helper.make_node(kind, inputs, ["y"], **given)
    graph = helper.make_graph(
        [first, node],
        "g",
        ports,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [] if "scales" in given else [factors],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.mark.parametrize(("kind", "opset"), KINDS)
@pytest.mark.parametrize("before", ["Relu", "Reshape"])
def test_another_rank_is_refused_and_the_right_one_runs(
    tmp_path: Path, kind: str, opset: int, before: str
) -> None:
    shape = None if before == "Relu" else [1, 1, 2, 3]
    path = write(tmp_path, net(kind, opset, 3, shape, before))
    right, wrong = np.ones((1, 2, 3), np.float32), np.ones((1, 1, 2, 3), np.float32)
    session = xbarc.compile(path).session()
    judge = OnnxSession(runnable_model(path), where="judge")
    good: dict[str, Any] = {"x": right}
    bad: dict[str, Any] = {"x": wrong}
    if before == "Reshape":
        good = {"x": wrong, "n": np.array(right.shape)}
        bad = {"x": wrong, "n": np.array(wrong.shape)}
    for run in (lambda feeds: session.run(None, feeds), judge.run):
        assert run(good)[0].shape == (1, 2, 6)
        with pytest.raises(InputError, match="perm"):
            run(bad)


def test_a_rank_that_is_known_needs_no_guard(tmp_path: Path) -> None:
    path = write(tmp_path, net("Resize", 13, 4, [1, 1, 2, 3], "Relu"))
    assert runnable_model(path) == path


def test_probabilities_of_another_rank_are_refused(tmp_path: Path) -> None:
    graph = """g (float[3] x, int64[k] n) => (int32[] y) {
        r = Reshape(x, n) y = Multinomial<sample_size = 3>(r) }"""
    path = model_file(tmp_path, graph)
    session = xbarc.compile(path).session()
    x = np.ones(3, np.float32)
    assert session.run(None, {"x": x, "n": np.array([1, 3])})[0].shape == (1, 3)
    with pytest.raises(InputError, match="perm"):
        session.run(None, {"x": x, "n": np.array([3])})
