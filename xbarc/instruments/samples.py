"""Some of the input vectors that a layer meets on data, spread evenly over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from xbarc.executor import layer_vectors, sample_axis_first
from xbarc.ir import CrossbarStep, positions, quantize
from xbarc.numerics import AnyArray, IntArray

# Any number will do; the same one, so that the same data gives the same bytes.
_SEED = 0


def sample_vectors(step: CrossbarStep, batches: Sequence[Mapping[str, Any]], most: int) -> IntArray:
    """Codes of some input vectors; which ones depends on the shapes of the data alone.

    So two runs of a network on the same data, with other converters say, give the same vectors side
    by side.

    Args:
        step: the layer.
        batches: values of the network, the layer's input among them.
        most: vectors in all, about.

    Returns:
        Axes: vector, group, input.
    """
    share = -(-most // max(1, len(batches)))
    none: IntArray = np.zeros((0, step.groups, step.inputs), dtype=np.uint8)
    parts = [none]
    for values in batches:
        tensor = np.asarray(values[step.input])
        total = positions(step.geometry, tensor.shape) if tensor.size else 0
        chosen = np.unique(np.linspace(0, total - 1, min(total, share)).astype(np.int64))
        first = 0
        for vectors in input_vectors(step, values) if total else ():
            parts.append(
                vectors[chosen[(chosen >= first) & (chosen < first + len(vectors))] - first]
            )
            first += len(vectors)
    return np.concatenate([part for part in parts if len(part)] or parts)


def input_vectors(step: CrossbarStep, values: Mapping[str, Any]) -> Iterator[IntArray]:
    """Codes that a layer's wordlines carry, a bounded piece at a time; nothing is multiplied.

    Args:
        step: the layer.
        values: of the network, the layer's input among them.

    Yields:
        Axes: vector, group, input.
    """
    tensor = np.asarray(values[step.input])
    codes = quantize(sample_axis_first(tensor, step.geometry), step.quantizer, values, step.name)
    for vectors, _ in layer_vectors(codes, step.geometry, step.groups, tensor.shape):
        yield vectors


def draw_vectors(vectors: AnyArray, most: int) -> AnyArray:
    """Some vectors: drawn, for an even step would meet the same places of every picture."""
    if len(vectors) <= most:
        return vectors
    chosen = np.random.default_rng(_SEED).choice(len(vectors), most, replace=False)
    return vectors[np.sort(chosen)]
