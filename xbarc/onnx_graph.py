"""An ONNX model as plain data, for rooms that look into digital fragments.

Besides `frontend`, which reads and writes models, and `runtime`, which runs them, this is where
onnx is seen; an import rule keeps it so. Models may come from outside: what is no model is a
`ModelError`, and attributes without a value, or of a kind that no rule reads, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.errors import ModelError
from xbarc.numerics import AnyArray
from xbarc.operators import Operator, find


@dataclass(frozen=True, eq=False)
class GraphNode:
    """A node.

    Attributes:
        operator: what it means; a function of the model may hide an operator.
        name: its own, or that of its first output.
        inputs, outputs: names, empty where one is left out.
        attributes: numbers, texts and lists of them, and tensors of one entry, by name; the element
            type of `to` by its numpy name.
        has_body: whether it holds graphs.
    """

    operator: Operator
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    has_body: bool

    def whole(self, name: str, default: int = 0) -> int:
        """An integer attribute."""
        found = self.attributes.get(name, default)
        return found if isinstance(found, int) else default

    def wholes(self, name: str, default: Sequence[int] = ()) -> tuple[int, ...]:
        """A list of integers."""
        found = self.attributes.get(name, default)
        return tuple(found) if isinstance(found, list) else tuple(default)


class OnnxGraph:
    """The main graph of a model.

    Args:
        model: serialised.
        where: what the model is, for messages.

    Attributes:
        inputs, outputs: numpy names of element types, by name; empty where one is not known.
        nodes: but those that hold constants.

    Raises:
        ModelError: it is no ONNX model.
    """

    def __init__(self, model: bytes, where: str = "") -> None:
        proto = parse_model(model)
        if proto is None:
            raise ModelError("cannot be read: it is no ONNX model", where=where)
        graph = proto.graph
        self.inputs = {value.name: _declared_type(value) for value in graph.input}
        self.outputs = {value.name: _declared_type(value) for value in graph.output}
        self._tensors = {tensor.name: tensor for tensor in graph.initializer}
        hidden = {(function.domain, function.name) for function in proto.functions}
        nodes = []
        for node in graph.node:
            own = (node.domain, node.op_type) in hidden
            operator = Operator("") if own else find(node.domain, node.op_type)
            if operator.name == "Constant" and node.output:
                self._tensors[node.output[0]] = node
            else:
                nodes.append(_node(node, operator))
        self.nodes = tuple(nodes)

    @property
    def constants(self) -> Iterator[str]:
        """Names of constants; an initialiser that is an input may be given another value."""
        return (name for name in self._tensors if name not in self.inputs)

    def constant(self, name: str) -> AnyArray | None:
        """A constant; None for other kinds than numbers and truth values, and for external data."""
        held = self._tensors[name]
        return _value(held) if held.DESCRIPTOR.name == "NodeProto" else _array(held)


def parse_model(data: bytes) -> Any | None:
    """A serialised model as its message; None where it is none."""
    import onnx  # noqa: PLC0415  # --help must not load it
    from google.protobuf.message import (  # type: ignore[import-untyped]  # noqa: PLC0415
        DecodeError,
    )

    try:
        return onnx.load_from_string(data)
    except DecodeError:
        return None


def with_outputs(model: bytes | Path, names: Sequence[str]) -> bytes:
    """The model with values inside the graph as further outputs; external data is read in."""
    import onnx  # noqa: PLC0415

    proto = onnx.load(str(model)) if isinstance(model, Path) else onnx.load_from_string(model)
    written = {name for node in proto.graph.node for name in node.output}
    present = {value.name for value in proto.graph.output}
    for name in names:
        if name in written and name not in present:
            proto.graph.output.append(onnx.ValueInfoProto(name=name))
    data: bytes = proto.SerializeToString()
    return data


def _node(node: Any, operator: Operator) -> GraphNode:
    return GraphNode(
        operator,
        node.name or next(iter(node.output), ""),
        tuple(node.input),
        tuple(node.output),
        dict(_attributes(node)),
        any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute),
    )


def _attributes(node: Any) -> Iterator[tuple[str, Any]]:
    import onnx  # noqa: PLC0415

    kinds = onnx.AttributeProto
    for item in node.attribute:
        match item.type:
            case kinds.INT:
                yield item.name, _dtype(item.i) if item.name == "to" else item.i
            case kinds.FLOAT:
                yield item.name, item.f
            case kinds.STRING:
                yield item.name, item.s.decode("utf-8", "replace")
            case kinds.INTS:
                yield item.name, list(item.ints)
            case kinds.FLOATS:
                yield item.name, list(item.floats)
            case kinds.TENSOR if prod(item.t.dims) == 1:
                yield item.name, _array(item.t)


def _declared_type(value: Any) -> str:
    """A declared element type; nothing else of the declaration is relied on."""
    return _dtype(value.type.tensor_type.elem_type)


def _dtype(number: int) -> str:
    """Numpy name of an element type of numbers or truth values; empty for others."""
    import onnx  # noqa: PLC0415

    if number in (onnx.TensorProto.BFLOAT16, onnx.TensorProto.UNDEFINED):
        return ""
    if number not in onnx.helper.get_all_tensor_dtypes():
        return ""
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    return str(dtype) if dtype.kind in "fiub" and dtype.isbuiltin else ""


def _array(tensor: Any) -> AnyArray | None:
    from onnx import TensorProto, numpy_helper  # noqa: PLC0415

    outside = tensor.data_location == TensorProto.EXTERNAL
    if outside or not _dtype(tensor.data_type):
        return None
    array: AnyArray = numpy_helper.to_array(tensor)
    return array


def _value(node: Any) -> AnyArray | None:
    """The tensor of a Constant; other kinds of constants are not looked at."""
    for attribute in node.attribute:
        if attribute.name == "value":
            return _array(attribute.t)
        if attribute.name == "value_float":
            return np.array(attribute.f, dtype=np.float32)
        if attribute.name == "value_int":
            return np.array(attribute.i, dtype=np.int64)
    return None
