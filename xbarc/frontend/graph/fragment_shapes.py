"""Shapes inside a fragment, where static inference ends: for counting, never for running.

Sizes that a model computes (`x.view(x.size(0), -1)`, a computed pad, a mask of the length of its
input) depend on shapes alone. They are computed by ONNX Runtime from the shapes that are known, and
then every operator's own rule says the shape of its result. An operator without such a rule is run
by itself on zeros and on ones of the known shape. What depends on values stays unknown, and the
node that it depends on is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from xbarc.errors import XbarcError
from xbarc.frontend.graph import element_types
from xbarc.frontend.graph.control_flow_shapes import on_data, through_if, through_loop
from xbarc.frontend.loading import BROKEN
from xbarc.numerics import AnyArray
from xbarc.operators import find_by_name
from xbarc.runtime import OnnxSession, RuntimeValue

Types = dict[str, onnx.TypeProto]

SMALL = 1024
"""Elements of a value that may decide about shapes, such as the target of a Reshape."""

_TRIED = 1 << 24
"""Elements that an operator without a rule is tried on at most: 64 MiB of float32."""

_SHAPES = ("Shape", "Size")
_BODIES = ("If", "Loop", "Scan")
_PLACED = {"SequenceAt": 1, "SequenceErase": 1, "SequenceInsert": 2, "SplitToSequence": 1}
"""Operators on sequences, and the input that says where."""

_SEQUENCES = (*_PLACED, "ConcatFromSequence", "SequenceConstruct", "SequenceLength")


@dataclass(eq=False)
class Extents:
    """What is known of the values of a fragment.

    Attributes:
        proto: the fragment.
        types: element type of every value, with its shape where that is known.
        values: those that follow from shapes and constants alone, as far as they were asked for.
        pending: nodes that compute further ones, in execution order.
        lists: sequences of zeros in place of the real ones.
        unknown: values of unknown shape, and why.
        inferred: what ONNX Runtime infers by itself.
    """

    proto: onnx.ModelProto
    types: Types = field(default_factory=dict)
    values: dict[str, AnyArray] = field(default_factory=dict)
    pending: dict[str, onnx.NodeProto] = field(default_factory=dict)
    lists: dict[str, list[AnyArray]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    inferred: Mapping[str, RuntimeValue] = field(default_factory=dict)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a value; None where it is not known."""
        found = self.types.get(name)
        return None if found is None or name in self.unknown else _closed_shape(found)

    def walk(self, nodes: Sequence[onnx.NodeProto]) -> None:
        """Follow nodes in execution order."""
        for node in nodes:
            if node.op_type in _SHAPES and self._measure(node):
                continue
            if node.op_type in _FOLLOWED and not self._by_runtime(list(node.output)):
                _FOLLOWED[node.op_type](node, self)
                continue
            if node.op_type in _SEQUENCES and self._through_sequences(node):
                continue
            self._infer(node)

    def is_fixed(self, name: str) -> bool:
        """Whether a value follows from shapes and constants alone, and is small."""
        return not name or name in self.values or name in self.pending

    def value(self, name: str) -> AnyArray:
        """A fixed value; all that are pending are computed at once."""
        if name not in self.values:
            self._compute()
        return self.values[name]

    def fixed_values(self, names: Sequence[str]) -> dict[str, AnyArray]:
        """Those of some values that are fixed, as far as ONNX Runtime computes them."""
        try:
            return {name: self.value(name) for name in names if self.is_fixed(name)}
        except (XbarcError, *BROKEN):
            return {}

    def _measure(self, node: onnx.NodeProto) -> bool:
        shape = self.shape(node.input[0])
        if shape is None:
            return False
        given = {attribute.name: attribute.i for attribute in node.attribute}
        cut = shape[given.get("start", 0) : given.get("end", len(shape))]
        result = np.array(cut if node.op_type == "Shape" else np.prod(shape), dtype=np.int64)
        self.fix(node.output[0], result)
        return True

    def fix(self, name: str, value: AnyArray) -> None:
        """Note a value that follows from shapes and constants alone."""
        element = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.types[name] = helper.make_tensor_type_proto(element, value.shape)
        self.values[name] = value

    def _compute(self) -> None:
        """Run the small computations that wait, in one model."""
        needed = dict.fromkeys(
            name
            for node in self.pending.values()
            for name in node.input
            if name and name in self.values
        )
        # A node with two results waits under both names.
        nodes = list({id(node): node for node in self.pending.values()}.values())
        constants = [numpy_helper.from_array(self.values[name], name) for name in needed]
        outputs = list(self.pending)
        for name, result in zip(outputs, self._run(nodes, constants, {}, outputs), strict=True):
            self.values[name] = np.asarray(result)
        self.pending.clear()

    def _run(
        self,
        nodes: Sequence[onnx.NodeProto],
        constants: Sequence[onnx.TensorProto],
        feeds: Mapping[str, Any],
        outputs: Sequence[str],
    ) -> list[Any]:
        """Results of some nodes alone."""
        ports = [
            onnx.ValueInfoProto(name=name, type=_without_shape(self.types[name])) for name in feeds
        ]
        wanted = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(nodes, "shapes", ports, wanted, constants)
        model = onnx.ModelProto(ir_version=self.proto.ir_version, graph=graph)
        model.opset_import.extend(self.proto.opset_import)
        model.functions.extend(self.proto.functions)
        session = OnnxSession(model.SerializeToString(), where="shapes", threads=1)
        return session.run(feeds, outputs)

    def inside(self, graph: onnx.GraphProto, given: Mapping[str, onnx.TypeProto]) -> Extents:
        """The values of a body, which sees those around it; `given` are its inputs."""
        inner = replace(
            self,
            types={**self.types, **given},
            values=dict(self.values),
            pending=dict(self.pending),
            lists=dict(self.lists),
            unknown=dict(self.unknown),
            inferred={},
        )
        for name in (*given, *(name for node in graph.node for name in node.output)):
            inner.values.pop(name, None)
            inner.pending.pop(name, None)
            # Names of a body hide those around it.
            inner.unknown.pop(name, None)
        for name, kind in given.items():
            if _closed_shape(kind) is None:
                inner.unknown[name] = f"the shape of '{name}' is not known"
        inner.add_constants(graph.initializer)
        inner.walk(graph.node)
        return inner

    def add_constants(self, tensors: Sequence[onnx.TensorProto]) -> None:
        """Note constants; small ones may decide about shapes."""
        for tensor in tensors:
            self.types[tensor.name] = helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
            if np.prod(tensor.dims, dtype=np.float64) <= SMALL and not tensor.external_data:
                self.values[tensor.name] = numpy_helper.to_array(tensor)

    def _infer(self, node: onnx.NodeProto) -> None:
        """Shapes of a node's results by its own rule, or by a run; a reason where neither tells."""
        names = [name for name in node.output if name]
        found = self._by_runtime(names) or self._by_rule(node)
        if not _complete(found, names) and not any(n in self.unknown for n in node.input):
            found = {**found, **self._by_run(node)}
        self.types.update(found)
        free = find_by_name(node.op_type).random or node.op_type in _BODIES
        fixed = not free and all(map(self.is_fixed, node.input))
        for name in names:
            shape = _closed_shape(found[name]) if name in found else None
            if shape is None:
                self.unknown[name] = self._why(node)
            # Computed later, together with others, and only if somebody asks.
            elif fixed and node.domain in ("", "ai.onnx") and np.prod(shape) <= SMALL:
                self.pending[name] = node

    def _by_runtime(self, names: Sequence[str]) -> Types:
        """What ONNX Runtime infers, where that is everything."""
        seen = [self.inferred[name] for name in names if name in self.inferred]
        if len(seen) != len(names) or not all(_is_closed(value) for value in seen):
            return {}
        return {value.name: _type_of(value) for value in seen}

    def _by_rule(self, node: onnx.NodeProto) -> Types:
        """What the operator's definition says: without values, then with those that are fixed."""
        versions = {entry.domain: entry.version for entry in self.proto.opset_import}
        try:
            schema = onnx.defs.get_schema(node.op_type, versions[node.domain], node.domain)
            known = {name: self.types[name] for name in node.input if name}
            # Without values first: computing one costs a session.
            found = self._rule(schema, node, known, {})
            fixed = [name for name in node.input if name and self.is_fixed(name)]
            if _complete(found, node.output) or not fixed:
                return found
            data = {name: numpy_helper.from_array(self.value(name), name) for name in fixed}
            return self._rule(schema, node, known, data)
        except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError, XbarcError, *BROKEN):
            return {}

    def _rule(
        self,
        schema: onnx.defs.OpSchema,
        node: onnx.NodeProto,
        known: Types,
        data: dict[str, onnx.TensorProto],
    ) -> Types:
        found: Types = onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            known,
            data,
            opset_imports=list(self.proto.opset_import),
            ir_version=self.proto.ir_version,
        )
        return found

    def _by_run(self, node: onnx.NodeProto) -> Types:
        """Shapes that an operator without a rule gives for zeros, where ones give the same.

        Operators of the standard have rules: what those do not tell depends on values.
        """
        if node.domain in ("", "ai.onnx"):
            return {}
        names = [name for name in node.output if name]
        # Two fills: a shape that follows from values should differ between them.
        results = [self._try_fill(node, fill, names) for fill in (0, 1)]
        first, second = results[0], results[1] or results[0]
        if first is None or second is None:
            return {}
        return {
            name: helper.make_tensor_type_proto(
                helper.np_dtype_to_tensor_dtype(one.dtype), one.shape
            )
            for name, one, other in zip(names, first, second, strict=True)
            if isinstance(one, np.ndarray) and one.shape == np.shape(other)
        }

    def _try_fill(self, node: onnx.NodeProto, fill: int, names: Sequence[str]) -> list[Any] | None:
        """Results on one number everywhere; None where it is refused, or too large to try."""
        feeds = self._feeds(node, fill)
        if feeds is None:
            return None
        try:
            return self._run([node], [], feeds, names)
        except (XbarcError, *BROKEN):
            return None

    def _feeds(self, node: onnx.NodeProto, fill: int) -> dict[str, Any] | None:
        """Inputs of a trial: fixed values as they are, sequences of zeros, one number elsewhere."""
        feeds: dict[str, Any] = {}
        room = _TRIED
        for name in filter(None, node.input):
            shape = self.shape(name)
            if name in self.lists:
                feeds[name] = self.lists[name]
            elif self.is_fixed(name):
                feeds[name] = self.value(name)
            elif shape is None or np.prod(shape, dtype=np.float64) > room:
                return None
            else:
                # All inputs of a trial share the room, so that many medium ones cannot fill memory
                # either.
                room -= int(np.prod(shape))
                feeds[name] = _filled_array(self.types[name].tensor_type.elem_type, shape, fill)
        return feeds

    def _through_sequences(self, node: onnx.NodeProto) -> bool:
        """Sequences as lists of zeros; where a place depends on data, members have one shape."""
        at = _PLACED.get(node.op_type)
        members = {array.shape for name in node.input for array in self.lists.get(name, ())}
        moved = at is not None and len(node.input) > at and not self.is_fixed(node.input[at])
        if moved and (node.op_type == "SplitToSequence" or len(members) != 1):
            return False
        names = [name for name in node.output if name]
        results = self._try_fill(node, 0, names)
        if results is None:
            return False
        for name, result in zip(names, results, strict=True):
            self._note_result(node, name, result)
        return True

    def _note_result(self, node: onnx.NodeProto, name: str, result: Any) -> None:
        if isinstance(result, list):
            arrays = [np.asarray(array) for array in result]
            element = helper.np_dtype_to_tensor_dtype(arrays[0].dtype) if arrays else 1
            inner = element_types.tensor_type(element)
            self.types[name] = helper.make_sequence_type_proto(inner)
            self.lists[name] = arrays
        elif node.op_type == "SequenceLength":
            self.fix(name, np.asarray(result))
        else:
            element = helper.np_dtype_to_tensor_dtype(result.dtype)
            self.types[name] = helper.make_tensor_type_proto(element, result.shape)

    def _why(self, node: onnx.NodeProto) -> str:
        """The first cause: that of an input whose shape is not known, or the node itself."""
        causes = [self.unknown[name] for name in node.input if name in self.unknown]
        if causes:
            return causes[0]
        return on_data(node)


_FOLLOWED = {"If": through_if, "Loop": through_loop}
"""Operators whose bodies are followed where ONNX Runtime does not infer their results."""


def trace(
    proto: onnx.ModelProto,
    shapes: Mapping[str, tuple[int, ...]],
    why: Mapping[str, str],
    inferred: Mapping[str, RuntimeValue],
    values: Mapping[str, AnyArray],
) -> Extents:
    """Follow shapes through a fragment.

    Args:
        proto: the fragment.
        shapes: of its inputs, as far as they are known.
        why: reasons for those that are not.
        inferred: what ONNX Runtime infers of the values inside.
        values: of inputs that follow from shapes and constants alone.
    """
    found = Extents(proto, inferred=inferred)
    found.add_constants(proto.graph.initializer)
    for port in proto.graph.input:
        found.types[port.name] = _without_shape(port.type)
        if port.name in values:
            found.fix(port.name, values[port.name])
        elif port.name in shapes and port.type.WhichOneof("value") == "tensor_type":
            element = port.type.tensor_type.elem_type
            found.types[port.name] = helper.make_tensor_type_proto(element, shapes[port.name])
        else:
            found.unknown[port.name] = why.get(port.name, f"input '{port.name}' declares no shape")
    found.walk(proto.graph.node)
    return found


def _filled_array(element: int, shape: tuple[int, ...], fill: int) -> AnyArray:
    if element == onnx.TensorProto.STRING:
        return np.full(shape, "", dtype=object)
    return np.full(shape, fill, dtype=helper.tensor_dtype_to_np_dtype(element))


def _without_shape(kind: onnx.TypeProto) -> onnx.TypeProto:
    """A type without its shape."""
    element = element_types.element_of(kind)
    return kind if element is None else element_types.tensor_type(element)


def _closed_shape(kind: onnx.TypeProto) -> tuple[int, ...] | None:
    """The shape of a type; None where it has none, or an open axis."""
    if kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        return None
    dims = kind.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
        return None
    return tuple(dim.dim_value for dim in dims)


def _complete(found: Types, names: Sequence[str]) -> bool:
    return all(name in found and _closed_shape(found[name]) is not None for name in names if name)


def _is_closed(value: RuntimeValue) -> bool:
    """Whether ONNX Runtime gives every axis; it shows a scalar as it shows an unknown rank."""
    return bool(value.shape) and all(isinstance(n, int) and n >= 0 for n in value.shape)


def _type_of(value: RuntimeValue) -> onnx.TypeProto:
    kind = element_types.parse_type(value.type, value.name)
    shape = [size for size in value.shape if isinstance(size, int)]
    return helper.make_tensor_type_proto(kind.tensor_type.elem_type, shape)
