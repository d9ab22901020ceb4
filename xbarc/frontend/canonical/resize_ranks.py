"""Holding the rank of what `Resize`, `Upsample` and `Multinomial` read to what they are for.

ONNX Runtime ends the whole process where an input has more axes than there are factors, or where
probabilities do not have two, and only its shape inference finds that out in time: not where the
rank is known at run time alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from xbarc.frontend.graph import Constants, execution_order, inner_nodes, name_of
from xbarc.operators import find_by_name

_FACTORS = {"Upsample": (1,), "Resize": (1, 2, 3)}
"""Inputs that may hold a number for each axis, by operator."""
_AXES = {"Multinomial": 2}
_GUARDED = [("", kind) for kind in (*_FACTORS, *_AXES)]


def guard_ranks(model: ir.Model, constants: Constants) -> bool:
    """Put a Transpose that keeps the order before each; it refuses any other rank in words."""
    nodes = execution_order(model.graph)
    found = [n for n in _inside(nodes) if (n.domain, n.op_type) in _GUARDED]
    if not found:
        return False
    known = _known_ranks(model.graph, nodes, constants)
    guarded = [_guard(node, constants) for node in found if node.inputs[0] not in known]
    return any(guarded)


def _inside(nodes: Iterable[ir.Node]) -> list[ir.Node]:
    return [inner for node in nodes for inner in inner_nodes(node)]


def _known_ranks(
    graph: ir.Graph, nodes: Iterable[ir.Node], constants: Constants
) -> set[ir.Value | None]:
    """Values whose rank ONNX Runtime infers from what the graph's inputs declare."""
    known = {None, *(value for value in graph.inputs if value.shape is not None)}
    for node in nodes:
        free = find_by_name(node.op_type).rank_by_value or node.domain not in ("", "com.microsoft")
        reads = node.inputs[1:] if free else node.inputs
        by_constants = free and bool(reads) and all(map(constants.holds, reads))
        follows = not free and all(v in known or constants.holds(v) for v in reads)
        if follows or by_constants:
            known.update(node.outputs)
    return known


def _guard(node: ir.Node, constants: Constants) -> bool:
    rank = _AXES.get(node.op_type) or _factors(node, constants)
    value, graph = node.inputs[0], node.graph
    if not rank or value is None or graph is None:
        return False
    name = constants.names.fresh(f"{name_of(node.outputs[0])}/ranked")
    # The one operator that names a rank and changes nothing.
    order = ir.AttrInt64s("perm", list(range(rank)))
    kept = ir.Node("", "Transpose", [value], [order], outputs=[ir.Value(name=name)], name=name)
    graph.insert_before(node, kept)
    node.replace_input_with(0, kept.outputs[0])
    return True


def _factors(node: ir.Node, constants: Constants) -> int:
    """Number of axes that a node's factors or sizes are for; 0 where they are not constant."""
    given = node.attributes.get("scales")
    if given is not None:
        return len(given.as_floats())
    if "axes" in node.attributes:
        return 0
    for place in _FACTORS[node.op_type][::-1]:
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is not None and constants.holds(value):
            shape = constants.shape(value)
            is_box = node.op_type == "Resize" and place == 1 and len(node.inputs) > 2
            if len(shape) == 1 and shape[0] and not is_box:
                return shape[0]
    return 0
