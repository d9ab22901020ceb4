"""Random graphs of the operators that bounds know."""

from __future__ import annotations

import numpy as np

from tests.intervals.examples import EXAMPLES
from tests.intervals.growing import FLOAT, Graph, typed
from xbarc.intervals import Bounds

_CHOOSY = ("AveragePool", "MaxPool", "GlobalMaxPool", "Resize", "Gelu", "Celu", "SpaceToDepth")
"""Operators that few values fit."""


def _source(graph: Graph) -> None:
    """An input of any rank and layout, with as much known of it as there may be."""
    shape = graph.pick(
        (2, 3, 4, 4),
        (1, 4, 4, 3),
        (2, 3, 3, 3),
        (1, 2, 1, 5),
        (2, 0, 3),
        (3,),
        (2, 4),
        (2, 3, 4),
        (1, 2, 2, 2, 2),
        (),
    )
    open_axes = tuple(None if graph.chance(0.4) else size for size in shape)
    declared = graph.pick(open_axes, shape, shape, None)
    dtype = graph.pick(*(FLOAT,) * 7, np.float64, np.float16, np.uint8, np.int8, np.int32)
    array = graph.numbers(shape, wild=0.3)
    array = typed(array, dtype)
    plain = Bounds(
        np.array(-np.inf), np.array(np.inf), str(array.dtype), declared, array.dtype.kind == "f"
    )
    if not array.size or graph.chance() or not np.isfinite(array.astype(np.float64)).all():
        graph.input(array, plain)
        return
    real, spread = array.astype(np.float64), graph.pick(0.0, 0.0, 1.0)
    axes = tuple(axis for axis in range(len(shape)) if graph.chance())
    if declared is None or graph.chance():
        axes = tuple(range(len(shape)))
    low = real.min(axis=axes, keepdims=declared is not None) - spread
    high = real.max(axis=axes, keepdims=declared is not None) + spread
    graph.input(array, Bounds(low, high, str(array.dtype), declared))


def random_graph(seed: int) -> Graph:
    """A graph of one to eight operators, the same for the same seed."""
    rng = np.random.default_rng(seed)
    graph = Graph(rng, int(rng.choice([9, 13, 17, 18, 20, 21, 24])))
    for _ in range(graph.pick(1, 1, 2)):
        _source(graph)
    value, kinds = next(iter(graph.values)), [*sorted(EXAMPLES), *_CHOOSY * 3]
    for _ in range(int(rng.integers(1, 9))):
        for _ in range(4):
            found = EXAMPLES[graph.pick(*kinds)](graph, value)
            if found is not None:
                value = found if graph.chance(0.9) else graph.pick(*graph.values)
                break
    return graph
