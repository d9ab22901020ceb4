"""ONNX Runtime's word on the whole model.

Only fragments of the model reach ONNX Runtime to be run. What it refuses in a node that goes to a
crossbar would otherwise compile to something that nobody can judge.
"""

from __future__ import annotations

from contextlib import suppress

import onnx_ir as ir

from xbarc.errors import ModelError, UnsupportedError, XbarcError
from xbarc.frontend.canonical import Normal
from xbarc.frontend.graph import ModelPart, emit_model, name_of, node_reads, whole
from xbarc.runtime import OnnxSession, lacks_kernel

_HEAVY = 4096
"""Bytes from which a constant is left out of the first look: shapes and axes are smaller."""


def runtime_refusal(normal: Normal) -> XbarcError | None:
    """Why ONNX Runtime takes this for no valid model; None where it takes it.

    A missing kernel is no reason: a crossbar may take the operator that lacks it. Nodes that no
    output needs are no part of it. Large constants are left out at first, so that they are not
    copied; where it refuses then, it is asked about all of it.
    """
    nodes = _needed_nodes(normal)
    for node in nodes:
        # ONNX Runtime would find it in a run only, and folding into a layer would hide it.
        if (node.domain, node.op_type) == ("", "BatchNormalization"):
            _check_normalisation(node, normal)
    refused = _refusal(_emit(normal, nodes, _HEAVY))
    if refused is not None:
        with suppress(UnsupportedError):  # too large for one file: the first answer has to do
            refused = _refusal(_emit(normal, nodes))
    return refused


def _needed_nodes(normal: Normal) -> list[ir.Node]:
    """Nodes that an output needs, in execution order."""
    found: set[ir.Node] = set()
    stack = list(normal.model.graph.outputs)
    while stack:
        node = stack.pop().producer()
        if node is not None and node not in found:
            found.add(node)
            stack += node_reads(node)
    return [node for node in normal.nodes if node in found]


def _check_normalisation(node: ir.Node, normal: Normal) -> None:
    """ONNX Runtime loads parameters of any lengths, and runs only equal ones."""
    values = [value for value in node.inputs[1:5] if value is not None]
    if not whole(node, "spatial", 1) or not all(map(normal.constants.holds, values)):
        return
    shapes = [normal.constants.shape(value) for value in values]
    if any(shape != shapes[0] or len(shape) != 1 for shape in shapes):
        raise ModelError(
            f"BatchNormalization has parameters of shapes {', '.join(map(str, shapes))},"
            " expected vectors of equal length",
            where=node.name or name_of(node.outputs[0]),
        )


def _refusal(model: bytes) -> XbarcError | None:
    try:
        OnnxSession(model, where="model", threads=1)
    except XbarcError as error:
        return None if lacks_kernel(error) else error
    return None


def _emit(normal: Normal, nodes: list[ir.Node], heavy: int | None = None) -> bytes:
    """Nodes and what they read, constants from `heavy` bytes on as inputs."""
    graph = normal.model.graph
    read = {value for node in nodes for value in node_reads(node)} | set(graph.outputs)
    constants = [value for value in graph.initializers.values() if value in read]
    large = [value for value in constants if heavy is not None and _size(value) > heavy]
    piece = ModelPart(
        name=graph.name or "graph",
        nodes=tuple(nodes),
        inputs=tuple(ir.serde.serialize_value(value) for value in (*graph.inputs, *large)),
        outputs=tuple(ir.serde.serialize_value(value) for value in graph.outputs),
        initializers=tuple(value for value in constants if value not in large),
    )
    return emit_model(normal.model, piece)


def _size(value: ir.Value) -> int:
    return 0 if value.const_value is None else value.const_value.nbytes
