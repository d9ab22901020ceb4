"""networkx views of a network or program, built when asked for and never the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xbarc.ir.network import layer_inputs, layer_outputs
from xbarc.ir.program import Program

if TYPE_CHECKING:
    import networkx as nx


def dataflow(program: Program) -> nx.DiGraph[str]:
    """Steps as nodes, in execution order; an edge carries the names of the values that flow."""
    import networkx as nx  # noqa: PLC0415  # only who asks for the graph pays for it

    graph: nx.DiGraph[str] = nx.DiGraph()
    writer: dict[str, str] = {}
    for step in program.steps:
        graph.add_node(step.name)
        for value in layer_inputs(step):
            if value in writer:
                graph.add_edge(writer[value], step.name, value=value)
        # After the edges: a step never reads what it writes, and an input of the network has no
        # writer.
        writer.update(dict.fromkeys(layer_outputs(step), step.name))
    return graph
