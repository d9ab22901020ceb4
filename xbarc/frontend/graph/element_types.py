"""Element types at borders: from ONNX Runtime's spelling, and across types that numpy lacks.

ONNX Runtime's Python interface cannot hand over bfloat16 or numbers below 8 bits. Where such a
tensor crosses a border it travels in a wider type, and a Cast on each side hides that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx
from onnx import TensorProto

from xbarc.errors import UnsupportedError
from xbarc.frontend.graph.naming import unique

_KNOWN = tuple(TensorProto.DataType.keys())

_NAMES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
    **{
        kind.lower(): value
        for kind, value in TensorProto.DataType.items()
        if kind not in ("UNDEFINED", "FLOAT", "DOUBLE", "BOOL", "STRING")
    },
}

_NUMPY = {
    **{kind: kind.lower() for kind in ("FLOAT16", "BOOL", "STRING")},
    **{f"{sign}INT{bits}": f"{sign}INT{bits}".lower() for sign in ("", "U") for bits in (8, 16)},
    **{f"{sign}INT{bits}": f"{sign}INT{bits}".lower() for sign in ("", "U") for bits in (32, 64)},
    "FLOAT": "float32",
    "DOUBLE": "float64",
    "COMPLEX64": "complex64",
    "COMPLEX128": "complex128",
}

CARRIERS = {
    TensorProto.BFLOAT16: TensorProto.FLOAT,
    TensorProto.INT4: TensorProto.INT8,
    TensorProto.UINT4: TensorProto.UINT8,
    **{
        TensorProto.DataType.Value(small): TensorProto.DataType.Value(wide)
        for small, wide in (("INT2", "INT8"), ("UINT2", "UINT8"))
        if small in _KNOWN
    },
    **{
        TensorProto.DataType.Value(small): TensorProto.FLOAT
        for small in _KNOWN
        if small.startswith("FLOAT8E")
    },
}
"""Types that cannot cross a border, and those that carry them."""


def parse_type(text: str, where: str) -> onnx.TypeProto:
    """A type as ONNX Runtime spells it, such as `seq(tensor(float))`."""
    kind, _, rest = text.strip().partition("(")
    inner = rest.removesuffix(")")
    if kind == "tensor" and inner in _NAMES:
        return tensor_type(_NAMES[inner])
    if kind == "seq":
        return onnx.TypeProto(
            sequence_type=onnx.TypeProto.Sequence(elem_type=parse_type(inner, where))
        )
    if kind == "optional":
        return onnx.TypeProto(
            optional_type=onnx.TypeProto.Optional(elem_type=parse_type(inner, where))
        )
    if kind == "map":
        key, _, value = inner.partition(",")
        entry = onnx.TypeProto.Map(key_type=_NAMES[key], value_type=parse_type(value, where))
        return onnx.TypeProto(map_type=entry)
    raise UnsupportedError(f"a value of the type {text} cannot cross a border", where=where)


def tensor_type(element: int) -> onnx.TypeProto:
    """A tensor of unknown shape."""
    return onnx.TypeProto(tensor_type=onnx.TypeProto.Tensor(elem_type=element))


def element_of(kind: onnx.TypeProto) -> int | None:
    """Element type of a tensor; None for sequences and the like."""
    return kind.tensor_type.elem_type if kind.WhichOneof("value") == "tensor_type" else None


def border_type(kind: onnx.TypeProto) -> onnx.TypeProto:
    """The type in which a value crosses a border, without its shape."""
    element = element_of(kind)
    if element is None:
        return kind
    return tensor_type(CARRIERS.get(element, element))


def set_carried(port: onnx.ValueInfoProto, kind: onnx.TypeProto) -> None:
    """Give a port the type in which its value crosses; a shape that it has stays."""
    if port.type.WhichOneof("value") == "tensor_type":
        port.type.tensor_type.elem_type = border_type(kind).tensor_type.elem_type
    else:
        port.type.CopyFrom(border_type(kind))


def numpy_name(kind: onnx.TypeProto) -> str:
    """Name of a border's element type: `other` for sequences, maps, and types unknown to numpy."""
    element = element_of(kind)
    return "other" if element is None else _NUMPY.get(TensorProto.DataType.Name(element), "other")


def from_numpy_name(name: str) -> onnx.TypeProto:
    """The tensor type of a numpy name."""
    back = {value: key for key, value in _NUMPY.items()}
    return tensor_type(TensorProto.DataType.Value(back[name]))


def carry(proto: onnx.ModelProto, kinds: Mapping[str, onnx.TypeProto]) -> bool:
    """Put casts at the borders of a fragment where its types need them; say whether any did."""
    elements = {name: element_of(kind) for name, kind in kinds.items()}
    narrow = {name: kind for name, kind in elements.items() if kind in CARRIERS}
    graph = proto.graph
    inputs = [value.name for value in graph.input if value.name in narrow]
    outputs = [value.name for value in graph.output if value.name in narrow]
    if not inputs and not outputs:
        return False
    # Names of bodies too: a body sees those outside it, so that a fresh name must not hide one.
    taken = _names(graph)
    inner = {n: unique(f"{n}/narrow", taken) for n in dict.fromkeys((*inputs, *outputs))}
    _rename(graph, inner)
    opened = [_cast(name, inner[name], narrow[name]) for name in inputs]
    closed = [
        _cast(inner[name], name, CARRIERS[narrow[name] or 0])
        # An input that is an output too is handed through as it came.
        for name in outputs
        if name not in inputs
    ]
    nodes = [*opened, *graph.node, *closed]
    del graph.node[:]
    graph.node.extend(nodes)
    _import_standard(proto)
    return True


def _names(graph: onnx.GraphProto) -> set[str]:
    """Names of values and nodes, those of bodies included."""
    found = {value.name for value in (*graph.input, *graph.initializer, *graph.output)}
    for node in graph.node:
        found.update((node.name, *node.input, *node.output))
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                found |= _names(inner)
    return found


def _import_standard(proto: onnx.ModelProto) -> None:
    if all(entry.domain for entry in proto.opset_import):
        proto.opset_import.append(onnx.OperatorSetIdProto(domain="", version=21))


def _cast(source: str, target: str, element: int | None) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [source], [target], name=f"{target}/cast", to=element)


def _rename(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        _rename_all(node.input, names)
        _rename_all(node.output, names)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, names)
                for value in inner.output:
                    value.name = names.get(value.name, value.name)


def _rename_all(fields: Iterable[str], names: Mapping[str, str]) -> None:
    for index, name in enumerate(list(fields)):
        fields[index] = names.get(name, name)  # type: ignore[index]  # repeated protobuf field
