"""Cutting the graph into fragments between matrix layers.

The depth of a value is the largest number of matrix layers on a path to it. Digital nodes of one
depth form one fragment: a path that leaves it passes a matrix layer and so never comes back.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from xbarc.frontend.graph import Constants, node_reads
from xbarc.frontend.layers import Matched


@dataclass(eq=False)
class DepthStage:
    """Digital nodes of one depth, then the matrix layers whose input has that depth."""

    nodes: list[ir.Node]
    layers: list[Matched]


@dataclass(frozen=True, eq=False)
class Borders:
    """What a stage's fragment takes and gives, and the constants among both."""

    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    constants: tuple[ir.Value, ...]


def cut(
    nodes: list[ir.Node], layers: tuple[Matched, ...], graph: ir.Graph, constants: Constants
) -> list[DepthStage]:
    """Sort living nodes and layers into stages; `nodes` are in execution order."""
    ends = {matched.output: matched for matched in layers}
    living = _needed_nodes(graph, ends, constants)
    depths: dict[ir.Value, int] = {}
    stages: list[DepthStage] = [DepthStage([], [])]
    for node in nodes:
        matched = next((ends[out] for out in node.outputs if out in ends), None)
        # Constants join whichever fragment reads them, as initialisers.
        if node not in living or constants.holds(node.outputs[0]):
            continue
        reads = node_reads(node) if matched is None else matched.reads
        depth = max((depths.get(value, 0) for value in reads), default=0)
        while len(stages) <= depth:
            stages.append(DepthStage([], []))
        if matched is None:
            stages[depth].nodes.append(node)
            depths.update(dict.fromkeys(node.outputs, depth))
        else:
            stages[depth].layers.append(matched)
            depths[matched.output] = depth + 1
    return stages


def borders(stages: list[DepthStage], graph: ir.Graph, constants: Constants) -> list[Borders]:
    """Borders of each stage's fragment."""
    found = []
    reads_of = [_reads(stage) for stage in stages]
    wanted = _stages_that_read(stages, reads_of, graph)
    for index, stage in enumerate(stages):
        own = [out for node in stage.nodes for out in node.outputs]
        held = [value for value in reads_of[index] if constants.holds(value)]
        inside = {*own, *held}
        outputs = [value for value in own if wanted.get(value, {index}) != {index}]
        if index == 0:
            # Outputs of the model that depend on nothing have no stage of their own; the first one
            # gives them.
            fixed = [value for value in graph.outputs if constants.holds(value)]
            outputs += dict.fromkeys(fixed)
            held += fixed
        inputs = tuple(value for value in reads_of[index] if value not in inside)
        found.append(Borders(inputs, tuple(outputs), tuple(dict.fromkeys(held))))
    return found


def _reads(stage: DepthStage) -> list[ir.Value]:
    found: dict[ir.Value, None] = {}
    for node in stage.nodes:
        found.update(dict.fromkeys(node_reads(node)))
    return list(found)


def _stages_that_read(
    stages: list[DepthStage], reads_of: list[list[ir.Value]], graph: ir.Graph
) -> dict[ir.Value, set[int]]:
    """Which stages' fragments read a value; -1 stands for a layer and for the user."""
    wanted: dict[ir.Value, set[int]] = {value: {-1} for value in graph.outputs}
    for index, stage in enumerate(stages):
        for value in reads_of[index]:
            wanted.setdefault(value, set()).add(index)
        for value in (value for matched in stage.layers for value in matched.reads):
            wanted.setdefault(value, set()).add(-1)
    return wanted


def _needed_nodes(
    graph: ir.Graph, ends: dict[ir.Value, Matched], constants: Constants
) -> set[ir.Node]:
    """Nodes that an output needs; a layer stands for all nodes between its input and output."""
    living: set[ir.Node] = set()
    stack = list(graph.outputs)
    while stack:
        value = stack.pop()
        node = value.producer()
        if node is None or node in living or constants.holds(value):
            continue
        living.add(node)
        stack += ends[value].reads if value in ends else node_reads(node)
    return living
