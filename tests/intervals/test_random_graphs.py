"""Whatever ONNX Runtime computes in random graphs lies within the bounds, extremes included."""

from __future__ import annotations

import numpy as np
import pytest

from tests.intervals.examples import EXAMPLES
from tests.intervals.graphs import random_graph
from tests.intervals.growing import Graph
from xbarc.intervals import Bounds, fragment_bounds
from xbarc.intervals.rules import BOUNDED
from xbarc.numerics.types import AnyArray
from xbarc.operators import OPERATORS


def fault(graph: Graph) -> str | None:
    """What is false about the bounds of a graph's values; None where nothing is."""
    found = fragment_bounds(graph.model(), graph.inputs)
    for name, array in graph.values.items():
        if name not in graph.inputs:
            problem = _problem(found[name], array)
            if problem:
                makers = [n for n in graph.nodes if name in n.output]
                return f"{name}: {problem}\n{makers}\n{graph.nodes}"
    return None


def _problem(bounds: Bounds, array: AnyArray) -> str | None:
    if bounds.dtype not in ("", str(array.dtype)):
        return f"type {bounds.dtype}, found {array.dtype}"
    shape = bounds.shape
    fits = shape is None or (
        len(shape) == array.ndim
        and all(want in (None, have) for want, have in zip(shape, array.shape, strict=True))
    )
    if not fits:
        return f"shape {shape}, found {array.shape}"
    if bounds.low.ndim not in (0, array.ndim) or bounds.low.shape != bounds.high.shape:
        return f"ends of shape {bounds.low.shape} for {array.shape}"
    real = array.astype(np.float64)
    numbers = ~np.isnan(real)
    if not numbers.all() and not bounds.nan:
        return "NaN"
    low, high = (np.broadcast_to(end, array.shape) for end in (bounds.low, bounds.high))
    outside = numbers & ((real < low) | (real > high))
    if outside.any():
        place = tuple(np.argwhere(outside)[0])
        return f"{array[place]!r} at {place}, claimed {low[place]!r} to {high[place]!r}"
    return None


def _check(seeds: range) -> None:
    for seed in seeds:
        problem = fault(random_graph(seed))
        assert problem is None, f"seed {seed}: {problem}"


@pytest.mark.parametrize("start", range(0, 300, 100))
def test_values_lie_within_bounds(start: int) -> None:
    _check(range(start, start + 100))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(1000, 9000, 1000))
def test_values_lie_within_bounds_at_length(start: int) -> None:
    _check(range(start, start + 1000))


def test_every_rule_has_an_example() -> None:
    assert set(BOUNDED) <= set(EXAMPLES) <= set(OPERATORS)
