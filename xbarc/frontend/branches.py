"""Taking the branch of an `If` whose condition is constant: its nodes join the graph around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx_ir as ir

from xbarc.frontend.constants import Constants
from xbarc.frontend.emit import name_of
from xbarc.frontend.naming import unique
from xbarc.frontend.order import execution_order


def take_branches(model: ir.Model, constants: Constants) -> bool:
    """Replace every such `If` of the main graph, nested ones included; say whether any was."""
    changed = False
    while (found := _decided(model.graph, constants)) is not None:
        _take(found, model.graph, constants)
        constants.note(execution_order(model.graph))
        changed = True
    return changed


def _decided(nodes: Iterable[ir.Node], constants: Constants) -> ir.Node | None:
    for node in nodes:
        if (node.domain, node.op_type) == ("", "If") and constants.holds(node.inputs[0]):
            return node
    return None


def _take(node: ir.Node, graph: ir.Graph, constants: Constants) -> None:
    body = _branch(node, constants)
    nodes, results = list(body), list(body.outputs)
    initializers = list(body.initializers.values())
    body.outputs.clear()
    body.initializers.clear()
    body.remove(nodes)
    _rename(initializers, nodes, graph)
    for value in initializers:
        graph.register_initializer(value)
    # A branch may give one value twice, or a constant: each result gets a value of its own.
    ends = [
        ir.Node("", "Identity", [value], name=name_of(old))
        for value, old in zip(results, node.outputs, strict=True)
    ]
    new = [end.outputs[0] for end in ends]
    names = [old.name for old in node.outputs]
    ir.convenience.replace_nodes_and_values(graph, node, [node], [*nodes, *ends], node.outputs, new)
    for value, name in zip(new, names, strict=True):
        value.name = name


def _branch(node: ir.Node, constants: Constants) -> ir.Graph:
    condition = node.inputs[0]
    if condition is None:
        raise ValueError("an If has no condition")
    taken = bool(constants.load(condition).reshape(-1)[0])
    return node.attributes["then_branch" if taken else "else_branch"].as_graph()


def _rename(initializers: Sequence[ir.Value], nodes: Sequence[ir.Node], graph: ir.Graph) -> None:
    """Give what joins a graph other names where the graph has them already."""
    taken = {name_of(value) for value in (*graph.inputs, *graph.initializers.values())}
    taken.update(name_of(value) for outer in graph for value in outer.outputs)
    for value in (*initializers, *(out for node in nodes for out in node.outputs)):
        if value.name:
            value.name = unique(value.name, taken)
    labels = {outer.name or "" for outer in graph}
    for node in nodes:
        node.name = unique(node.name, labels) if node.name else node.name
