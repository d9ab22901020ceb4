"""Execution order: the file's own order wherever data allows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.graph.emit import name_of, node_reads
from xbarc.lazy import lazy_module

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy_module("networkx")


def execution_order(
    nodes: Iterable[ir.Node], reads: Mapping[ir.Node, Sequence[ir.Value]] | None = None
) -> list[ir.Node]:
    """Sort nodes so that each comes after those it reads from.

    Args:
        nodes: in the order of the file.
        reads: what some of them read beside their inputs.

    Raises:
        ModelError: the graph has a cycle.
    """
    listed = list(nodes)
    place = {node: index for index, node in enumerate(listed)}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(listed)))
    for index, node in enumerate(listed):
        values = (*node_reads(node), *(reads or {}).get(node, ()))
        graph.add_edges_from((before, index) for before in _before(values, place))
    try:
        # Lexicographical: of all valid orders the one nearest to the file's, so the result does not
        # depend on how a set is walked.
        order = list(nx.lexicographical_topological_sort(graph))
    except nx.NetworkXUnfeasible as error:
        raise ModelError(f"the graph has a cycle: {_cycle(graph, listed)}") from error
    return [listed[index] for index in order]


def _before(values: Iterable[ir.Value], place: dict[ir.Node, int]) -> list[int]:
    producers = (value.producer() for value in values)
    return [place[producer] for producer in producers if producer in place]


def _cycle(graph: nx.DiGraph, nodes: Sequence[ir.Node]) -> str:
    edges = nx.find_cycle(graph)
    names = [nodes[edge[0]].name or name_of(nodes[edge[0]].outputs[0]) for edge in edges[:5]]
    return " -> ".join([*names, names[0]])
