"""Shapes through branches and loops: known wherever no value decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self

import onnx
from onnx import helper

from xbarc.numerics import AnyArray

_STEP = helper.make_tensor_type_proto(onnx.TensorProto.INT64, [])


class Values(Protocol):
    """What is known of the values around a body, or inside one: `Extents`, which asks this file."""

    types: dict[str, onnx.TypeProto]
    unknown: dict[str, str]

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Values of a value; None where they are not known."""

    def is_fixed(self, name: str) -> bool:
        """Whether shapes and constants alone decide it."""

    def value(self, name: str) -> AnyArray:
        """A value that is fixed."""

    def fix(self, name: str, value: AnyArray) -> None:
        """Note a value."""

    def inside(self, graph: onnx.GraphProto, given: Mapping[str, onnx.TypeProto]) -> Self:
        """A body, walked through."""


def through_if(node: onnx.NodeProto, around: Values) -> None:
    """Follow the branch that shapes decide for, or both where they agree."""
    graphs = {item.name: item.g for item in node.attribute}
    chosen = [graphs["then_branch"], graphs["else_branch"]]
    if around.is_fixed(node.input[0]):
        chosen = [chosen[0] if bool(around.value(node.input[0]).all()) else chosen[1]]
    ends = [(around.inside(graph, {}), graph.output) for graph in chosen]
    for place, name in enumerate(node.output):
        _join(node, name, [(inner, ports[place].name) for inner, ports in ends], around)


def _join(node: onnx.NodeProto, name: str, ends: list[tuple[Values, str]], around: Values) -> None:
    """A result of branches, of which one or all are followed."""
    for inner, port in ends:
        if port in inner.types:
            around.types[name] = inner.types[port]
    inner, port = ends[0]
    shapes = {inside.shape(value) for inside, value in ends}
    # Branches of one shape give that shape, whichever runs.
    if None in shapes or len(shapes) != 1:
        alone = inner.unknown.get(port) if len(ends) == 1 else None
        around.unknown[name] = alone or on_data(node)
    elif len(ends) == 1 and inner.is_fixed(port):
        around.fix(name, inner.value(port))


def through_loop(node: onnx.NodeProto, around: Values) -> None:
    """Values that keep their shape from turn to turn; rows that are stacked, a fixed count of them.

    Inputs of the body are the turn, the condition, and the values carried; its outputs are the
    condition, these values, and one row for each stack.
    """
    body = next(item.g for item in node.attribute if item.name == "body")
    carried = list(node.input[2:])
    ports = [port.name for port in body.input]
    given = {ports[0]: _STEP, ports[1]: around.types.get(node.input[1]) or body.input[1].type}
    for port, name in zip(ports[2:], carried, strict=False):
        given[port] = around.types.get(name) or onnx.TypeProto()
    inner = around.inside(body, given)
    turns = _turns(node, body, around, inner)
    for place, name in enumerate(node.output):
        result = body.output[place + 1].name
        if place < len(carried):
            _keep(node, name, (carried[place], result), around, inner)
        else:
            _stack(node, name, result, around, inner, turns)


def _keep(
    node: onnx.NodeProto, name: str, ends: tuple[str, str], around: Values, inner: Values
) -> None:
    before, after = around.shape(ends[0]), inner.shape(ends[1])
    # One turn is enough: a body that keeps the shape once keeps it in every turn.
    if before is not None and before == after:
        around.types[name] = around.types[ends[0]]
    else:
        around.unknown[name] = around.unknown.get(ends[0], on_data(node))


def _stack(
    node: onnx.NodeProto,
    name: str,
    row: str,
    around: Values,
    inner: Values,
    turns: int | None,
) -> None:
    shape = inner.shape(row)
    if shape is None or turns is None:
        around.unknown[name] = inner.unknown.get(row) or on_data(node)
        return
    element = inner.types[row].tensor_type.elem_type
    around.types[name] = helper.make_tensor_type_proto(element, [turns, *shape])


def _turns(
    node: onnx.NodeProto, body: onnx.GraphProto, around: Values, inner: Values
) -> int | None:
    """How often a loop runs; None where data decides, or nothing but its condition ends it."""
    count, start, result = node.input[0], node.input[1], body.output[0].name
    if not count or not around.is_fixed(count):
        return None
    if start and not (around.is_fixed(start) and bool(around.value(start).all())):
        return None
    makers = {name: item for item in body.node for name in item.output}
    # Exporters hand the condition through an Identity when a loop only counts.
    while result in makers and makers[result].op_type == "Identity":
        result = makers[result].input[0]
    # A condition that the body hands on unchanged ends nothing: the count does.
    lasts = result == body.input[1].name
    if not lasts and not (inner.is_fixed(result) and bool(inner.value(result).all())):
        return None
    return max(0, int(around.value(count).reshape(-1)[0]))


def on_data(node: onnx.NodeProto) -> str:
    """Why the shape of a result cannot be known."""
    place = f"{node.op_type} '{node.name or next(iter(node.output), '')}'"
    if node.op_type in ("If", "Loop", "Scan"):
        return f"what {place} does depends on its data"
    if node.domain not in ("", "ai.onnx"):
        return f"{place} has no rule for the shape of its result and cannot be tried on zeros"
    return f"the shape of what {place} gives depends on its data"
