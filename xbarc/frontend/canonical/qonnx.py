"""QONNX nodes (Quant, BipolarQuant, Trunc) written in standard ONNX, in the same float32 steps.

Each node becomes a chain that ends in the tensor it stood for; the chain's middle holds the
integers, so that a matrix layer can read them with the scale and width that the model states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.graph import Constants, inner_nodes, name_of, text, whole
from xbarc.frontend.quantised import WIDEST, IntegerView, scalar_of, stays_finite
from xbarc.numerics import AnyArray, IntFormat, bits_for

DOMAINS = frozenset(("qonnx.custom_op.general", "onnx.brevitas"))
_OPERATORS = frozenset(("Quant", "IntQuant", "BipolarQuant", "Trunc"))
# The opset that brings Round, half to even; older models get it from Floor and comparisons.
_ROUND_FIRST_OPSET = 11


@dataclass(frozen=True)
class QonnxIntegers:
    """What a QONNX node says about its result.

    Attributes:
        integers: the tensor of integers.
        low: smallest integer that can occur.
        high: largest.
    """

    integers: ir.Value
    scale: ir.Value
    zero_point: ir.Value | None
    low: float
    high: float


@dataclass(eq=False)
class Lowered:
    """What `lower` did."""

    declared: dict[ir.Value, QonnxIntegers] = field(default_factory=dict)
    changed: bool = False


def lower(model: ir.Model, constants: Constants) -> Lowered:
    """Replace every QONNX node of the graph.

    Raises:
        ModelError: a bit width is not constant, or a rounding mode is unknown.
    """
    lowered = Lowered()
    for node in list(model.graph):
        for inner in inner_nodes(node):
            if inner.domain in DOMAINS and inner.op_type in _OPERATORS:
                _replace(inner, model, constants, lowered)
    return lowered


def views(lowered: Lowered, constants: Constants) -> dict[ir.Value, IntegerView]:
    """Integer views of the tensors that QONNX nodes gave, where their scales are constant."""
    found = {}
    for value, declared in lowered.declared.items():
        view = _view(declared, constants)
        if view is not None:
            found[value] = view
    return found


def _view(declared: QonnxIntegers, constants: Constants) -> IntegerView | None:
    form = _smallest_format(declared.low, declared.high)
    scale = constants.small(declared.scale)
    zero = constants.small(declared.zero_point, 0.0)
    if form is None or scale is None or zero is None or np.any(zero != np.rint(zero)):
        return None
    if not stays_finite(scale, zero, form) or np.any(np.abs(zero) >= 1 << WIDEST):
        return None
    # A scale of shape [1, 1, 1, 1] is one scale; its axes would count as those of a channel.
    scale = scale.reshape(()) if scale.size == 1 else scale
    zero = zero.reshape(()) if zero.size == 1 else zero
    return IntegerView(declared.integers, scale.astype(np.float32), zero.astype(np.int64), form)


def _smallest_format(low: float, high: float) -> IntFormat | None:
    """The narrowest format that holds the range; None beyond 16 bits."""
    if not (np.isfinite(low) and np.isfinite(high)) or low != round(low) or high != round(high):
        return None
    if low >= 0:
        form = IntFormat(min(bits_for(int(high)), 62), signed=False)
    else:
        form = IntFormat(min(bits_for(max(int(high), int(-low) - 1)) + 1, 62), signed=True)
    return form if form.bits <= WIDEST else None


def _replace(node: ir.Node, model: ir.Model, constants: Constants, lowered: Lowered) -> None:
    old = node.outputs[0]
    chain = _StandardNodes(node, constants, model.opset_imports.get("", 13))
    declared = {"BipolarQuant": _bipolar, "Trunc": _trunc}.get(node.op_type, _quant)(chain, lowered)
    # Nobody infers types again: without this the integers would be of an unknown one.
    declared.integers.dtype = ir.DataType.FLOAT
    result = chain.rescale(declared)
    name, graph = old.name, node.graph
    if graph is None:
        raise ModelError("a QONNX node stands in no graph", where=node.name or "")
    ir.convenience.replace_nodes_and_values(graph, node, [node], chain.nodes, [old], [result])
    result.name = name
    lowered.declared[result] = declared
    lowered.changed = True
    constants.note(chain.nodes)


@dataclass(eq=False)
class _StandardNodes:
    """Nodes that stand for one QONNX node, as they are added."""

    node: ir.Node
    constants: Constants
    opset: int
    nodes: list[ir.Node] = field(default_factory=list)

    def input(self, index: int) -> ir.Value:
        value = self.node.inputs[index] if index < len(self.node.inputs) else None
        if value is None:
            raise self.error(f"{self.node.op_type} has no input {index}")
        return value

    def error(self, message: str) -> ModelError:
        return ModelError(message, where=self.node.name or name_of(self.node.outputs[0]))

    def parameter(self, index: int) -> AnyArray:
        value = self.constants.small(self.input(index))
        if value is None or not np.all(np.isfinite(value)):
            raise self.error(f"input {index} of {self.node.op_type} is not a constant number")
        return value

    def add(self, operator: str, *inputs: ir.Value | float | AnyArray, **kind: int) -> ir.Value:
        values = [self._value(item) for item in inputs]
        name = self._name(operator.lower())
        output = ir.Value(name=name)
        attributes = [ir.AttrInt64(key, item) for key, item in kind.items()]
        self.nodes.append(ir.Node("", operator, values, attributes, name=name, outputs=[output]))
        return output

    def _name(self, what: str) -> str:
        base = f"{name_of(self.node.outputs[0])}/{what}{len(self.nodes)}"
        return self.constants.names.fresh(base)

    def _value(self, item: ir.Value | float | AnyArray) -> ir.Value:
        if isinstance(item, ir.Value):
            return item
        name = self._name("constant")
        tensor = ir.tensor(np.asarray(item, np.float32), name=name)
        output = ir.Value(name=name)
        attributes = [ir.AttrTensor("value", tensor)]
        self.nodes.append(ir.Node("", "Constant", [], attributes, name=name, outputs=[output]))
        return output

    def cast(self, value: ir.Value) -> ir.Value:
        return self.add("Cast", value, to=ir.DataType.FLOAT.value)

    def signs(self, value: ir.Value) -> ir.Value:
        """+1 where the value is at least 0, -1 elsewhere."""
        # `Less` rather than `Sign`: 0 must become +1, and NaN too.
        below = self.cast(self.add("Less", value, 0.0))
        return self.add("Sub", 1.0, self.add("Mul", below, 2.0))

    def sign(self, value: ir.Value) -> ir.Value:
        """-1, 0 or +1; the operator Sign is younger than some models."""
        above = self.cast(self.add("Greater", value, 0.0))
        return self.add("Sub", above, self.cast(self.add("Less", value, 0.0)))

    def clamp(self, value: ir.Value, low: AnyArray, high: AnyArray) -> ir.Value:
        # Not Clip: limits may be an array, one a channel.
        return self.add("Max", self.add("Min", value, high), low)

    def half_even(self, value: ir.Value) -> ir.Value:
        if self.opset >= _ROUND_FIRST_OPSET:
            return self.add("Round", value)
        floor = self.add("Floor", value)
        rest = self.add("Sub", value, floor)
        odd = self.add("Sub", floor, self.add("Mul", self._half_floor(floor), 2.0))
        above = self.cast(self.add("Greater", rest, 0.5))
        below = self.cast(self.add("Less", rest, 0.5))
        tie = self.add("Sub", self.add("Sub", 1.0, above), below)
        return self.add("Add", floor, self.add("Add", above, self.add("Mul", tie, odd)))

    def _half_floor(self, value: ir.Value) -> ir.Value:
        return self.add("Floor", self.add("Mul", value, 0.5))

    def outward(self, value: ir.Value, operator: str, shift: float) -> ir.Value:
        """Round the magnitude, after adding `shift`, and give the sign back."""
        size = self.add("Abs", value)
        size = self.add("Add", size, shift) if shift else size
        return self.add("Mul", self.sign(value), self.add(operator, size))

    def round(self, value: ir.Value, mode: str) -> ir.Value:
        match mode.upper():
            case "ROUND" | "HALF_EVEN":
                return self.half_even(value)
            case "CEIL" | "FLOOR":
                return self.add(mode.capitalize(), value)
            case "UP" | "DOWN":
                return self.outward(value, "Ceil" if mode.upper() == "UP" else "Floor", 0.0)
            case "HALF_UP":
                return self.outward(value, "Floor", 0.5)
            case "HALF_DOWN":
                return self.outward(value, "Ceil", -0.5)
            case _:
                raise self.error(f"unknown rounding mode {mode[:40]!r}")

    def rescale(self, declared: QonnxIntegers) -> ir.Value:
        value = declared.integers
        if declared.zero_point is not None:
            value = self.add("Sub", value, declared.zero_point)
        return self.add("Mul", value, declared.scale)


def _quant(chain: _StandardNodes, _: Lowered) -> QonnxIntegers:
    scale, zero = chain.input(1), chain.input(2)
    bits = chain.parameter(3).astype(np.float64)
    signed = bool(whole(chain.node, "signed", 1))
    value = chain.add("Add", chain.add("Div", chain.input(0), scale), zero)
    # qonnx itself gives +1 and -1 for one signed bit, not the range -1 to 0 of two's complement.
    if signed and bits.size == 1 and scalar_of(bits) == 1:
        return QonnxIntegers(chain.signs(value), scale, zero, -1, 1)
    low, high = _bounds(chain, bits, signed)
    value = chain.round(chain.clamp(value, low, high), text(chain.node, "rounding_mode", "ROUND"))
    return QonnxIntegers(value, scale, zero, float(np.floor(low.min())), float(np.ceil(high.max())))


def _bounds(chain: _StandardNodes, bits: AnyArray, signed: bool) -> tuple[AnyArray, AnyArray]:
    if np.any(bits < 1) or np.any(bits > 64):
        raise chain.error(f"bit width {scalar_of(bits)} is not 1 to 64")
    narrow = bool(whole(chain.node, "narrow", 0))
    if signed:
        return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1
    return 0 * bits, 2**bits - 1 - narrow


def _bipolar(chain: _StandardNodes, _: Lowered) -> QonnxIntegers:
    return QonnxIntegers(chain.signs(chain.input(0)), chain.input(1), None, -1, 1)


def _trunc(chain: _StandardNodes, lowered: Lowered) -> QonnxIntegers:
    scale, zero = chain.input(1), chain.input(2)
    value = chain.half_even(chain.add("Add", chain.add("Div", chain.input(0), scale), zero))
    if len(chain.node.inputs) < 6:
        return _trunc_first(chain, value, lowered)
    wide, narrow = chain.parameter(1), chain.parameter(4)
    factor = np.exp2(np.rint(np.log2(narrow / wide))).astype(np.float32)
    signed = bool(whole(chain.node, "signed", 1))
    low, high = _bounds(chain, chain.parameter(5).astype(np.float64), signed)
    value = chain.clamp(chain.add("Div", value, factor), low, high)
    value = chain.round(value, text(chain.node, "rounding_mode", "FLOOR"))
    shift = chain.add("Div", zero, factor)
    return QonnxIntegers(value, chain.input(4), shift, float(low.min()), float(high.max()))


def _trunc_first(chain: _StandardNodes, value: ir.Value, lowered: Lowered) -> QonnxIntegers:
    """The first version of Trunc keeps scale and zero point, and does not clamp."""
    factor = 2.0 ** (chain.parameter(3) - chain.parameter(4)).astype(np.float64)
    value = chain.add("Div", value, factor.astype(np.float32))
    mode = text(chain.node, "rounding_mode", "FLOOR")
    value = chain.round(value, mode)
    low, high = _source_range(chain, lowered)
    least = float(factor.min())
    top = np.floor if mode.upper() == "FLOOR" else np.ceil
    bounds = (float(np.floor(low / least)), float(top(high / least)))
    return QonnxIntegers(value, chain.input(1), chain.input(2), *bounds)


def _source_range(chain: _StandardNodes, lowered: Lowered) -> Sequence[float]:
    source = lowered.declared.get(chain.input(0))
    same = source is not None and source.scale is chain.input(1)
    if source is None or not same or source.zero_point is not chain.input(2):
        return (-np.inf, np.inf)
    return (source.low, source.high)
