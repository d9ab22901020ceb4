"""External data inside nodes: taken into fragments, wherever the command is started."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.frontend.onnx_models import fragments, write
from xbarc.frontend import read_network
from xbarc.runtime import OnnxSession

FLOAT = TensorProto.FLOAT


def external(name: str, offset: int) -> TensorProto:
    tensor = TensorProto(name=name, data_type=FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "data.bin"), ("offset", str(offset)), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def constant(name: str, tensor: TensorProto) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], [name])
    node.attribute.append(helper.make_attribute("value", tensor))
    return node


def port(name: str, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, None)


def model() -> onnx.ModelProto:
    """External tensors in an initialiser of a branch, in an attribute and in a function."""
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    add = helper.make_node("Add", ["x", "c"], ["then_out"])
    then = helper.make_graph([add], "then", [], [port("then_out")], [external("c", 0)])
    same = helper.make_node("Identity", ["x"], ["else_out"])
    other = helper.make_graph([same], "else", [], [port("else_out")])
    body = [constant("q", external("q", 32)), helper.make_node("Add", ["a", "q"], ["b"])]
    function = helper.make_function("own", "F", ["a"], ["b"], body, versions[:1])
    nodes = [
        helper.make_node("If", ["flag"], ["i"], then_branch=then, else_branch=other),
        constant("k", external("k", 16)),
        helper.make_node("Add", ["i", "k"], ["j"]),
        helper.make_node("F", ["j"], ["y"], domain="own"),
    ]
    graph = helper.make_graph(nodes, "g", [port("x"), port("flag", TensorProto.BOOL)], [port("y")])
    return helper.make_model(graph, opset_imports=versions, functions=[function])


def test_data_inside_nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.arange(12, dtype=np.float32).tofile(tmp_path / "data.bin")
    path = write(tmp_path, model())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (fragment,) = fragments(read_network(path))
    assert b"data.bin" not in fragment.model
    feeds = {"x": np.zeros(4, np.float32), "flag": np.array(True)}
    (found,) = OnnxSession(fragment.model, where="fragment").run(feeds)
    wanted = np.arange(12, dtype=np.float32).reshape(3, 4).sum(axis=0)
    assert np.array_equal(found, wanted)
