"""Pools behind thresholded layers: the pool moves behind the threshold and takes bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx_ir as ir

from xbarc.frontend.binary.levels import FewLevels, LevelMap
from xbarc.frontend.binary.threshold_region import ThresholdRegion
from xbarc.frontend.graph import name_of
from xbarc.frontend.layers import GraphContext
from xbarc.numerics import AnyArray, BoolArray


def pool_bits(
    start: ir.Value,
    region: ThresholdRegion,
    after: BoolArray,
    values: tuple[float, float],
    context: GraphContext,
    levels: LevelMap,
) -> ir.Value:
    """Put `MaxPool`, and where outputs are turned round a `Mul`, behind a layer's bits.

    Args:
        start: the layer's output, in front of everything that its threshold stands for.
        region: what is replaced.
        after: outputs that are turned round behind the pool; axis: output.
        values: low and high of the tensor that the region gave.
        context: facts about the graph.
        levels: learns of the new values.

    Returns:
        The tensor of bits, +1 and -1, which the layer now gives.
    """
    name, fresh = name_of(region.exit), context.constants.names.fresh
    bits = ir.Value(name=fresh(f"{name_of(start)}/bits"))
    nodes = [ir.Node("", "Identity", [start], name=bits.name, outputs=[bits])]
    pooled = ir.Value(name=fresh(f"{name}/pooled"))
    if region.pool is None:
        raise ValueError("the region has no pool")
    attributes = list(region.pool.attributes.values())
    nodes.append(
        ir.Node("", "MaxPool", [bits], attributes, name=fresh(f"{name}/pool"), outputs=[pooled])
    )
    low, high = values
    result = pooled
    # Bits are +1 and -1: half the distance and the centre give the tensor's own two values back.
    factor = np.where(after, -1.0, 1.0) * (high - low) / 2
    if np.any(factor != 1):
        result = _arithmetic("Mul", result, factor, f"{name}/turned", region, nodes, fresh)
    if high + low:
        centre = np.full(factor.shape, (high + low) / 2)
        result = _arithmetic("Add", result, centre, f"{name}/moved", region, nodes, fresh)
    _replace(region, nodes, result, context, levels)
    pair = FewLevels(frozenset((-1.0, 1.0)))
    levels.found.update({bits: pair, pooled: pair})
    levels.found[result] = FewLevels(frozenset((low, high)))
    return bits


def _arithmetic(
    kind: str,
    value: ir.Value,
    operand: AnyArray,
    base: str,
    region: ThresholdRegion,
    nodes: list[ir.Node],
    fresh: Callable[[str], str],
) -> ir.Value:
    rank = len(region.pool.attributes["kernel_shape"].as_ints()) if region.pool else 0
    shaped = operand.astype(np.float32).reshape(-1, *(1,) * rank)
    constant = ir.Value(name=fresh(f"{base}/constant"))
    tensor = ir.AttrTensor("value", ir.tensor(shaped, name=constant.name))
    nodes.append(ir.Node("", "Constant", [], [tensor], name=constant.name, outputs=[constant]))
    output = ir.Value(name=fresh(base))
    nodes.append(ir.Node("", kind, [value, constant], name=output.name, outputs=[output]))
    return output


def _replace(
    region: ThresholdRegion,
    nodes: list[ir.Node],
    result: ir.Value,
    context: GraphContext,
    levels: LevelMap,
) -> None:
    old, graph = region.exit, context.views.graph
    node = old.producer()
    if node is None:
        raise ValueError("a region ends in a node's output")
    name = old.name
    ir.convenience.replace_nodes_and_values(graph, node, [node], nodes, [old], [result])
    result.name = name
    context.constants.note(nodes)
    if old in context.ranks:
        context.ranks[result] = context.ranks[old]
    given = context.views.given
    for key, view in list(given.items()):
        if view.integers is old:
            given[key] = replace(view, integers=result)
    if old in given:
        given[result] = given.pop(old)
    levels.found.pop(old, None)
