"""Numbers of axes: what the graph declares, and what operators imply."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from xbarc.frontend.graph.constants import Constants
from xbarc.operators import Form, find_by_name


def known_ranks(nodes: Iterable[ir.Node], constants: Constants) -> dict[ir.Value, int]:
    """Number of axes of values, as the graph declares or its operators imply."""
    ranks: dict[ir.Value, int] = {}
    for node in nodes:
        for value in (*node.inputs, *node.outputs):
            if value is not None and value.shape is not None:
                ranks[value] = len(value.shape)
        implied = _implied_rank(node, ranks, constants)
        if implied is not None:
            ranks[node.outputs[0]] = implied
    return ranks


def _implied_rank(node: ir.Node, ranks: dict[ir.Value, int], constants: Constants) -> int | None:
    if node.op_type in ("Flatten", "Gemm"):
        return 2
    if node.op_type == "Reshape" and len(node.inputs) > 1:
        return _length(node.inputs[1], constants)
    if node.op_type == "MatMul":
        sides = _sides(node, ranks)
        # A vector on either side drops an axis of the result.
        return max(sides) if len(sides) == 2 and min(sides) >= 2 else None
    operator = find_by_name(node.op_type)
    if operator.form is Form.ENTRY and operator.broadcasts:
        sides = _sides(node, ranks)
        return max(sides) if -1 not in sides else None
    first = node.inputs[0] if operator.has_rank_of_first else None
    return None if first is None else ranks.get(first)


def _sides(node: ir.Node, ranks: dict[ir.Value, int]) -> list[int]:
    """Ranks of what a node reads; -1 where one is not known."""
    return [ranks.get(value, -1) for value in node.inputs if value is not None]


def _length(shape: ir.Value | None, constants: Constants) -> int | None:
    """Entries of a shape: a constant, or numbers that were put together one by one."""
    if shape is None:
        return None
    if constants.holds(shape):
        return constants.shape(shape)[0]
    made = shape.producer()
    if made is None or made.op_type != "Concat":
        return None
    lengths = [_entry(value, constants) for value in made.inputs]
    return sum(lengths) if all(lengths) else None


def _entry(value: ir.Value | None, constants: Constants) -> int:
    """Entries of a part of a shape; 0 where they are not known."""
    if value is None:
        return 0
    if constants.holds(value):
        return constants.shape(value)[0] if constants.shape(value) else 0
    made = value.producer()
    # PyTorch writes sizes one by one: each is a scalar that gets an axis.
    return int(made is not None and made.op_type == "Unsqueeze")
