"""Names: of functions' nodes, of what the compiler adds, of fragments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from tests.frontend.onnx_models import check, model_file, normal, write
from xbarc.errors import UnsupportedError
from xbarc.frontend import read_network
from xbarc.frontend.graph import element_types
from xbarc.oracle import Oracle
from xbarc.runtime import OnnxSession

CALLS = '<ir_version: 8, opset_import: ["": 17, "l": 1]>'
FUNCTIONS = """
<domain: "l", opset_import: ["": 17]> dense (a, m) => (b) { [product] b = MatMul(a, m) }
<domain: "l", opset_import: ["": 17, "l": 1]> twice (a, m) => (b) {
    [one] c = l.dense(a, m)
    d = Relu(c)
    [two] b = l.dense(d, m)
}"""


def test_nodes_of_functions_keep_the_name_of_the_call(tmp_path: Path) -> None:
    text = f"""g (float[N,4] x) => (float[] y) {{
        [first] a = l.dense(x, w)
        r = Relu(a)
        [second] y = l.twice(r, w)
    }} {FUNCTIONS}"""
    network = check(model_file(tmp_path, text, CALLS, w=normal(4, 4)), x=normal(2, 4))
    names = [layer.name for layer in network.matrix_layers]
    assert names == ["first/product", "second/one/product", "second/two/product"]


def test_a_call_without_a_name_has_that_of_its_function(tmp_path: Path) -> None:
    text = f"""g (float[N,4] x) => (float[] y) {{
        a = l.dense(x, w)
        y = l.dense(a, w)
    }} {FUNCTIONS}"""
    network = check(model_file(tmp_path, text, CALLS, w=normal(4, 4)), x=normal(2, 4))
    names = [layer.name for layer in network.matrix_layers]
    assert names == ["dense/product", "dense/product#2"]


def test_layers_may_have_the_names_of_fragments(tmp_path: Path) -> None:
    text = """g (float[N,4] x) => (float[] y) {
        [digital2] a = MatMul(x, w)
        r = Relu(a)
        [digital1] b = MatMul(r, w)
        s = Relu(b)
        y = Sigmoid(s)
    }"""
    network = check(model_file(tmp_path, text, w=normal(4, 4)), x=normal(2, 4))
    names = [layer.name for layer in network.layers]
    assert names == ["digital2", "digital1#2", "digital1", "digital2#2"]


def test_values_may_have_the_names_that_the_compiler_would_give(tmp_path: Path) -> None:
    """A Gemm with a matrix as addend is split, and its product needs a name."""
    text = """g (float[2,4] x, float[2,3] c) => (float[] y, float[] z) {
        p = Neg(x)
        y = Gemm<beta = 2.0>(x, w, c)
        z = Add(p, p)
    }"""
    path = model_file(tmp_path, text, w=normal(4, 3))
    for taken in ("y/product", "y/sum", "y/beta", "y/addend"):
        check(_renamed(path, "p", taken), x=normal(2, 4), c=normal(2, 3, seed=1))


def _renamed(path: Path, old: str, new: str) -> Path:
    model = onnx.load(path)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(list(names)):
                names[index] = new if name == old else name
    target = path.with_name("renamed.onnx")
    target.write_bytes(model.SerializeToString())
    return target


def test_casts_at_borders_take_no_name_of_the_fragment(tmp_path: Path) -> None:
    text = """g (bfloat16[N] x) => (float[] y, float[] z) {
        y = Cast<to = 1>(x)
        n = Neg(y)
        z = Abs(n)
    }"""
    path = _renamed(model_file(tmp_path, text), "n", "x/narrow")
    proto = onnx.load(path)
    assert element_types.carry(proto, {"x": element_types.tensor_type(onnx.TensorProto.BFLOAT16)})
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.FLOAT
    session = OnnxSession(proto.SerializeToString(), where="fragment")
    found = session.run({"x": np.array([-1.5, 2], np.float32)})
    np.testing.assert_array_equal(found, [[-1.5, 2], [1.5, 2]])


EQUAL = """<ir_version: 8, opset_import: ["": 17, "local": 1]>
g (float[N,4] x) => (float[] y) { [one] h = local.f(x, w)  [two] y = local.f(h, w) }
<domain: "local", opset_import: ["": 17]> f (a, b) => (c) {
    [in] d = MatMul(a, b)  [out] c = Relu(d) }
"""


@pytest.mark.parametrize(
    ("old", "new", "refused"),
    [
        ("[one]", "[one]", ""),
        ("[two]", "[one]", "model: ONNX Runtime cannot run the model: 2 nodes have the name 'one'"),
        ("[out]", "[in]", "function f: ONNX Runtime cannot run the model: 2 nodes have the name"),
        ("[in] d", "d", ""),
    ],
)
def test_equal_names_around_functions_are_refused(
    tmp_path: Path, old: str, new: str, refused: str
) -> None:
    """As in ONNX Runtime, though inlining would give each node a name of its own."""
    model = parser.parse_model(EQUAL.replace(old, new))
    model.graph.initializer.append(numpy_helper.from_array(normal(4, 4), "w"))
    path = write(tmp_path, model)
    if not refused:
        check(path, x=normal(2, 4))
        return
    with pytest.raises(UnsupportedError, match="two nodes with same node name"):
        Oracle(path)
    with pytest.raises(UnsupportedError, match=refused):
        read_network(path)
