"""Execution order: the file's own order wherever data allows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.emit import name_of, node_reads
from xbarc.lazy import lazy_module

if TYPE_CHECKING:
    import networkx as nx
else:
    nx = lazy_module("networkx")


def execution_order(nodes: Iterable[ir.Node]) -> list[ir.Node]:
    """Sort nodes so that each comes after those it reads from.

    Raises:
        ModelError: the graph has a cycle.
    """
    listed = list(nodes)
    place = {node: index for index, node in enumerate(listed)}
    graph = nx.DiGraph()
    graph.add_nodes_from(range(len(listed)))
    for index, node in enumerate(listed):
        graph.add_edges_from((before, index) for before in _before(node, place))
    try:
        order = list(nx.lexicographical_topological_sort(graph))
    except nx.NetworkXUnfeasible as error:
        raise ModelError(f"the graph has a cycle: {_cycle(graph, listed)}") from error
    return [listed[index] for index in order]


def _before(node: ir.Node, place: dict[ir.Node, int]) -> list[int]:
    producers = (value.producer() for value in node_reads(node))
    return [place[producer] for producer in producers if producer in place]


def _cycle(graph: nx.DiGraph, nodes: Sequence[ir.Node]) -> str:
    edges = nx.find_cycle(graph)
    names = [nodes[edge[0]].name or name_of(nodes[edge[0]].outputs[0]) for edge in edges[:5]]
    return " -> ".join([*names, names[0]])
