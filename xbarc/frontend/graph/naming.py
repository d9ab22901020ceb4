"""Names for what the frontend adds to a graph: never one that the file uses already."""

from __future__ import annotations

from collections.abc import Iterable

import onnx_ir as ir

from xbarc.frontend.graph.emit import inner_graphs, name_of


def unique(base: str, taken: set[str]) -> str:
    """`base`, or `base#2`, `base#3`, ... where that is taken; the name is taken from then on."""
    name, count = base, 1
    while name in taken:
        count += 1
        name = f"{base}#{count}"
    taken.add(name)
    return name


class Names:
    """Names of all values and nodes of a model, bodies included."""

    def __init__(self, model: ir.Model) -> None:
        self._model = model
        self._taken: set[str] = set()

    def fresh(self, base: str) -> str:
        """A name that nothing in the model has."""
        if not self._taken:
            # On first use: collecting them walks the whole model, and often no name is needed.
            self._taken.update(_graph_names(self._model.graph))
        return unique(base, self._taken)


def _graph_names(graph: ir.Graph) -> Iterable[str]:
    for value in (*graph.inputs, *graph.initializers.values(), *graph.outputs):
        yield name_of(value)
    for node in graph:
        yield node.name or ""
        yield from map(name_of, node.outputs)
        for inner in inner_graphs(node):
            yield from _graph_names(inner)
