"""A fragment from outside: no data in other files, no foreign operators, no absurd sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.builders import small_target
from xbarc.ir.network import DigitalFragment, ModelSource, Value
from xbarc.ir.program import Program
from xbarc.ir.verify.fragments import fragments_closed, loops

FLOAT = TensorProto.FLOAT
Build = Callable[[], onnx.ModelProto]


def elsewhere(name: str = "leak", *, flag: bool = True) -> TensorProto:
    """A tensor whose data is said to lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.UINT8, dims=[8])
    tensor.raw_data = b"" if flag else bytes(8)
    tensor.data_location = TensorProto.EXTERNAL if flag else TensorProto.DEFAULT
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret.txt"
    return tensor


def ports(*names: str) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, FLOAT, None) for name in names]


def model(
    nodes: Iterable[onnx.NodeProto] = (),
    initializers: Iterable[TensorProto] = (),
    functions: Iterable[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """A fragment that gives `y = Relu(x)`, and these parts."""
    relu = helper.make_node("Relu", ["x"], ["y"])
    graph = helper.make_graph([relu, *nodes], "g", ports("x"), ports("y"), list(initializers))
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("own", 1)],
        functions=list(functions),
    )


def constant(tensor: TensorProto) -> onnx.NodeProto:
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.append(helper.make_attribute("value", tensor))
    return node


def inside_a_body() -> onnx.ModelProto:
    body = helper.make_graph(
        [helper.make_node("Identity", ["leak"], ["out"])], "body", [], ports("out"), [elsewhere()]
    )
    deeper = helper.make_graph(
        [helper.make_node("If", ["k"], ["out"], then_branch=body, else_branch=body)],
        "deeper",
        [],
        ports("out"),
    )
    flag = numpy_helper.from_array(np.array(True), "k")
    node = helper.make_node("If", ["k"], ["z"], then_branch=deeper, else_branch=deeper)
    return model([node], [flag])


def inside_a_function() -> onnx.ModelProto:
    function = helper.make_function(
        "own", "F", ["a"], ["c"], [constant(elsewhere())], [helper.make_opsetid("", 17)]
    )
    return model([helper.make_node("F", ["x"], ["z"], domain="own")], (), [function])


def sparse() -> onnx.ModelProto:
    proto = model()
    wide = proto.graph.sparse_initializer.add()
    wide.dims.append(1 << 60)
    wide.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "v"))
    wide.indices.CopyFrom(numpy_helper.from_array(np.zeros(1, np.int64), "i"))
    return proto


def with_settings() -> onnx.ModelProto:
    proto = model()
    entry = proto.metadata_props.add()
    entry.key, entry.value = "ort_config", "{}"
    return proto


def another_border() -> onnx.ModelProto:
    proto = model()
    proto.graph.input[0].name = "z"
    proto.graph.node[0].input[0] = "z"
    return proto


def no_output() -> onnx.ModelProto:
    proto = model()
    proto.graph.output[0].name = "z"
    return proto


FAULTS: dict[str, tuple[Build, str]] = {
    "an initialiser": (lambda: model([], [elsewhere()]), "lies in another file"),
    "entries without the flag": (lambda: model([], [elsewhere(flag=False)]), "another file"),
    "an attribute": (lambda: model([constant(elsewhere())]), "'leak', whose data lies in another"),
    "a body in a body": (inside_a_body, "lies in another file"),
    "a function": (inside_a_function, "lies in another file"),
    "a sparse tensor": (sparse, "holds a sparse tensor of shape [1152921504606846976]"),
    "a size without data": (
        lambda: model([], [TensorProto(name="big", data_type=FLOAT, dims=[1 << 61])]),
        "holds the tensor 'big' of shape [2305843009213693952] without its data",
    ),
    "a negative size": (
        lambda: model([], [TensorProto(name="big", data_type=FLOAT, dims=[-4])]),
        "without its data",
    ),
    "a foreign operator": (
        lambda: model([helper.make_node("PyOp", ["x"], ["z"], domain="evil")]),
        "holds PyOp of the domain 'evil', which nothing runs",
    ),
    "settings of the runtime": (with_settings, "carries settings"),
    "another input": (another_border, "takes ['z'], expected ['x']"),
    "another output": (no_output, "gives ['z'], expected ['y']"),
}


def program(data: bytes, operators: tuple[tuple[str, int], ...] = ()) -> Program:
    step = DigitalFragment("digital0", data, ("x",), ("y",), operators, 0, ())
    target = small_target()
    x, y = Value("x", "float32", None), Value("y", "float32", None)
    return Program("p", ModelSource("p.onnx", "0" * 64), target, (x,), (y,), (step,), 0, ())


@pytest.mark.parametrize("name", FAULTS)
def test_a_fragment_that_no_compiler_wrote(name: str) -> None:
    build, words = FAULTS[name]
    found = list(fragments_closed(program(build().SerializeToString())))
    assert len(found) == 1, found
    assert words in found[0]
    assert found[0].startswith("digital0: ")


def test_a_sound_fragment() -> None:
    function = helper.make_function(
        "own", "F", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], []
    )
    call = helper.make_node("F", ["x"], ["z"], domain="own")
    data = model([call], [numpy_helper.from_array(np.ones(3, np.float32), "w")], [function])
    sound = program(data.SerializeToString(), (("Relu", 1), ("own.F", 1)))
    assert list(fragments_closed(sound)) == []


@pytest.mark.parametrize(
    "data", [b"no model", b"", onnx.ModelProto(ir_version=8).SerializeToString()]
)
def test_no_model_at_all(data: bytes) -> None:
    assert list(fragments_closed(program(data))) == ["digital0: is no ONNX model"]


def test_counts_that_the_fragment_does_not_have() -> None:
    said = program(model().SerializeToString(), (("Relu", 1 << 40),))
    assert list(fragments_closed(said)) == [
        "digital0: is said to hold 1099511627776 times Relu, it holds 1"
    ]


def test_loops_are_named() -> None:
    body = helper.make_graph(
        [helper.make_node("Identity", ["c"], ["d"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("c", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
    )
    count = numpy_helper.from_array(np.array(1 << 62), "n")
    node = helper.make_node("Loop", ["n", ""], [], name="forever", body=body)
    assert list(loops(program(model([node], [count]).SerializeToString()))) == [
        ("digital0", "Loop 'forever'")
    ]
