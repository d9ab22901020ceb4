"""Serialised ONNX models from nodes of the graph, with just what these nodes need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from xbarc.errors import UnsupportedError
from xbarc.frontend.loading import tensor_bytes

EMITTED_IR = 10
"""IR version of what we write: old enough for ONNX Runtime, new enough for every element type."""

OLDEST_MODERN = 13
"""Version of the standard operators where a model imports none."""

NEWEST_OPSET = 23
"""Version up to which every supported ONNX Runtime reads; beyond it, the oldest that will do."""

LARGEST_FRAGMENT = 1_500_000_000
"""Bytes of constants in one fragment; a protobuf holds at most 2**31."""


@dataclass(frozen=True)
class ModelPart:
    """Part of a model: nodes in execution order, and its borders as ONNX value infos."""

    name: str
    nodes: tuple[ir.Node, ...]
    inputs: tuple[onnx.ValueInfoProto, ...]
    outputs: tuple[onnx.ValueInfoProto, ...]
    initializers: tuple[ir.Value, ...]


def emit_model(model: ir.Model, piece: ModelPart) -> bytes:
    """Serialise a piece of a model.

    Raises:
        UnsupportedError: its constants are too large for one ONNX file.
    """
    _check_size(piece)
    graph = onnx.GraphProto(name=piece.name)
    graph.node.extend(ir.serde.serialize_node(node) for node in piece.nodes)
    graph.initializer.extend(tensor_proto(value) for value in piece.initializers)
    graph.input.extend(piece.inputs)
    graph.output.extend(piece.outputs)
    proto = onnx.ModelProto(ir_version=EMITTED_IR, producer_name="xbarc", graph=graph)
    proto.opset_import.extend(_opsets(model, piece.nodes))
    proto.functions.extend(_functions(model, piece.nodes))
    # Deterministic: protobuf may order map fields otherwise in another process.
    return bytes(proto.SerializeToString(deterministic=True))


def emit_whole(model: ir.Model, nodes: Sequence[ir.Node], outputs: Sequence[str] = ()) -> bytes:
    """Serialise the whole main graph, with these outputs in place of its own where any are given.

    Raises:
        UnsupportedError: its constants are too large for one ONNX file.
    """
    graph = model.graph
    own = tuple(ir.serde.serialize_value(value) for value in graph.outputs)
    piece = ModelPart(
        name=graph.name or "graph",
        nodes=tuple(nodes),
        inputs=tuple(ir.serde.serialize_value(value) for value in graph.inputs),
        outputs=tuple(onnx.ValueInfoProto(name=name) for name in outputs) or own,
        initializers=tuple(graph.initializers.values()),
    )
    return emit_model(model, piece)


def tensor_proto(value: ir.Value) -> onnx.TensorProto:
    """An initialiser with its data inside."""
    tensor = value.const_value
    if isinstance(tensor, ir.ExternalTensor):
        proto = onnx.TensorProto(data_type=tensor.dtype.value, dims=tensor.shape.numpy())
        # Byte for byte from the file: a copy through numpy would unpack types below 8 bits.
        proto.raw_data = tensor_bytes(tensor)
    else:
        proto = ir.serde.serialize_tensor(known(tensor, value))
    proto.name = name_of(value)
    return proto


def known(tensor: ir.TensorProtocol | None, value: ir.Value) -> ir.TensorProtocol:
    """The tensor, or an error where a constant has none."""
    if tensor is None:
        raise UnsupportedError("a constant has no data", where=name_of(value))
    return tensor


def name_of(value: ir.Value) -> str:
    """Name of a value; `` for an output that is left out."""
    return value.name or ""


def inner_graphs(node: ir.Node) -> Iterator[ir.Graph]:
    """Graphs in the attributes of a node: bodies of If, Loop and Scan."""
    for attribute in node.attributes.values():
        if attribute.is_ref():
            continue
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def inner_nodes(node: ir.Node) -> Iterator[ir.Node]:
    """A node, then the nodes of its bodies, at any depth."""
    yield node
    for graph in inner_graphs(node):
        for inner in graph:
            yield from inner_nodes(inner)


def node_reads(node: ir.Node) -> tuple[ir.Value, ...]:
    """Values a node needs: its inputs, and what its bodies take from outside, without repeats."""
    found = [value for value in node.inputs if value is not None]
    # Bodies read values of the graph around them by name alone; a cut that overlooks one breaks
    # them.
    for graph in inner_graphs(node):
        found += _captured_values(graph)
    return tuple(dict.fromkeys(found))


def _captured_values(graph: ir.Graph) -> list[ir.Value]:
    own = {*graph.inputs, *graph.initializers.values()}
    reads: list[ir.Value] = []
    for node in graph:
        own.update(node.outputs)
        reads += node_reads(node)
    reads.extend(graph.outputs)
    return [value for value in reads if value not in own]


def _check_size(piece: ModelPart) -> None:
    tensors = [value.const_value for value in piece.initializers]
    total = sum(tensor.nbytes for tensor in tensors if tensor is not None)
    if total > LARGEST_FRAGMENT:
        raise UnsupportedError(
            f"digital operators hold {total} bytes of constants, at most {LARGEST_FRAGMENT} fit",
            where=piece.name,
            hint="split the model, or store its tables in a narrower type",
        )


def _opsets(model: ir.Model, nodes: Iterable[ir.Node]) -> list[onnx.OperatorSetIdProto]:
    domains = {inner.domain for node in nodes for inner in inner_nodes(node)}
    if _functions(model, nodes):
        domains |= set(model.opset_imports)
    domains = domains or {""}
    versions = {domain: model.opset_imports.get(domain) for domain in sorted(domains)}
    if "" in versions:
        # The declared version as long as it is read, since an operator's meaning depends on it.
        versions[""] = _standard_version(versions[""] or OLDEST_MODERN, nodes)
    return [
        onnx.OperatorSetIdProto(domain=domain, version=version or 1)
        for domain, version in versions.items()
    ]


def _standard_version(declared: int, nodes: Iterable[ir.Node]) -> int:
    """The declared version, or an older one that means the same for each of these operators.

    A version that onnx does not know stays: nobody can say what it means.
    """
    if declared <= NEWEST_OPSET or declared > onnx.defs.onnx_opset_version():
        return declared
    kinds = {inner.op_type for node in nodes for inner in inner_nodes(node) if not inner.domain}
    known = [kind for kind in kinds if onnx.defs.has(kind, declared)]
    if len(known) < len(kinds):
        return declared
    since = (onnx.defs.get_schema(kind, declared).since_version for kind in known)
    return max(since, default=NEWEST_OPSET)


def _functions(model: ir.Model, nodes: Iterable[ir.Node]) -> Sequence[onnx.FunctionProto]:
    """All functions that could not be inlined, where one of them is called."""
    calls = {inner.op_identifier() for node in nodes for inner in inner_nodes(node)}
    # All or none: functions call each other.
    if not calls.intersection(model.functions):
        return ()
    return [ir.serde.serialize_function(function) for function in model.functions.values()]
