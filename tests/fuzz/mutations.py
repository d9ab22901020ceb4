"""Damage of models: changes that know the structure of ONNX, and changes of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from xbarc.numerics.types import AnyArray

WHOLES = (0, 1, 2, 3, -1, -2, 7, 255, 2**31 - 1, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63))
REALS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e-38, 1e38, -1e38, float("inf"), -float("inf"), float("nan"))
NAMES = (
    "x",
    "labels",
    "digital1",
    "",
    "a/b",
    "..",
    "\x1b[2J",
    "=1+1",
    "ß",
    "y" * 300,
    "c0",
    "v0_0",
)
OPERATORS = (
    *("Relu", "Conv", "MatMul", "Gemm", "ConvTranspose", "MatMulInteger", "Add", "Identity"),
    *("BatchNormalization", "DequantizeLinear", "QuantizeLinear", "MaxPool", "NoSuchOp"),
)

T = TypeVar("T")
Mutation = Callable[[np.random.Generator, onnx.ModelProto, Path], None]


def mutate(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """Change a model in place, one to three times; files of external data land in the folder."""
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        with suppress(NothingToChange):
            _pick(rng, MUTATIONS)(rng, model, folder)


def flip_bytes(rng: np.random.Generator, data: bytes) -> bytes:
    """Change one to four bytes, or cut the end off."""
    if rng.random() < 0.1:
        return data[: int(rng.integers(len(data)))]
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


class NothingToChange(Exception):  # noqa: N818  # a finding, not an error
    """The model has nothing that this kind of damage changes."""


def _sound(model: onnx.ModelProto) -> list[TensorProto]:
    """Constants that earlier damage left readable."""
    found = []
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            with suppress(ValueError, TypeError, KeyError):
                numpy_helper.to_array(tensor)
                found.append(tensor)
    return found


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    if not len(options):
        raise NothingToChange
    return options[int(rng.integers(len(options)))]


def _attribute(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """Another value, type or name of an attribute, or none."""
    attribute = _pick(rng, [a for node in model.graph.node for a in node.attribute])
    if attribute.type == onnx.AttributeProto.INTS and attribute.ints and rng.random() < 0.8:
        attribute.ints[int(rng.integers(len(attribute.ints)))] = _pick(rng, WHOLES)
    elif attribute.type == onnx.AttributeProto.INTS:
        attribute.ints.append(1)
    elif attribute.type == onnx.AttributeProto.INT:
        attribute.i = _pick(rng, WHOLES)
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = _pick(rng, REALS)
    if rng.random() < 0.1:
        attribute.name = _pick(rng, ("pads", "strides", "axis", "group", "nonsense"))
    if rng.random() < 0.1:
        attribute.type = int(rng.integers(1, 9))


def _drop_attribute(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    node = _pick(rng, [node for node in model.graph.node if node.attribute])
    del node.attribute[int(rng.integers(len(node.attribute)))]


def _new_attribute(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    node = _pick(rng, model.graph.node)
    name = _pick(rng, ("pads", "strides", "dilations", "auto_pad", "group", "axis", "alpha"))
    value = _pick(rng, ([1, 1], [0, 0, 1, 1], [-1, 2], "SAME_UPPER", "VALID", 2, 0.5, [2**62, 1]))
    if all(item.name != name for item in node.attribute):
        node.attribute.append(helper.make_attribute(name, value))


def _input_dimension(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """Another size of an input's axis, an open one, one more or one less."""
    value = _pick(rng, [*model.graph.input, *model.graph.value_info, *model.graph.output])
    dims = value.type.tensor_type.shape.dim
    choice = rng.random()
    dim = _pick(rng, dims)
    if choice < 0.6:
        dim.dim_value = _pick(rng, (-1, -1, 0, 1, 2, 5, 2**40))
    elif choice < 0.8:
        dim.dim_param = _pick(rng, ("N", "M", ""))
    elif choice < 0.9:
        dims.add().dim_value = 1
    elif len(dims):
        del dims[int(rng.integers(len(dims)))]


def _no_shape(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    value = _pick(rng, model.graph.input)
    value.type.tensor_type.ClearField("shape")


def _type(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    value = _pick(rng, [*model.graph.input, *model.graph.output])
    value.type.tensor_type.elem_type = int(rng.integers(0, 24))


def _values(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """Extreme numbers in a constant."""
    tensor = _pick(rng, _sound(model))
    array = np.array(numpy_helper.to_array(tensor))
    if not array.size:
        return
    flat = array.reshape(-1)
    where = slice(None) if rng.random() < 0.3 else int(rng.integers(flat.size))
    flat[where] = _extreme(rng, flat)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _extreme(rng: np.random.Generator, flat: AnyArray) -> AnyArray | float:
    if flat.dtype.kind == "f":
        with np.errstate(all="ignore"):
            return np.asarray(_pick(rng, REALS)).astype(flat.dtype)
    if flat.dtype.kind in "iu":
        limits = np.iinfo(flat.dtype)
        return np.asarray(_pick(rng, (limits.min, limits.max, 0, 1))).astype(flat.dtype)
    first: AnyArray = flat[0]  # elements of ml_dtypes take no array in the place of a number
    return first


def _scaled(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A constant times a large or small factor, or with its sign turned."""
    tensor = _pick(rng, [t for t in _sound(model) if t.data_type == TensorProto.FLOAT])
    with np.errstate(all="ignore"):
        array = numpy_helper.to_array(tensor) * np.float32(_pick(rng, (-1, 1e-30, 1e30, 0, 1e4)))
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _tensor_shape(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A constant with the same numbers in another shape, or some of them only."""
    tensor = _pick(rng, _sound(model))
    array = numpy_helper.to_array(tensor)
    choice = rng.random()
    if choice < 0.3:
        array = array.reshape(-1)
    elif choice < 0.5:
        array = array[None]
    elif choice < 0.7 and array.ndim:
        array = array[:1]
    elif choice < 0.8 and array.ndim:
        array = array[:0]
    elif array.ndim:
        array = np.concatenate([array, array])
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def _tensor_type(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    tensor = _pick(rng, _sound(model))
    kind = _pick(rng, (np.float16, np.float32, np.float64, np.int8, np.uint8, np.int16, np.int32))
    with np.errstate(all="ignore"):
        array = numpy_helper.to_array(tensor).astype(kind)
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _declared(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A tensor that lies about its shape or type."""
    tensor = _pick(rng, model.graph.initializer)
    if rng.random() < 0.5:
        tensor.data_type = int(rng.integers(0, 26))
    elif tensor.dims:
        tensor.dims[int(rng.integers(len(tensor.dims)))] = _pick(rng, WHOLES)


def _rewire(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A node reads another value, nothing, or one input less or more."""
    node = _pick(rng, model.graph.node)
    names = [name for other in model.graph.node for name in (*other.input, *other.output)]
    name = _pick(rng, [*names, "", "x"])
    choice = rng.random()
    if choice < 0.7 and len(node.input):
        node.input[int(rng.integers(len(node.input)))] = name
    elif choice < 0.85:
        node.input.append(name)
    elif len(node.input):
        del node.input[-1]


def _more_outputs(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """Another value of the graph, or an input, becomes an output too."""
    names = [name for node in model.graph.node for name in node.output]
    name = _pick(rng, [*names, "x"])
    if all(value.name != name for value in model.graph.output):
        model.graph.output.append(onnx.ValueInfoProto(name=name))


def _operator(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    node = _pick(rng, model.graph.node)
    if rng.random() < 0.7:
        node.op_type = _pick(rng, OPERATORS)
    else:
        node.domain = _pick(rng, ("", "ai.onnx", "com.microsoft", "nowhere", "ai.onnx.ml"))


def _duplicate(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A node twice: with the same outputs, or with others and the same name."""
    node = _pick(rng, model.graph.node)
    copy = model.graph.node.add()
    copy.CopyFrom(node)
    if rng.random() < 0.7:
        for index, name in enumerate(list(copy.output)):
            copy.output[index] = f"{name}_again"
        model.graph.output.append(onnx.ValueInfoProto(name=copy.output[0]))


def _drop_node(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    if model.graph.node:
        del model.graph.node[int(rng.integers(len(model.graph.node)))]


def _shuffle(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes[index] for index in rng.permutation(len(nodes)))


def _node_name(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    node = _pick(rng, model.graph.node)
    node.name = _pick(rng, NAMES)


def _value_name(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A value renamed everywhere."""
    values = [name for node in model.graph.node for name in (*node.input, *node.output) if name]
    old, new = _pick(rng, values), _pick(rng, NAMES)
    for node in model.graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(list(names)):
                names[index] = new if name == old else name
    for port in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        port.name = new if port.name == old else port.name


def _opset(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    if rng.random() < 0.8:
        model.opset_import[0].version = _pick(rng, (1, 6, 7, 9, 11, 13, 17, 21, 23, 26, 99, -1))
    else:
        model.ir_version = _pick(rng, (1, 3, 4, 8, 10, 13, 99))


def _external(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A constant in a file of its own, sometimes with a wrong place or length."""
    tensor = _pick(rng, [t for t in model.graph.initializer if t.HasField("raw_data")])
    data = tensor.raw_data
    (folder / "weights.bin").write_bytes(bytes(64) + data)
    entries = {"location": "weights.bin", "offset": "64", "length": str(len(data))}
    if rng.random() < 0.3:
        key = _pick(rng, tuple(entries))
        entries[key] = _pick(rng, ("", "-1", "9" * 25, "../weights.bin", "absent", "0", "63"))
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


def _as_input(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A constant becomes an input, with its value as default or without."""
    tensor = _pick(rng, model.graph.initializer)
    value = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
    model.graph.input.append(value)
    if rng.random() < 0.5:
        model.graph.initializer.remove(tensor)


def _in_branches(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """The whole net inside an `If` on a constant."""
    graph = model.graph
    if not graph.node or len(graph.output) != 1:
        return
    name = graph.output[0].name
    body = onnx.GraphProto(name="body")
    body.node.extend(graph.node)
    body.output.append(onnx.ValueInfoProto(name=name))
    other = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["other"])],
        "other",
        [],
        [onnx.ValueInfoProto(name="other")],
    )
    taken = bool(rng.random() < 0.5)
    then, otherwise = (body, other) if taken else (other, body)
    del graph.node[:]
    graph.initializer.append(numpy_helper.from_array(np.array(taken), "condition"))
    node = helper.make_node(
        "If", ["condition"], ["chosen"], name="if", then_branch=then, else_branch=otherwise
    )
    graph.node.append(node)
    graph.output[0].name = "chosen"


def _in_function(rng: np.random.Generator, model: onnx.ModelProto, folder: Path) -> None:
    """A node becomes a call of a function that holds it."""
    index = int(rng.integers(max(1, len(model.graph.node))))
    if index >= len(model.graph.node):
        return
    node = model.graph.node[index]
    inputs = [name for name in dict.fromkeys(node.input) if name]
    inner = onnx.NodeProto.FromString(node.SerializeToString())
    name = f"F{len(model.functions)}"
    opsets = [helper.make_opsetid(entry.domain, entry.version) for entry in model.opset_import]
    model.functions.append(
        helper.make_function("local", name, inputs, list(node.output), [inner], opsets)
    )
    call = helper.make_node(name, inputs, list(node.output), name=node.name, domain="local")
    model.graph.node[index].CopyFrom(call)
    if all(entry.domain != "local" for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid("local", 1))


MUTATIONS: tuple[Mutation, ...] = (
    _attribute,
    _attribute,
    _drop_attribute,
    _new_attribute,
    _input_dimension,
    _no_shape,
    _type,
    _values,
    _values,
    _values,
    _scaled,
    _tensor_shape,
    _tensor_shape,
    _tensor_type,
    _declared,
    _rewire,
    _rewire,
    _more_outputs,
    _operator,
    _duplicate,
    _drop_node,
    _shuffle,
    _node_name,
    _value_name,
    _opset,
    _external,
    _as_input,
    _in_branches,
    _in_function,
)
