"""Order and fragments, beside what networkx says of the same graph."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import numpy as np
import onnx
import onnx_ir as ir
import pytest

from tests.frontend.onnx_models import fragments, model_file, normal
from xbarc.frontend import read_network
from xbarc.frontend.graph import execution_order
from xbarc.ir import MatrixLayer, Network

_FUNCTIONS = ("Relu", "Sigmoid", "Abs", "Softsign")


def _random_graph(rng: np.random.Generator, nodes: int) -> str:
    """ONNX text of unary functions, sums and products, some of which no output needs."""
    values, lines = ["x"], []
    for index in range(nodes):
        name = f"v{index}"
        reads = [values[i] for i in rng.integers(max(0, len(values) - 6), len(values), 2)]
        kind = rng.integers(4)
        if kind == 0:
            lines.append(f"{name} = MatMul({reads[0]}, w)")
        elif kind == 1:
            lines.append(f"{name} = Add({reads[0]}, {reads[1]})")
        else:
            lines.append(f"{name} = {_FUNCTIONS[rng.integers(4)]}({reads[0]})")
        values.append(name)
    lines.append(f"y = Add({values[-1]}, {values[-2]})")
    return "g (float[N,3] x) => (float[N,3] y) {\n" + "\n".join(lines) + "\n}"


def _dataflow(model: onnx.ModelProto) -> nx.DiGraph:
    """Results of nodes; an edge out of a product counts 1, so that long paths count products."""
    graph = nx.DiGraph()
    kinds = {node.output[0]: node.op_type for node in model.graph.node}
    for node in model.graph.node:
        graph.add_node(node.output[0], kind=node.op_type)
        for read in node.input:
            if read in kinds:
                graph.add_edge(read, node.output[0], products=int(kinds[read] == "MatMul"))
    living = nx.ancestors(graph, "y") | {"y"}
    return graph.subgraph(living)


def _groups(network: Network) -> list[tuple[int, set[str]]]:
    """Results that every step of a network computes, with the number of layers in front of it."""
    held = iter(fragments(network))
    groups, depth, last_was_layer = [], 0, False
    for step in network.layers:
        if isinstance(step, MatrixLayer):
            groups.append((depth, {step.output}))
            last_was_layer = True
            continue
        depth += int(last_was_layer)
        last_was_layer = False
        model = onnx.load_model_from_string(next(held).model)
        groups.append((depth, {node.output[0] for node in model.graph.node}))
    return groups


@pytest.mark.parametrize("seed", range(20))
def test_fragments_are_convex_and_lie_at_their_depth(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    path = model_file(tmp_path, _random_graph(rng, int(rng.integers(4, 24))), w=normal(3, 3))
    graph = _dataflow(onnx.load_model(path))
    network = read_network(path)
    steps = [names for _, names in _groups(network)]
    of_step = {name: place for place, names in enumerate(steps) for name in names}
    assert set(of_step) == set(graph)  # every living node once, no dead one
    assert sum(map(len, steps)) == len(graph)
    joined = nx.DiGraph(
        (of_step[a], of_step[b]) for a, b in graph.edges if of_step[a] != of_step[b]
    )
    assert nx.is_directed_acyclic_graph(joined)  # no path leaves a fragment and comes back
    assert all(before < after for before, after in joined.edges)
    for names in steps:
        depths = {_products_before(graph, name) for name in names}
        assert len(depths) == 1


def _products_before(graph: nx.DiGraph, name: str) -> int:
    behind = graph.subgraph(nx.ancestors(graph, name) | {name})
    return int(nx.dag_longest_path_length(behind, weight="products"))


@pytest.mark.parametrize("seed", range(10))
def test_execution_order_takes_the_first_node_that_is_ready(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = ir.load(model_file(tmp_path, _random_graph(rng, 12), w=normal(3, 3))).graph
    shuffled = [list(graph)[i] for i in rng.permutation(len(graph))]
    waiting, wanted = list(shuffled), list[ir.Node]()
    while waiting:
        ready = (node for node in waiting if not set(node.predecessors()) & set(waiting))
        wanted.append(next(ready))
        waiting.remove(wanted[-1])
    assert execution_order(shuffled) == wanted
