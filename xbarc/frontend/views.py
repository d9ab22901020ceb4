"""Seeing real tensors as integers times a scale, as DequantizeLinear and QONNX nodes declare them.

A view survives operators that only move elements, so that the layer behind a Flatten still reads
the integers. It never invents a scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import onnx_ir as ir

from xbarc.frontend.attributes import text, whole
from xbarc.frontend.constants import Constants
from xbarc.frontend.emit import name_of
from xbarc.numerics import IntFormat
from xbarc.numerics.types import AnyArray, FloatArray, Int64Array

_CROP = "tf_crop_and_resize"

WIDEST = 16
"""Bits of integers that a crossbar takes as they are."""


@dataclass(frozen=True, eq=False)
class IntegerView:
    """A real tensor that is `(integers - zero_point) * scale`.

    Attributes:
        integers: the tensor of integers, of any element type.
        scale: a scalar, or an array that broadcasts against the tensor.
        zero_point: likewise.
        format: every integer lies in it.
        dtype: numpy name of the real tensor's element type.
    """

    integers: ir.Value
    scale: FloatArray
    zero_point: Int64Array
    format: IntFormat
    dtype: str = "float32"

    @property
    def is_scalar(self) -> bool:
        """Say whether one positive scale and one zero point serve all elements."""
        single = self.scale.size == 1 and self.zero_point.size == 1
        return single and bool(self.scale.reshape(-1)[0] > 0)


@dataclass(eq=False)
class Views:
    """Integer views of values, found when asked for.

    Attributes:
        given: views that QONNX nodes declare.
    """

    graph: ir.Graph
    constants: Constants
    given: dict[ir.Value, IntegerView]
    _moved: dict[ir.Value, ir.Value] = field(default_factory=dict)

    def of(self, value: ir.Value) -> IntegerView | None:
        """The view of a value, or None where it is an ordinary real tensor."""
        path: list[ir.Node] = []
        while value not in self.given:
            node = value.producer()
            if node is None or node.domain != "" or node.inputs[:1] in ((), (None,)):
                return None
            if node.op_type == "DequantizeLinear":
                break
            if node.op_type not in _MOVES or value is not node.outputs[0] or not _plain(node):
                return None
            path.append(node)
            value = _first(node)
        view = self.given.get(value) or self._dequantised(value)
        for node in reversed(path):
            view = None if view is None else self._move(view, node)
        return view

    def _dequantised(self, value: ir.Value) -> IntegerView | None:
        node = value.producer()
        if node is None:
            return None
        form = self._format(node)
        scale = self.constants.small(_input(node, 1))
        zero = self.constants.small(_input(node, 2), 0.0)
        if form is None or scale is None or zero is None or whole(node, "block_size", 0):
            return None
        source = _first(node)
        shape = self._axis_shape(node, scale.size)
        if shape is None or not stays_finite(scale, zero, form):
            return None
        spread = zero.astype(np.int64).reshape(shape if zero.size == scale.size else ())
        return IntegerView(
            source, scale.astype(np.float32).reshape(shape), spread, form, str(scale.dtype)
        )

    def _axis_shape(self, node: ir.Node, size: int) -> tuple[int, ...] | None:
        """Shape in which a scale of `size` entries broadcasts against the tensor."""
        if size == 1:
            return ()
        source = _first(node)
        if not self.constants.holds(source):
            return None
        tensor = self.constants.shape(source)
        axis = whole(node, "axis", 1)
        if not -len(tensor) <= axis < len(tensor) or tensor[axis] != size:
            return None
        return tuple(size if i == axis % len(tensor) else 1 for i in range(len(tensor)))

    def _format(self, node: ir.Node) -> IntFormat | None:
        zero = _input(node, 2)
        kind = self.element_type(zero) if zero is not None else None
        return integer_format(kind or self.element_type(_first(node)))

    def element_type(self, value: ir.Value | None) -> ir.DataType | None:
        """Element type of a value, as far as the graph tells without running it."""
        while value is not None:
            if self.constants.holds(value):
                return self.constants.dtype(value)
            node = value.producer()
            if node is None or node.op_type not in _TYPED:
                return value.dtype
            answer = _TYPED[node.op_type](node)
            if not isinstance(answer, ir.Value):
                return answer if answer is not None else value.dtype
            value = answer
        return None

    def _move(self, view: IntegerView, node: ir.Node) -> IntegerView | None:
        if not self._can_move(view, node):
            return None
        constant = self.constants.holds(view.integers)
        if node.op_type == "Transpose" and constant and not view.is_scalar:
            turned = _turned(view, node)
            return turned and replace(turned, integers=self._follow(view.integers, node))
        if not view.is_scalar:
            return None
        return replace(view, integers=self._follow(view.integers, node))

    def _can_move(self, view: IntegerView, node: ir.Node) -> bool:
        """Say whether ONNX Runtime has the operator for the integers' own element type."""
        kind = self.element_type(view.integers)
        if kind is None or kind == ir.DataType.FLOAT:
            return kind is not None
        if node.op_type in _EVERY_TYPE:
            return kind.bitwidth in (8, 16)
        opset = self.constants.model.opset_imports.get("", 0)
        pools = node.op_type == "MaxPool" and opset >= 12
        resizes = node.op_type == "Resize" and (kind == ir.DataType.UINT8 or opset >= 13)
        return kind.bitwidth == 8 and (pools or resizes or node.op_type == "Slice")

    def _follow(self, integers: ir.Value, node: ir.Node) -> ir.Value:
        """Apply to the integers what `node` does to the real tensor."""
        output = node.outputs[0]
        if output not in self._moved:
            names = self.constants.names
            twin = ir.Node(
                node.domain,
                node.op_type,
                [integers, *node.inputs[1:]],
                list(node.attributes.values()),
                name=names.fresh(f"{node.name or name_of(output)}/integers"),
                outputs=[ir.Value(name=names.fresh(f"{name_of(output)}/integers"))],
            )
            self.graph.insert_after(node, twin)
            self.constants.note([twin])
            self._moved[output] = twin.outputs[0]
        return self._moved[output]


def integer_format(kind: ir.DataType | None) -> IntFormat | None:
    """The format of an integer element type of at most 16 bits."""
    if kind is None or not kind.is_integer() or kind.bitwidth > WIDEST:
        return None
    return IntFormat(kind.bitwidth, kind.is_signed())


def stays_finite(scale: AnyArray, zero: AnyArray, form: IntFormat) -> bool:
    """Whether every integer of a format, less its zero point and times its scale, is a float32."""
    largest = max(abs(form.min), form.max) + np.abs(zero.astype(np.float64)).max(initial=0.0)
    real = np.abs(scale.astype(np.float64)).max(initial=0.0) * largest
    return bool(real <= np.finfo(np.float32).max)  # not where it is NaN


def scalar_of(array: AnyArray) -> float:
    """The one entry of an array."""
    return float(array.reshape(-1)[0])


def _turned(view: IntegerView, node: ir.Node) -> IntegerView | None:
    rank = max(view.scale.ndim, view.zero_point.ndim)
    order = node.attributes["perm"].as_ints() if "perm" in node.attributes else range(rank)[::-1]
    if len(order) != rank:
        return None
    scale = view.scale.transpose(order) if view.scale.ndim == rank else view.scale
    zero = view.zero_point.transpose(order) if view.zero_point.ndim == rank else view.zero_point
    return replace(view, scale=scale, zero_point=zero)


def _first(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    if value is None:
        raise ValueError(f"{node.op_type} has no input")
    return value


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _plain(node: ir.Node) -> bool:
    """Say whether a moving operator only moves: no second result, no training, no mixing."""
    if node.op_type == "Resize" and text(node, "mode", "nearest") != "nearest":
        return False
    if node.op_type == "Resize" and text(node, "coordinate_transformation_mode", "") == _CROP:
        return False
    if node.op_type == "Dropout" and len(node.inputs) > 2:
        return False
    return all(not output.uses() and not output.is_graph_output() for output in node.outputs[1:])


def _quantized_type(node: ir.Node) -> ir.Value | ir.DataType | None:
    zero = _input(node, 2)
    if zero is not None:
        return zero
    declared = whole(node, "output_dtype", 0)
    return ir.DataType(declared) if declared else ir.DataType.UINT8


_EVERY_TYPE = frozenset(("Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"))
_MOVES = _EVERY_TYPE | frozenset(
    ("MaxPool", "Dropout", "DepthToSpace", "SpaceToDepth", "Slice", "Expand", "Tile", "Resize")
)

_TYPED: dict[str, Callable[[ir.Node], ir.Value | ir.DataType | None]] = {
    "QuantizeLinear": _quantized_type,
    "DynamicQuantizeLinear": lambda _: ir.DataType.UINT8,
    "Cast": lambda node: ir.DataType(node.attributes["to"].as_int()),
    **dict.fromkeys([*sorted(_MOVES), "Clip", "Relu", "Concat", "Pad"], _first),
}
