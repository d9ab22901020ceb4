"""The operators between a layer and the first two-valued tensor behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from xbarc.frontend.binary.levels import LevelMap
from xbarc.frontend.graph import Constants
from xbarc.operators import Form, find

# Our choice: more than exporters write for a BatchNormalization in parts, HardTanh and a
# quantisation together. The bound keeps the growing of a region, whose passes ask
# every use of every value again, from becoming quadratic in a long chain.
_MOST_NODES = 24


@dataclass(frozen=True, eq=False)
class ThresholdRegion:
    """What a threshold stands for.

    Attributes:
        start: the layer's own output.
        before: nodes in front of the pool, or all of them, in execution order.
        pool: a MaxPool among them.
        after: nodes behind the pool.
        exit: the two-valued tensor.
    """

    start: ir.Value
    before: tuple[ir.Node, ...]
    pool: ir.Node | None
    after: tuple[ir.Node, ...]
    exit: ir.Value


def find_regions(
    start: ir.Value, constants: Constants, levels: LevelMap
) -> Iterator[ThresholdRegion]:
    """Two-valued tensors that everything behind `start` passes through, nearest first."""
    if start.is_graph_output():
        return
    nodes = _grow(start, constants)
    for node in nodes:
        known = levels.of(node.outputs[0])
        if known is None or len(known.values - known.ties) > 2:
            continue
        region = _region_between(start, node.outputs[0], nodes)
        if region is not None:
            yield region


def _grow(start: ir.Value, constants: Constants) -> list[ir.Node]:
    """Nodes that work channel by channel, as far as they depend on `start` and constants alone."""
    inside: dict[ir.Value, None] = {start: None}
    nodes: dict[ir.Node, None] = {}
    grown = True
    while grown and len(nodes) < _MOST_NODES:
        grown = False
        for value in list(inside):
            for node, _ in value.uses():
                if node in nodes or not _fits(node, inside, constants):
                    continue
                nodes[node] = None
                inside[node.outputs[0]] = None
                grown = True
    return list(nodes)


def _fits(node: ir.Node, inside: dict[ir.Value, None], constants: Constants) -> bool:
    operator = find(node.domain, node.op_type)
    alone = operator.form is Form.ENTRY and not operator.random
    if not alone and operator.name != "MaxPool":
        return False
    if any(output.uses() for output in node.outputs[1:]):
        return False
    return all(v is None or v in inside or constants.holds(v) for v in node.inputs)


def _region_between(start: ir.Value, end: ir.Value, nodes: list[ir.Node]) -> ThresholdRegion | None:
    """The nodes on the way, if nobody else reads what lies in between."""
    way = _close_region(start, end, nodes)
    if way is None:
        return None
    pools = [node for node in way if node.op_type == "MaxPool"]
    if not pools:
        return ThresholdRegion(start, tuple(way), None, (), end)
    source = pools[0].inputs[0]
    if len(pools) > 1 or source is None or len(source.uses()) != 1:
        return None
    before = _close_region(start, source, nodes) if source is not start else []
    if before is None:
        return None
    after = [node for node in way if node not in before and node is not pools[0]]
    return ThresholdRegion(start, tuple(before), pools[0], tuple(after), end)


def _close_region(start: ir.Value, end: ir.Value, nodes: list[ir.Node]) -> list[ir.Node] | None:
    needed: set[ir.Node] = set()
    stack = [end]
    while stack:
        node = stack.pop().producer()
        if node is None or node in needed or node not in nodes:
            continue
        needed.add(node)
        stack += [value for value in node.inputs if value is not None]
    inner = [start, *(node.outputs[0] for node in nodes if node in needed)]
    for value in inner:
        if value is end:
            continue
        if value.is_graph_output() or any(user not in needed for user, _ in value.uses()):
            return None
    return [node for node in nodes if node in needed]
