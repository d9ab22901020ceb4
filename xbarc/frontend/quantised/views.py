"""Seeing real tensors as integers times a scale, as DequantizeLinear and QONNX nodes declare them.

A view survives the operators that `propagate_integers.py` knows, so that the layer behind a Flatten
still reads the integers. It never invents a scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import Constants, whole
from xbarc.frontend.quantised.integer_twins import Passage, Twins
from xbarc.frontend.quantised.integer_view import IntegerView, integer_format, stays_finite
from xbarc.frontend.quantised.propagate_integers import CARRIERS
from xbarc.numerics import AnyArray, FloatArray, Int64Array, IntFormat
from xbarc.operators import find

_QDQ_DOMAINS = ("", "com.microsoft")


@dataclass(eq=False)
class Views:
    """Integer views of values, found when asked for.

    Attributes:
        given: views that QONNX nodes declare.
    """

    graph: ir.Graph
    constants: Constants
    given: dict[ir.Value, IntegerView]
    _known: dict[ir.Value, IntegerView | None] = field(default_factory=dict)
    _twins: Twins = field(init=False)

    def __post_init__(self) -> None:
        self._twins = Twins(self.graph, self.constants)

    def of(self, value: ir.Value) -> IntegerView | None:
        """The view of a value, or None where it is an ordinary real tensor."""
        for each in self._unknown(value):
            self._known[each] = self._find(each)
        return self._known[value]

    def _unknown(self, value: ir.Value) -> Iterator[ir.Value]:
        """Values whose views are still to be found, those that others depend on first."""
        # A stack of its own: chains of a thousand operators are deeper than Python recurses.
        stack, entered = [(value, False)], set()
        while stack:
            current, ready = stack.pop()
            if ready:
                yield current
            elif current not in self._known and current not in entered:
                entered.add(current)
                stack.append((current, True))
                stack += [(source, False) for source in self._sources(current)]

    def _sources(self, value: ir.Value) -> list[ir.Value]:
        node = value.producer()
        if value in self.given or node is None or node.domain != "":
            return []
        carrier = CARRIERS.get(node.op_type)
        reads = () if carrier is None else carrier.reads(node)
        return [source for source in reads if source is not None]

    def _find(self, value: ir.Value) -> IntegerView | None:
        node = value.producer()
        if value in self.given or node is None:
            return self.given.get(value)
        if is_dequantize(node):
            return self._view_dequantize(node)
        carrier = CARRIERS.get(node.op_type) if node.domain == "" else None
        if carrier is None:
            return None
        reads = tuple(
            None if source is None else self._known.get(source) for source in carrier.reads(node)
        )
        return carrier.rule(Passage(node, value, reads, self._twins, self.element_type))

    def _view_dequantize(self, node: ir.Node) -> IntegerView | None:
        form = self._format(node)
        scale = self.constants.small(_input(node, 1))
        zero = self.constants.small(_input(node, 2), 0.0)
        if form is None or scale is None or zero is None or not stays_finite(scale, zero, form):
            return None
        source = _first(node)
        block = whole(node, "block_size", 0)
        if block:
            full = self._spread(node, (scale, zero), block)
            return full and IntegerView(source, *full, form, str(scale.dtype))
        shape = self._axis_shape(node, scale.size)
        if shape is None:
            return None
        spread = zero.astype(np.int64).reshape(shape if zero.size == scale.size else ())
        return IntegerView(
            source, scale.astype(np.float32).reshape(shape), spread, form, str(scale.dtype)
        )

    def _spread(
        self, node: ir.Node, blocked: tuple[AnyArray, AnyArray], block: int
    ) -> tuple[FloatArray, Int64Array] | None:
        """A scale and a zero point of constants that have one for each block."""
        source = _first(node)
        if not self.constants.holds(source) or block < 0:
            return None
        shape = self.constants.shape(source)
        axis = whole(node, "axis", 1) % max(len(shape), 1)
        wanted = tuple(-(-n // block) if at == axis else n for at, n in enumerate(shape))
        scale, zero = blocked
        zero = np.broadcast_to(zero, wanted) if zero.size == 1 else zero
        if scale.shape != wanted or zero.shape != wanted:
            return None
        # The last block may be cut short by the tensor's extent.
        full = (np.repeat(part, block, axis) for part in (scale, zero))
        first, second = (part.take(range(shape[axis]), axis) for part in full)
        return first.astype(np.float32), second.astype(np.int64)

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
            answer = None if node is None else _result_type(node, value)
            if not isinstance(answer, ir.Value):
                return answer or value.dtype
            value = answer
        return None


def is_dequantize(node: ir.Node) -> bool:
    """Whether a node is a DequantizeLinear, of either domain."""
    return node.op_type == "DequantizeLinear" and node.domain in _QDQ_DOMAINS


def _first(node: ir.Node) -> ir.Value:
    value = node.inputs[0]
    if value is None:
        raise ValueError(f"{node.op_type} has no input")
    return value


def _input(node: ir.Node, index: int) -> ir.Value | None:
    return node.inputs[index] if index < len(node.inputs) else None


def _quantized_type(node: ir.Node) -> ir.Value | ir.DataType | None:
    zero = _input(node, 2)
    if zero is not None:
        return zero
    declared = whole(node, "output_dtype", 0)
    return ir.DataType(declared) if declared else ir.DataType.UINT8


def _result_type(node: ir.Node, result: ir.Value) -> ir.Value | ir.DataType | None:
    """Element type of a node's result, or the input that has it; None: not known."""
    operator = find(node.domain, node.op_type)
    if operator.name == "QuantizeLinear":
        return _quantized_type(node)
    if operator.name == "Cast":
        return ir.DataType(node.attributes["to"].as_int())
    dtype = operator.dtype
    if result is not node.outputs[0] and operator.bounded_outputs is not None:
        return None
    if isinstance(dtype, int):
        return _input(node, dtype)
    return ir.DataType[dtype.upper()] if dtype else None
