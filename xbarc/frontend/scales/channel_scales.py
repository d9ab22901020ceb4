"""Following the scale of every channel through a network, from layer to layer.

Each output channel of a matrix layer with real weights starts with a scale of its own. Operators
between layers hand scales on, join some, and stop others (`scale_equivariant`); what reaches a
quantiser, an output of the network or an operator without a rule is one. The result says which
scales are left to choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from xbarc.errors import ModelError, XbarcError
from xbarc.frontend.graph import (
    Known,
    Partial,
    complete,
    declared_shapes,
    layer_shape,
    probe,
)
from xbarc.frontend.loading import BROKEN
from xbarc.frontend.scales.scale_equivariant import Stopped, Visit, rule_of
from xbarc.frontend.scales.scale_labels import Joins, Labels, renumber
from xbarc.ir import (
    Dense,
    DigitalFragment,
    FloatInput,
    FloatResult,
    FloatWeight,
    FreeScales,
    Layer,
    LayerScales,
    MatrixLayer,
    Window,
    layer_inputs,
)
from xbarc.numerics import Int64Array
from xbarc.operators import find

_OPEN_BATCH, _OPEN_AXIS = 2, 64
"""What an open axis counts as: two samples, so that none is taken for another's channel."""

_REALS = ("float32", "float64")


@dataclass(eq=False)
class _ScaleWalk:
    """What is known so far, by the name of a value."""

    shapes: Known
    joins: Joins = field(default_factory=Joins)
    labels: dict[str, Labels] = field(default_factory=dict)
    found: dict[str, LayerScales] = field(default_factory=dict)

    def stop(self, name: str) -> None:
        """Say that every scale of a value is one."""
        if name in self.labels:
            self.joins.pin(self.labels.pop(name).ids)


def free_scales(
    graph: ir.Graph,
    layers: tuple[Layer, ...],
    given: Mapping[str, tuple[int, ...]] | None,
) -> FreeScales:
    """The scales of a network's channels that are free.

    Args:
        graph: the model, for its inputs and outputs.
        layers: in execution order.
        given: shapes of inputs as the user gave them.
    """
    walk = _ScaleWalk(_start(declared_shapes(graph), given or {}))
    for layer in layers:
        if isinstance(layer, DigitalFragment):
            _fragment(walk, layer)
        else:
            _matrix(walk, layer)
    # The user reads these: their scale is one.
    for value in graph.outputs:
        walk.stop(value.name or "")
    return _collect_scales(walk)


def _start(declared: Mapping[str, Partial], given: Mapping[str, tuple[int, ...]]) -> Known:
    def close_axes(shape: Partial) -> tuple[int, ...]:
        guesses = (_OPEN_AXIS if axis else _OPEN_BATCH for axis in range(len(shape)))
        return tuple(n if n is not None else g for n, g in zip(shape, guesses, strict=True))

    return {name: close_axes(shape) for name, shape in declared.items()} | dict(given)


def _collect_scales(walk: _ScaleWalk) -> FreeScales:
    names = list(walk.found)
    arrays = [walk.joins.roots(walk.found[name].inputs) for name in names]
    arrays += [walk.joins.roots(walk.found[name].outputs) for name in names]
    ids, count = renumber(arrays)
    for array in ids:
        array.flags.writeable = False
    return FreeScales(
        count,
        {name: LayerScales(ids[i], ids[i + len(names)]) for i, name in enumerate(names)},
    )


def _matrix(walk: _ScaleWalk, layer: MatrixLayer) -> None:
    shape = walk.shapes.get(layer.input)
    if shape is not None:
        try:
            walk.shapes.update(complete({layer.output: layer_shape(layer, shape)}))
        except ModelError:
            shape = None
    if not _scalable(layer) or shape is None or layer.output not in walk.shapes:
        for name in layer_inputs(layer):
            walk.stop(name)
        return
    outputs = walk.joins.fresh(layer.constant.size)
    walk.found[layer.name] = LayerScales(_inputs(walk, layer, shape), outputs)
    result = walk.shapes[layer.output]
    axes = np.ones(len(result), dtype=np.int64)
    axes[_output_axis(layer, len(result))] = outputs.size
    walk.labels[layer.output] = Labels(outputs.reshape(axes), result)


def _scalable(layer: MatrixLayer) -> bool:
    """Real weights from real to real numbers; stacks of matrices are left alone."""
    geometry, result = layer.geometry, layer.result
    if isinstance(geometry, Dense) and (geometry.batch or geometry.squeeze):
        return False
    real = isinstance(result, FloatResult) and result.dtype in _REALS
    return (
        real and isinstance(layer.weight, FloatWeight) and isinstance(layer.quantizer, FloatInput)
    )


def _inputs(walk: _ScaleWalk, layer: MatrixLayer, shape: tuple[int, ...]) -> Int64Array:
    """Scales of the input channels: those of all positions of a channel are the same."""
    rows = layer.groups * layer.rows
    if isinstance(layer.geometry, Window):
        # Rows of a window are channels times kernel positions; a channel has one scale at all of
        # them.
        rows //= prod(layer.geometry.kernel)
    labels = walk.labels.get(layer.input)
    if labels is None:
        return np.zeros(rows, dtype=np.int64)
    rank, axis = len(shape), 1
    if isinstance(layer.geometry, Dense):
        axis = (-1 if rank == 1 else layer.geometry.contract_axis) % rank
    ids = walk.joins.merge(labels.ids, [other for other in range(rank) if other != axis])
    return np.broadcast_to(ids.reshape(-1), (rows,)).copy()


def _output_axis(layer: MatrixLayer, rank: int) -> int:
    if not isinstance(layer.geometry, Dense):
        return 1
    return -1 if rank == 1 else layer.geometry.output_axis


def _fragment(walk: _ScaleWalk, fragment: DigitalFragment) -> None:
    proto = onnx.ModelProto.FromString(fragment.model)
    inner = [name for node in proto.graph.node for name in node.output if name]
    walk.shapes.update(complete(probe(proto, dict(walk.shapes), inner)))
    constants = {item.name: numpy_helper.to_array(item) for item in proto.graph.initializer}
    opset = next((item.version for item in proto.opset_import if not item.domain), 1)
    for node in proto.graph.node:
        reads = tuple(walk.labels.get(name) for name in node.input)
        if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif any(labels is not None for labels in reads) or any(_bodies(node)):
            _visit(walk, Visit(node, reads, constants, walk.shapes, walk.joins, opset))


def _visit(walk: _ScaleWalk, visit: Visit) -> None:
    node = visit.node
    try:
        found = rule_of(find(node.domain, node.op_type))(visit)
    # Whatever a rule cannot follow has scale one on every side: never wrong, at most less free.
    except (Stopped, XbarcError, *BROKEN):
        for name in (*node.input, *_names_in_bodies(node)):
            walk.stop(name)
        return
    for name, labels in zip(node.output, found, strict=False):
        walk.labels[name] = labels


def _bodies(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    for item in node.attribute:
        if item.type == onnx.AttributeProto.GRAPH:
            yield item.g
        yield from item.graphs


def _names_in_bodies(node: onnx.NodeProto) -> Iterator[str]:
    """Every name that the bodies of a node read or give, its own names among them."""
    for body in _bodies(node):
        yield from (value.name for value in body.output)
        for inner in body.node:
            yield from inner.input
            yield from _names_in_bodies(inner)
