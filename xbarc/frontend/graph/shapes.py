"""Shapes of one inference: for counting, never for running."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import onnx
import onnx_ir as ir

from xbarc.errors import InputError, ModelError, XbarcError
from xbarc.frontend.graph.attributes import whole
from xbarc.frontend.graph.emit import name_of
from xbarc.frontend.graph.fragment_shapes import SMALL, trace
from xbarc.ir import Dense, MatrixLayer, Window, spatial_extent
from xbarc.numerics import AnyArray
from xbarc.runtime import OnnxSession, RuntimeValue

Known = dict[str, tuple[int, ...]]
"""Shapes by name of value; a value of unknown shape is left out."""

Partial = tuple[int | None, ...]
"""A shape whose open axes are None."""

_DECIDING = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)


def input_shapes(graph: ir.Graph, given: Mapping[str, tuple[int, ...]] | None) -> Known:
    """Concrete shapes of the graph's inputs; a symbolic dimension counts as 1.

    Raises:
        InputError: a name is no input of the model, or a shape has another number of axes.
    """
    asked = dict(given or {})
    names = {name_of(value): value for value in graph.inputs}
    unknown = sorted(set(asked) - set(names))
    if unknown:
        raise InputError(
            f"the model has no input {', '.join(unknown)}", hint=f"it has {', '.join(names)}"
        )
    shapes: Known = {}
    for name, value in names.items():
        declared = value.shape
        if name in asked:
            shapes[name] = _agree_on_shape(name, asked[name], declared)
        elif declared is not None:
            shapes[name] = tuple(size if isinstance(size, int) else 1 for size in declared)
    return shapes


def _agree_on_shape(
    name: str, asked: tuple[int, ...], declared: ir.Shape | None
) -> tuple[int, ...]:
    if declared is not None and len(declared) != len(asked):
        raise InputError(
            f"shape {list(asked)} given, the model has {len(declared)} axes", where=name
        )
    for size, fixed in zip(asked, declared or (), strict=declared is not None):
        if isinstance(fixed, int) and size != fixed:
            raise InputError(
                f"shape {list(asked)} given, the model fixes an axis to {fixed}", where=name
            )
    return tuple(asked)


def declared_shapes(graph: ir.Graph) -> dict[str, Partial]:
    """Shapes of the graph's inputs as the model declares them."""
    return {
        name_of(value): tuple(size if isinstance(size, int) else None for size in value.shape)
        for value in graph.inputs
        if value.shape is not None
    }


def probe(
    proto: onnx.ModelProto, known: Mapping[str, Partial], asked: Sequence[str]
) -> dict[str, Partial]:
    """Shapes of values inside a fragment, as far as ONNX Runtime infers them from its inputs'."""
    return {
        value.name: tuple(_size(size) for size in value.shape)
        for value in inferred_values(proto, known, asked)
        if value.shape
    }


def inferred_values(
    proto: onnx.ModelProto, known: Mapping[str, Partial], asked: Sequence[str]
) -> tuple[RuntimeValue, ...]:
    """Results of a fragment and values inside it, as ONNX Runtime sees them; none if it refuses."""
    # Inference needs no weights, and a session that copies them costs memory and seconds.
    trial = _without_data(proto)
    for value in trial.graph.input:
        if value.name in known and value.type.WhichOneof("value") == "tensor_type":
            _set_shape(value, known[value.name])
    listed = {value.name for value in trial.graph.output}
    trial.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in dict.fromkeys(asked) if name not in listed
    )
    try:
        return OnnxSession(trial.SerializeToString(), where=proto.graph.name, threads=1).outputs
    # Guessed extents may misfit where the model's own would not: no shapes then, and no error.
    except XbarcError:
        return ()


@dataclass(frozen=True, eq=False)
class Traced:
    """What is known of values in a fragment.

    Attributes:
        shapes: those that are known.
        why: reasons for the others.
        values: results that follow from shapes and constants alone: they may decide about shapes in
            later fragments.
    """

    shapes: Known
    why: dict[str, str] = field(default_factory=dict)
    values: dict[str, AnyArray] = field(default_factory=dict)


def trace_shapes(proto: onnx.ModelProto, before: Traced, asked: Sequence[str]) -> Traced:
    """Shapes of values in a fragment.

    Args:
        proto: the fragment.
        before: what is known of its inputs.
        asked: names of values inside; results of the fragment are always among them.
    """
    results = [port.name for port in proto.graph.output]
    wanted = dict.fromkeys((*asked, *results))
    found = complete(probe(proto, before.shapes, asked))
    # The usual case: inference says all, and no result can be a size that a later fragment reads.
    if wanted.keys() <= found.keys() and not any(map(_may_decide, proto.graph.output)):
        return Traced(found)
    inside = [name for node in proto.graph.node for name in node.output if name]
    seen = {value.name: value for value in inferred_values(proto, before.shapes, inside)}
    extents = trace(proto, before.shapes, before.why, seen, before.values)
    shapes = {name: extents.shape(name) for name in wanted}
    return Traced(
        {name: shape for name, shape in shapes.items() if shape is not None},
        {name: extents.unknown[name] for name in wanted if name in extents.unknown},
        extents.fixed_values(results),
    )


def _may_decide(port: onnx.ValueInfoProto) -> bool:
    """Whether a result may be a size, an axis or a condition."""
    return port.type.tensor_type.elem_type in _DECIDING


def _size(found: int | str | None) -> int | None:
    return found if isinstance(found, int) and found >= 0 else None


def complete(shapes: Mapping[str, Partial]) -> Known:
    """Those without an open axis."""
    closed = {name: tuple(n for n in shape if n is not None) for name, shape in shapes.items()}
    # Open axes fell out above, so a shape that became shorter had one.
    return {name: shape for name, shape in closed.items() if len(shape) == len(shapes[name])}


def _without_data(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which large constants are inputs, so that it is small."""
    graph = onnx.GraphProto(name=proto.graph.name)
    graph.node.extend(proto.graph.node)
    graph.input.extend(proto.graph.input)
    graph.output.extend(proto.graph.output)
    for tensor in proto.graph.initializer:
        # Small ones stay: a Reshape reads its target from them.
        if math.prod(tensor.dims) <= SMALL:
            graph.initializer.append(tensor)
        else:
            kind = tensor.data_type
            graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, kind, tensor.dims))
    copy = onnx.ModelProto(ir_version=proto.ir_version, graph=graph)
    copy.opset_import.extend(proto.opset_import)
    copy.functions.extend(proto.functions)
    return copy


def _set_shape(value: onnx.ValueInfoProto, shape: Partial) -> None:
    dims = [onnx.TensorShapeProto.Dimension(dim_value=size) for size in shape]
    value.type.tensor_type.shape.CopyFrom(onnx.TensorShapeProto(dim=dims))


def layer_shape(layer: MatrixLayer, shape: Partial) -> Partial:
    """Shape of a layer's result.

    Raises:
        ModelError: the input does not fit the layer's weights, whatever its open axes are.
    """
    geometry = layer.geometry
    if isinstance(geometry, Dense):
        return _dense_shape(layer, geometry, shape)
    channels = layer.groups * (
        layer.rows // math.prod(geometry.kernel) if isinstance(geometry, Window) else layer.rows
    )
    if len(shape) != len(geometry.kernel) + 2 or shape[1] not in (None, channels):
        raise _misfit(layer, shape, f"{len(geometry.kernel) + 2} axes and {channels} channels")
    extent = spatial_extent(geometry, tuple(size or 0 for size in shape[2:]))
    space = (None if n is None else out for n, out in zip(shape[2:], extent, strict=True))
    return (shape[0], layer.constant.size, *space)


def check_extent(layer: MatrixLayer, shape: Partial) -> None:
    """Refuse a convolution that has no position, whatever the open axes of its input are.

    Raises:
        ModelError: its kernel is larger than the padded input, or its pads cut off everything.
    """
    if isinstance(layer.geometry, Dense):
        return
    extent = spatial_extent(layer.geometry, tuple(size or 0 for size in shape[2:]))
    if any(size is not None and out == 0 for size, out in zip(shape[2:], extent, strict=True)):
        kernel = list(layer.geometry.kernel)
        raise _misfit(layer, shape, f"an input that a kernel of {kernel} fits, pads counted")


def _dense_shape(layer: MatrixLayer, geometry: Dense, shape: Partial) -> Partial:
    axis = -1 if len(shape) == 1 else geometry.contract_axis
    if not shape or shape[axis] not in (None, layer.rows):
        raise _misfit(layer, shape, f"{layer.rows} entries along axis {axis}")
    rest = list(shape)
    del rest[axis]
    lead, free = (rest[:-1], rest[-1:]) if len(shape) > 1 else ([], [])
    lead = _broadcast(layer, lead, geometry.batch)
    if geometry.squeeze:
        return (*lead, *free)
    own = [layer.outputs]
    return (*lead, *free, *own) if geometry.output_axis == -1 else (*lead, *own, *free)


def _broadcast(
    layer: MatrixLayer, lead: list[int | None], batch: tuple[int, ...]
) -> list[int | None]:
    rank = max(len(lead), len(batch))
    left = [1] * (rank - len(lead)) + lead
    right = [1] * (rank - len(batch)) + list(batch)
    if any(a not in (b, 1, None) and b != 1 for a, b in zip(left, right, strict=True)):
        raise _misfit(layer, tuple(lead), f"leading axes that fit {list(batch)}")
    return [a if b == 1 else b for a, b in zip(left, right, strict=True)]


def _misfit(layer: MatrixLayer, shape: Partial, expected: str) -> ModelError:
    found = ", ".join("?" if size is None else str(size) for size in shape)
    return ModelError(f"its input has the shape [{found}], expected {expected}", where=layer.name)


_SECOND = {"QLinearConv": 3, "QLinearMatMul": 3, "QGemm": 3}


def node_macs(node: ir.Node, known: Known) -> int | None:
    """Multiply-accumulates of a digital matrix operator, or None where a shape is unknown."""
    second = node.inputs[_SECOND.get(node.op_type, 1)]
    first, output = node.inputs[0], node.outputs[0]
    shapes = [known.get(name_of(v)) if v is not None else None for v in (first, second, output)]
    left, right, result = shapes
    if node.op_type in ("MatMul", "MatMulInteger", "QLinearMatMul"):
        return None if left is None or result is None else math.prod(result) * left[-1]
    if node.op_type in ("Gemm", "QGemm"):
        axis = -2 if whole(node, "transA", 0) else -1
        return None if left is None or result is None else math.prod(result) * left[axis]
    if node.op_type in ("LSTM", "GRU", "RNN"):
        return _recurrent_macs(node, known)
    # Each input of a transposed convolution meets every weight of its channel, each output of a
    # plain one does.
    start = left if node.op_type == "ConvTranspose" else result
    return None if start is None or right is None else math.prod(start) * math.prod(right[1:])


def _recurrent_macs(node: ir.Node, known: Known) -> int | None:
    """Every step of every sequence multiplies the input and the state by all their weights."""
    names = [name_of(value) if value is not None else "" for value in node.inputs[:3]]
    data, inputs, states = (known.get(name) for name in names)
    if data is None or inputs is None or states is None:
        return None
    return math.prod(data[:2]) * (math.prod(inputs) + math.prod(states))
