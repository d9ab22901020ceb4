"""What a model file must satisfy before anything looks at its meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx

from xbarc.errors import ModelError
from xbarc.frontend.loading.tensors import check_tensor, node_tensors, proto_tensors


def check_proto(proto: onnx.ModelProto, folder: Path) -> None:
    """Refuse a model that is damaged, inconsistent or dangerous to read.

    Raises:
        ModelError: says what is wrong and where.
    """
    _check_header(proto)
    for tensor in proto_tensors(proto.graph):
        check_tensor(tensor, folder)
    for function in proto.functions:
        for tensor in node_tensors(function.node):
            check_tensor(tensor, folder)
    _check_inputs(proto.graph)
    _check_graph(proto.graph, frozenset())
    calls = {(function.domain, function.name) for function in proto.functions}
    _check_node_names(proto.graph.node, calls)


def _check_header(proto: onnx.ModelProto) -> None:
    if proto.ir_version < 1 or not proto.HasField("graph"):
        raise ModelError("this is not an ONNX model: it has no IR version or no graph")
    if not proto.opset_import:
        raise ModelError("the model imports no operator set")
    for entry in proto.opset_import:
        if entry.version < 1:
            raise ModelError(f"operator set '{entry.domain}' has version {entry.version}")
    if not proto.graph.output:
        raise ModelError("the graph has no outputs")


def _check_node_names(nodes: Iterable[onnx.NodeProto], calls: set[tuple[str, str]]) -> None:
    for node in nodes:
        if not node.op_type:
            raise ModelError("a node has no operator", where=node.name)
        if not node.output and (node.domain, node.op_type) not in calls:
            raise ModelError(f"{node.op_type} has no outputs", where=node.name)


def _check_inputs(graph: onnx.GraphProto) -> None:
    initial = {tensor.name: tensor.data_type for tensor in graph.initializer}
    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for value in graph.input:
        declared = value.type.tensor_type.elem_type
        if initial.get(value.name, declared) != declared:
            raise ModelError(
                f"the initialiser has the element type {initial[value.name]}, the graph input of"
                f" that name declares {declared}",
                where=value.name,
            )
        _check_extent(value, shapes.get(value.name))
        if value.name not in initial and value.type.WhichOneof("value") is None:
            raise ModelError("a graph input has no type", where=value.name)


def _check_extent(value: onnx.ValueInfoProto, found: list[int] | None) -> None:
    """An initialiser has the shape that the input of its name declares."""
    if found is None or not value.type.tensor_type.HasField("shape"):
        return
    dims = value.type.tensor_type.shape.dim
    declared = [
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value >= 0 else None for dim in dims
    ]
    if len(declared) != len(found) or any(
        size not in (None, have) for size, have in zip(declared, found, strict=True)
    ):
        raise ModelError(
            f"the initialiser has the shape {found}, the graph input of that name declares"
            f" {['?' if size is None else size for size in declared]}",
            where=value.name,
        )


def _check_graph(graph: onnx.GraphProto, outer: frozenset[str]) -> None:
    _check_unique(_defined_names(graph), graph.name)
    _check_unique([value.name for value in graph.input], graph.name)
    # All names at once, not in order: files list nodes in any order, and a cycle is found where
    # they are sorted.
    known = outer | set(_defined_names(graph)) | {value.name for value in graph.input}
    for node in graph.node:
        _check_text(node.op_type, node.domain, node.name, *node.input)
        for name in node.input:
            if name and name not in known:
                raise ModelError(
                    f"{node.op_type} reads '{name}', which nothing produces", where=node.name
                )
        _check_attributes(node)
        _check_results(node)
        for inner in inner_graphs(node):
            _check_graph(inner, known)
    for value in graph.output:
        if value.name not in known:
            raise ModelError(f"output '{value.name}' is produced by nothing", where=graph.name)


def _check_attributes(node: onnx.NodeProto) -> None:
    counts = Counter(attribute.name for attribute in node.attribute)
    double = [name for name, count in counts.items() if count > 1]
    if double:
        raise ModelError(
            f"{node.op_type} has the attribute '{double[0]}' more than once", where=node.name
        )


def _check_results(node: onnx.NodeProto) -> None:
    """Refuse a result without a name where the operator always gives one, as ONNX Runtime does."""
    if node.domain not in ("", "ai.onnx") or not onnx.defs.has(node.op_type):
        return
    formal = onnx.defs.get_schema(node.op_type).outputs
    for number, (name, result) in enumerate(zip(node.output, formal, strict=False)):
        if not name and result.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise ModelError(
                f"output {number} of {node.op_type} has no name, and the operator always gives it",
                where=node.name,
            )


def _check_text(*texts: object) -> None:
    """Protobuf hands over names that are not UTF-8 as bytes."""
    if not all(isinstance(text, str) for text in texts):
        raise ModelError("a name is not UTF-8 text")


def _check_unique(names: list[str], where: str) -> None:
    _check_text(*names, where)
    if "" in names:
        raise ModelError("an input or initialiser has no name", where=where)
    double = [name for name, count in Counter(names).items() if count > 1]
    if double:
        raise ModelError(f"value '{double[0]}' is defined more than once", where=where)


def _defined_names(graph: onnx.GraphProto) -> list[str]:
    """Names that a graph defines; an initialiser may repeat the name of an input."""
    inputs = {value.name for value in graph.input}
    names = [tensor.name for tensor in graph.initializer]
    names += [sparse.values.name for sparse in graph.sparse_initializer]
    produced = [name for node in graph.node for name in node.output if name]
    clash = inputs.intersection(produced)
    if clash:
        raise ModelError(f"value '{min(clash)}' is an input and is computed", where=graph.name)
    return names + produced


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """Graphs in the attributes of a node."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs
