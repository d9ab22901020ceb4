"""External data: found beside the model, and taken into what is written of bodies and attributes.

Initialisers of the main graph are mapped and read one at a time. A fragment is serialised node by
node, and a tensor inside a node would be written as a reference to a file that the program has not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir


def place_data(model: ir.Model, folder: Path) -> None:
    """Let every external tensor be found in `folder`; those inside nodes serialise with data."""
    base = str(folder) or "."
    for graph in (model.graph, *(function.graph for function in model.functions.values())):
        ir.external_data.set_base_dir(graph, base)
        for node in ir.traversal.RecursiveGraphIterator(graph):
            for attribute in [*node.attributes.values()]:
                _embed_tensors(node, attribute)


def _embed_tensors(node: ir.Node, attribute: ir.Attr) -> None:
    if attribute.is_ref():
        return
    if attribute.type == ir.AttributeType.TENSOR:
        node.attributes[attribute.name] = ir.AttrTensor(
            attribute.name, _with_data(attribute.as_tensor())
        )
    elif attribute.type == ir.AttributeType.TENSORS:
        node.attributes[attribute.name] = ir.AttrTensors(
            attribute.name, [_with_data(tensor) for tensor in attribute.as_tensors()]
        )
    for graph in _bodies(attribute):
        for value in graph.initializers.values():
            if value.const_value is not None:
                value.const_value = _with_data(value.const_value)


def _bodies(attribute: ir.Attr) -> Iterator[ir.Graph]:
    if attribute.type == ir.AttributeType.GRAPH:
        yield attribute.as_graph()
    elif attribute.type == ir.AttributeType.GRAPHS:
        yield from attribute.as_graphs()


def _with_data(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    """A tensor that is read when it is asked for, and never written as a reference."""
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    # onnx_ir writes an external tensor as a reference, which ONNX Runtime would look for beside a
    # model that comes from memory.
    return ir.LazyTensor(lambda: tensor, dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
