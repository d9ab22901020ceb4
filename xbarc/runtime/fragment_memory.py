"""What a digital fragment holds at once, from the shapes that ONNX infers for given inputs.

Values whose shape depends on data (`NonZero`), stands behind an operator that ONNX does not define,
or is made in the body of an `If`, `Loop` or `Scan` count as nothing: they are not bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np

from xbarc.errors import InputError
from xbarc.numerics import ANOTHER_LIMIT, limit_in_words, memory_limit, show_size

_SMALL = 1 << 10
"""Entries up to which a constant may tell a shape; larger ones only have one."""

Shapes = Mapping[str, tuple[int, ...]]


def check_memory(model: bytes, shapes: Shapes, where: str) -> None:
    """Refuse inputs on which a fragment would hold more than there is memory.

    Raises:
        InputError: says how much it holds, and how much there is.
    """
    need = most_held(model, shapes)
    if need > memory_limit():
        given = ", ".join(f"'{name}' {list(shape)}" for name, shape in shapes.items())
        raise InputError(
            f"on inputs {given} it holds {show_size(need)} at once, {limit_in_words()}",
            where=where,
            hint=f"fewer samples at a time, or {ANOTHER_LIMIT}",
        )


def most_held(model: bytes, shapes: Shapes) -> int:
    """Most bytes of values that are alive at once, as far as ONNX infers their shapes."""
    import onnx  # noqa: PLC0415  # a fragment is ONNX by definition

    proto = onnx.ModelProto.FromString(model)
    _prepare(onnx, proto.graph, shapes)
    try:
        inferred = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError, TypeError):
        return 0  # nothing is known; ONNX Runtime says what is wrong with it
    graph = inferred.graph
    known = (*graph.input, *graph.value_info, *graph.output)
    return max(_alive(graph, {value.name: _bytes(onnx, value) for value in known}), default=0)


def _prepare(onnx: Any, graph: Any, shapes: Shapes) -> None:
    """Give inputs their shapes, and take the data of large constants away."""
    for value in graph.input:
        if value.name in shapes and value.type.HasField("tensor_type"):
            dims = [onnx.TensorShapeProto.Dimension(dim_value=n) for n in shapes[value.name]]
            value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))
    for value in graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")
    # Declared shapes are for other inputs than these.
    del graph.value_info[:]
    listed = {value.name for value in graph.input}
    large = [tensor for tensor in graph.initializer if prod(tensor.dims) > _SMALL]
    for tensor in large:
        if tensor.name not in listed:
            made = onnx.helper.make_tensor_value_info
            graph.input.append(made(tensor.name, tensor.data_type, list(tensor.dims)))
    kept = [tensor for tensor in graph.initializer if prod(tensor.dims) <= _SMALL]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _bytes(onnx: Any, value: Any) -> int:
    """Size of a value; 0 where it is not known."""
    kind = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not kind.HasField("shape"):
        return 0
    if not all(dim.HasField("dim_value") for dim in kind.shape.dim):
        return 0
    try:
        each = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)).itemsize
    except (KeyError, TypeError, ValueError):
        return 0
    return int(prod((max(0, dim.dim_value) for dim in kind.shape.dim), start=each))


def _alive(graph: Any, sizes: Mapping[str, int]) -> Iterator[int]:
    """Bytes alive while each node works: what later nodes still read, and its own results."""
    last = {name: number for number, node in enumerate(graph.node) for name in _reads(node)}
    ends = {value.name for value in graph.output}
    alive = {value.name for value in graph.input}
    held = sum(sizes.get(name, 0) for name in alive)
    for number, node in enumerate(graph.node):
        made = {name for name in node.output if name} - alive
        alive |= made
        held += sum(sizes.get(name, 0) for name in made)
        yield held
        read = {*node.input, *made}
        gone = {n for n in read if n in alive and n not in ends and last.get(n, -1) <= number}
        alive -= gone
        # After the peak: a node holds what it reads and what it makes at once.
        held -= sum(sizes.get(name, 0) for name in gone)


def _reads(node: Any) -> Iterator[str]:
    """What a node reads, in its bodies too."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            for inner in graph.node:
                yield from _reads(inner)
