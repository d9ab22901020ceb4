"""Which values are constant, and their contents: looked at when asked for, never before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnx_ir as ir

from xbarc.errors import InputError, ModelError
from xbarc.frontend.graph.emit import ModelPart, emit_model, inner_graphs, known, name_of
from xbarc.frontend.graph.naming import Names
from xbarc.frontend.loading import element_count, tensor_array
from xbarc.numerics import AnyArray
from xbarc.operators import find_by_name
from xbarc.runtime import OnnxSession

_PACKED = (ir.DataType.INT4, ir.DataType.UINT4)
_DOMAINS = ("", "com.microsoft")
_DATA_FREE = 4096
"""Bytes above which a shape is worked out without the data."""


@dataclass(eq=False)
class Constants:
    """Constant values of a graph.

    Attributes:
        model: the model they belong to.
        values: initialisers and what follows from them alone.
        names: gives names to what is added to the model.
    """

    model: ir.Model
    values: set[ir.Value] = field(default_factory=set)
    names: Names = field(init=False)
    _shapes: dict[ir.Value, tuple[int, ...]] = field(default_factory=dict)
    _widened: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = Names(self.model)

    def note(self, nodes: Iterable[ir.Node]) -> None:
        """Learn what is constant; nodes come in execution order."""
        self.values.update(self.model.graph.initializers.values())
        for node in nodes:
            if self._follows(node):
                # Noted and not computed: nobody may ask for it, and some would fill memory.
                self.values.update(node.outputs)

    def holds(self, value: ir.Value | None) -> bool:
        """Say whether a value is constant."""
        return value is not None and value in self.values

    def _follows(self, node: ir.Node) -> bool:
        if (
            node.domain not in _DOMAINS
            or find_by_name(node.op_type).random
            or any(inner_graphs(node))
        ):
            return False
        return all(value is None or value in self.values for value in node.inputs)

    def shape(self, value: ir.Value) -> tuple[int, ...]:
        """Shape of a constant, without computing it where that can be avoided."""
        if value not in self._shapes:
            self._shapes[value] = self._find_shape(value)
        return self._shapes[value]

    def _find_shape(self, value: ir.Value) -> tuple[int, ...]:
        source = self._source(value)
        if isinstance(source, ir.Value):
            return tuple(known(source.const_value, source).shape.numpy())
        if source.op_type == "ConstantOfShape":
            return self._filled_shape(source)
        if source.op_type == "Constant":
            return tuple(self.load(value).shape)
        # ONNX Runtime infers shapes without the data of large initialisers, which become inputs
        # here.
        session = self._session(value, with_data=False)
        shape = session.outputs[0].shape
        if shape and all(isinstance(size, int) for size in shape):
            return tuple(size for size in shape if isinstance(size, int))
        # ONNX Runtime left an axis open, so the value has to be computed after all.
        return tuple(self.load(value).shape)

    def dtype(self, value: ir.Value) -> ir.DataType | None:
        """Element type of a constant, where it is known without computing it."""
        source = self._source(value)
        if isinstance(source, ir.Value):
            return known(source.const_value, source).dtype
        tensor = _fill_value(source) if source.op_type == "ConstantOfShape" else None
        if tensor is not None:
            return tensor.dtype
        if source.op_type == "ConstantOfShape":
            return ir.DataType.FLOAT
        if source.op_type == "Constant" and "value" in source.attributes:
            return source.attributes["value"].as_tensor().dtype
        return _onnx_type(self._session(value, with_data=False).outputs[0].type)

    def load(self, value: ir.Value) -> AnyArray:
        """Contents of a constant, read-only.

        Raises:
            ModelError: they cannot be computed, or would be absurdly large.
        """
        source = self._source(value)
        if isinstance(source, ir.Value):
            return tensor_array(known(source.const_value, source))
        if source.op_type == "ConstantOfShape":
            return self._fill_shape(source)
        if source.op_type == "Constant" and "value" in source.attributes:
            return tensor_array(source.attributes["value"].as_tensor())
        return self._compute(value)

    def small(self, value: ir.Value | None, default: float | None = None) -> AnyArray | None:
        """Contents of a parameter: None where it is not constant, `default` where it is absent."""
        if value is None:
            return None if default is None else np.asarray(default)
        return self.load(value) if self.holds(value) else None

    def _source(self, value: ir.Value) -> ir.Value | ir.Node:
        """The initialiser, or the node that computes a value, past any Identity."""
        node = value.producer()
        while node is not None and node.op_type == "Identity" and node.inputs[0] is not None:
            value = node.inputs[0]
            node = value.producer()
        return value if node is None else node

    def _filled_shape(self, node: ir.Node) -> tuple[int, ...]:
        extent = node.inputs[0]
        if extent is None:
            raise ModelError("ConstantOfShape has no shape", where=node.name or "")
        shape = tuple(int(size) for size in self.load(extent).reshape(-1))
        element_count(shape, node.name or name_of(node.outputs[0]))
        return shape

    def _fill_shape(self, node: ir.Node) -> AnyArray:
        tensor = _fill_value(node)
        one = np.zeros((), np.float32) if tensor is None else tensor_array(tensor).reshape(())
        # A view of one number, whatever the shape: nothing is allocated.
        return np.broadcast_to(one, self._filled_shape(node))

    def _compute(self, value: ir.Value) -> AnyArray:
        node = value.producer()
        packed = self.dtype(value) in _PACKED
        # Through a cast to int8, which ONNX Runtime hands out; the values are the same.
        if node is not None and packed and find_by_name(node.op_type).kernels.nibbles:
            return self._compute(self._wide(node, value))
        session = self._session(value, with_data=True)
        where = name_of(value)
        # Before anything runs: every value on the way is asked for, so that none can fill memory.
        for shape in (output.shape for output in session.outputs):
            element_count(tuple(size for size in shape if isinstance(size, int)), where)
        try:
            result = np.asarray(session.run({}, [where])[0])
        except InputError as error:
            raise ModelError(f"cannot compute a constant: {error.message}", where=where) from error
        result.flags.writeable = False
        return result

    def _wide(self, node: ir.Node, value: ir.Value) -> ir.Value:
        """Integers of 4 bits, which ONNX Runtime does not hand out, as int8."""
        if value not in self._widened:
            name = self.names.fresh(f"{name_of(value)}/int8")
            to = [ir.AttrInt64("to", ir.DataType.INT8.value)]
            cast = ir.Node("", "Cast", [value], to, name=name, outputs=[ir.Value(name=name)])
            (node.graph or self.model.graph).insert_after(node, cast)
            self.note([cast])
            self._widened[value] = cast.outputs[0]
        return self._widened[value]

    def _session(self, value: ir.Value, *, with_data: bool) -> OnnxSession:
        nodes, roots = self.ancestors([value])
        for node in nodes:
            if node.op_type == "ConstantOfShape":
                self._filled_shape(node)
        heavy = [] if with_data else [root for root in roots if _is_heavy(root)]
        light = [root for root in roots if root not in heavy]
        names = [name_of(value)]
        names += [name_of(out) for node in nodes for out in node.outputs if out.name]
        outputs = tuple(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(names))
        inputs = tuple(ir.serde.serialize_value(root) for root in heavy)
        piece = ModelPart("constant", tuple(nodes), inputs, outputs, tuple(light))
        return OnnxSession(emit_model(self.model, piece), where=names[0], threads=1)

    def ancestors(self, values: Sequence[ir.Value]) -> tuple[list[ir.Node], list[ir.Value]]:
        """Constant nodes that values need, in execution order, and the initialisers they read."""
        nodes: dict[ir.Node, None] = {}
        roots: dict[ir.Value, None] = {}
        stack: list[tuple[ir.Value, bool]] = [(value, False) for value in reversed(values)]
        while stack:
            value, done = stack.pop()
            node = value.producer()
            if node is None:
                roots[value] = None
            elif done:
                nodes[node] = None
            elif node not in nodes:
                stack.append((value, True))
                # Without recursion: a chain may be thousands of nodes long.
                stack += [(read, False) for read in node.inputs if read is not None]
        return list(nodes), list(roots)

    def check_fills(self, nodes: Iterable[ir.Node]) -> None:
        """Refuse any ConstantOfShape that would fill memory."""
        for node in nodes:
            if node.op_type == "ConstantOfShape" and self.holds(node.inputs[0]):
                self._filled_shape(node)


def _fill_value(node: ir.Node) -> ir.TensorProtocol | None:
    attribute = node.attributes.get("value")
    return None if attribute is None else attribute.as_tensor()


def _is_heavy(root: ir.Value) -> bool:
    tensor = root.const_value
    return tensor is not None and tensor.nbytes > _DATA_FREE


_RUNTIME_TYPES = {
    "float": ir.DataType.FLOAT,
    "float16": ir.DataType.FLOAT16,
    "double": ir.DataType.DOUBLE,
    "int8": ir.DataType.INT8,
    "uint8": ir.DataType.UINT8,
    "int16": ir.DataType.INT16,
    "uint16": ir.DataType.UINT16,
    "int32": ir.DataType.INT32,
    "int4": ir.DataType.INT4,
    "uint4": ir.DataType.UINT4,
}


def _onnx_type(text: str) -> ir.DataType | None:
    return _RUNTIME_TYPES.get(text.removeprefix("tensor(").removesuffix(")"))
