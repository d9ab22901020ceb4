"""From bounds of a fragment's inputs to bounds of its outputs, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xbarc.intervals.bounds import Bounds, bounds_of_type, from_array
from xbarc.intervals.node import BoundedNode
from xbarc.intervals.rules import rule_of
from xbarc.numerics import AnyArray
from xbarc.onnx_graph import GraphNode, OnnxGraph

# Entries of a constant that are looked at one by one: as float64 ends 8 MiB each, a few at a time.
# Scales, tables and biases are far smaller; what is larger are weights.
_LARGEST = 1 << 20
LARGEST_MODEL = 1 << 27
"""Bytes of a model beyond which nothing is read of it, so that memory stays bounded."""


def fragment_bounds(
    model: bytes, inputs: Mapping[str, Bounds], where: str = ""
) -> dict[str, Bounds]:
    """Bounds of the outputs of an ONNX model; what is not there can hold anything.

    Args:
        model: serialised.
        inputs: bounds by name; an input that is left out can hold anything.
        where: what the model is, for messages.

    Raises:
        ModelError: it is no ONNX model.
    """
    if len(model) > LARGEST_MODEL:
        return {}
    graph = OnnxGraph(model, where)
    known = {name: bounds_of_type(dtype) for name, dtype in graph.inputs.items()} | dict(inputs)
    constants = {name: graph.constant(name) for name in graph.constants}
    known |= {name: _constant(array) for name, array in constants.items()}
    for node in graph.nodes:
        known |= _outputs(node, known, constants)
    return {name: _within(known.get(name), dtype) for name, dtype in graph.outputs.items()}


def _within(found: Bounds | None, declared: str) -> Bounds:
    """What a rule found, within the declared type where none was known on the way."""
    room = bounds_of_type(declared)
    if found is None or found.dtype:
        return found or room
    low, high = np.maximum(found.low, room.low), np.minimum(found.high, room.high)
    return replace(found, low=low, high=high, dtype=declared, nan=found.nan and room.nan)


def _constant(array: AnyArray | None) -> Bounds:
    return bounds_of_type() if array is None else from_array(array)


def _outputs(
    node: GraphNode, known: Mapping[str, Bounds], constants: Mapping[str, AnyArray | None]
) -> dict[str, Bounds]:
    names = [name for name in node.outputs if name]
    if not names:
        return {}
    seen = BoundedNode(
        operator=node.operator,
        name=node.name or names[0],
        inputs=tuple(known.get(name, bounds_of_type()) if name else None for name in node.inputs),
        constants=tuple(_small(constants.get(name)) for name in node.inputs),
        attributes=node.attributes,
    )
    with np.errstate(all="ignore"):  # ends may be infinite; what is no number counts as open
        found = rule_of(node.operator)(seen)
    bounded = node.outputs[: node.operator.bounded_outputs]
    return {name: found if name in bounded else bounds_of_type() for name in names}


def _small(array: AnyArray | None) -> AnyArray | None:
    return array if array is not None and array.size <= _LARGEST else None
