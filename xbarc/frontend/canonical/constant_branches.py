"""Taking the branch of an `If` whose condition is constant: its nodes join the graph around it.

Sizes that inputs declare are constants too: no input of another size is ever taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import Constants, execution_order, name_of, unique, whole
from xbarc.numerics import AnyArray

_SHAPES = ("Shape", "Size")
"""What depends on the shape of its input alone."""


def take_branches(model: ir.Model, constants: Constants) -> bool:
    """Replace every such `If` of the main graph, nested ones included; say whether any was."""
    changed = _fold_extents(model, constants)
    # One at a time: the nodes of a branch may decide the next `If`.
    while (found := _find_decided(model.graph, constants)) is not None:
        _take(found, model.graph, constants)
        constants.note(execution_order(model.graph))
        _fold_extents(model, constants)
        changed = True
    return changed


def condition_inputs(node: ir.Node) -> list[str]:
    """Inputs of the graph whose contents the condition of an `If` depends on."""
    found: dict[str, None] = {}
    seen: set[ir.Value] = set()
    stack = [value for value in node.inputs if value is not None]
    while stack:
        value = stack.pop()
        if value in seen:
            continue
        seen.add(value)
        made = value.producer()
        if value.is_graph_input():
            found[name_of(value)] = None
        elif made is not None and made.op_type not in _SHAPES:
            stack += [read for read in made.inputs if read is not None]
    return sorted(found)


def _fold_extents(model: ir.Model, constants: Constants) -> bool:
    """Make constants of sizes that inputs declare, where there is an `If`; say whether any was."""
    nodes = execution_order(model.graph)
    # Only for the sake of an `If`: elsewhere sizes stay computed, as the model has them.
    if not any(node.op_type == "If" for node in nodes):
        return False
    found = [(node, sizes) for node in nodes if (sizes := _sizes(node, constants)) is not None]
    for node, sizes in found:
        old = node.outputs[0]
        name = name_of(old)
        value = ir.AttrTensor("value", ir.tensor(sizes))
        made = ir.Node("", "Constant", [], [value], name=node.name)
        ir.convenience.replace_nodes_and_values(
            model.graph, node, [node], [made], [old], [made.outputs[0]]
        )
        made.outputs[0].name = name
    constants.note(execution_order(model.graph))
    return bool(found)


def _sizes(node: ir.Node, constants: Constants) -> AnyArray | None:
    """What Shape, or Gather behind it, gives where the input declares all of that; else None."""
    if node.domain or node.op_type not in ("Shape", "Gather"):
        return None
    declared = _declared_sizes(node if node.op_type == "Shape" else _producer(node.inputs[0]))
    if declared is None:
        return None
    places = np.arange(len(declared))
    if node.op_type == "Gather":
        if not constants.holds(node.inputs[1]) or node.inputs[1] is None:
            return None
        places = constants.load(node.inputs[1])
    if places.size and not (-len(declared) <= places.min() and places.max() < len(declared)):
        return None
    sizes = [declared[place] for place in places.reshape(-1).tolist()]
    return np.array(sizes, np.int64).reshape(places.shape) if None not in sizes else None


def _declared_sizes(node: ir.Node | None) -> list[int | None] | None:
    """Sizes that a Shape gives of an input of the graph, as far as it declares them."""
    if node is None or (node.domain, node.op_type) != ("", "Shape"):
        return None
    value = node.inputs[0]
    if value is None or not value.is_graph_input() or value.shape is None:
        return None
    every = [size if isinstance(size, int) and size > 0 else None for size in value.shape]
    return every[slice(whole(node, "start", 0), whole(node, "end", len(every)))]


def _producer(value: ir.Value | None) -> ir.Node | None:
    return None if value is None else value.producer()


def _find_decided(nodes: Iterable[ir.Node], constants: Constants) -> ir.Node | None:
    for node in nodes:
        if (node.domain, node.op_type) == ("", "If") and constants.holds(node.inputs[0]):
            return node
    return None


def _take(node: ir.Node, graph: ir.Graph, constants: Constants) -> None:
    body = _branch(node, constants)
    nodes, results = list(body), list(body.outputs)
    initializers = list(body.initializers.values())
    # Emptied first: a value, or a node, belongs to one graph at a time.
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
