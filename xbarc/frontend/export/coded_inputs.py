"""Inputs of layers that converters read: codes, and the real numbers that they mean."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper

from xbarc.errors import UnsupportedError
from xbarc.frontend.export.model_graph import ModelGraph
from xbarc.ir import CrossbarStep, DynamicInput, IntegerInput, StaticInput

_FLOAT = onnx.TensorProto.FLOAT
BYTES = (onnx.TensorProto.UINT8, onnx.TensorProto.INT8)
"""Element types that ONNX's integer operators take."""

_WORDS = (onnx.TensorProto.UINT16, onnx.TensorProto.INT16)
# QuantizeLinear and DequantizeLinear take 16 bits from this opset on (ONNX's operator history).
_WORDS_SINCE = 21
# Operators of the rounding rules that are one operator.
_ROUNDINGS = {"half_even": "Round", "ceil": "Ceil", "floor": "Floor"}


def dequantizes(graph: ModelGraph, element: int) -> bool:
    """Whether DequantizeLinear takes an element type."""
    return element in BYTES or (element in _WORDS and graph.opset >= _WORDS_SINCE)


def write_real_input(step: CrossbarStep, graph: ModelGraph) -> str:
    """The layer's input as the codes mean it, in float32."""
    match step.quantizer:
        case StaticInput():
            return _quantized_input(step, graph, step.quantizer)
        case IntegerInput():
            return _dequantized_input(step, graph, step.quantizer)
        case DynamicInput():
            # Standard operators take a range of the whole tensor; the program takes each sample's.
            return _as_float(step, graph)
        case _:
            raise UnsupportedError(f"{step.quantizer.kind} codes for converters", where=step.name)


def _as_float(step: CrossbarStep, graph: ModelGraph) -> str:
    if graph.element(step.input) == _FLOAT:
        return step.input
    return graph.node("Cast", [step.input], f"{step.name}/float", to=_FLOAT)


def _quantized_input(step: CrossbarStep, graph: ModelGraph, quantizer: StaticInput) -> str:
    name, bits = step.name, quantizer.bits
    source = _as_float(step, graph)
    top = (1 << bits) - 1
    kind = np.uint8 if bits <= 8 else np.uint16
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    scale = graph.constant(f"{name}/input_scale", np.array(quantizer.scale, np.float32))
    plain = quantizer.rounding == "half_even" and 0 <= quantizer.zero_point <= top
    if not plain or not dequantizes(graph, element):
        return _cut_by_arithmetic(step, graph, quantizer, source, scale)
    zero = graph.constant(f"{name}/input_zero", np.array(quantizer.zero_point, kind))
    codes = graph.node("QuantizeLinear", [source, scale, zero], f"{name}/codes")
    if top < np.iinfo(kind).max:
        ends = [
            graph.constant(f"{name}/code_{i}", np.array(n, kind)) for i, n in enumerate((0, top))
        ]
        codes = graph.node("Clip", [codes, *ends], f"{name}/codes_cut")
    return graph.node("DequantizeLinear", [codes, scale, zero], f"{name}/input")


def _cut_by_arithmetic(
    step: CrossbarStep, graph: ModelGraph, quantizer: StaticInput, source: str, scale: str
) -> str:
    """`StaticInput` operator by operator, in the order of the definition."""
    name = step.name
    steps = graph.node("Div", [source, scale], f"{name}/steps")
    rounded = _round(graph, steps, quantizer.rounding, name)
    low = float(-quantizer.zero_point)
    ends = (low, low + (1 << quantizer.bits) - 1)
    held = [graph.constant(f"{name}/code_{i}", np.array(n, np.float32)) for i, n in enumerate(ends)]
    cut = graph.node("Clip", [rounded, *held], f"{name}/codes_cut")
    return graph.node("Mul", [cut, scale], f"{name}/input")


def _round(graph: ModelGraph, steps: str, rounding: str, name: str) -> str:
    if rounding in _ROUNDINGS:
        return graph.node(_ROUNDINGS[rounding], [steps], f"{name}/rounded")
    half = graph.constant(f"{name}/half", np.array(0.5, np.float32))
    if rounding in ("half_up", "half_down"):
        operators = ("Add", "Floor") if rounding == "half_up" else ("Sub", "Ceil")
        moved = graph.node(operators[0], [steps, half], f"{name}/moved")
        return graph.node(operators[1], [moved], f"{name}/rounded")
    size = graph.node("Abs", [steps], f"{name}/size")
    if rounding == "half_away":
        size = graph.node("Add", [size, half], f"{name}/moved")
    away = "Ceil" if rounding == "up" else "Floor"
    whole = graph.node(away, [size], f"{name}/whole")
    sign = graph.node("Sign", [steps], f"{name}/sign")
    return graph.node("Mul", [whole, sign], f"{name}/rounded")


def write_zero(step: CrossbarStep, graph: ModelGraph, quantizer: IntegerInput) -> str:
    """Name of the zero point, in the element type of the input."""
    if isinstance(quantizer.zero_point, str):
        return quantizer.zero_point
    dtype = helper.tensor_dtype_to_np_dtype(graph.element(step.input))
    return graph.constant(f"{step.name}/input_zero", np.array(quantizer.zero_point, dtype))


def _dequantized_input(step: CrossbarStep, graph: ModelGraph, quantizer: IntegerInput) -> str:
    name = step.name
    scale = graph.constant(f"{name}/input_scale", np.array(quantizer.scale, np.float32))
    if dequantizes(graph, graph.element(step.input)):
        zero = write_zero(step, graph, quantizer)
        return graph.node("DequantizeLinear", [step.input, scale, zero], f"{name}/input")
    return graph.node("Mul", [write_less_zero(step, graph), scale], f"{name}/input")


def write_less_zero(step: CrossbarStep, graph: ModelGraph) -> str:
    """Codes less the one that means zero, in float32."""
    name, quantizer = step.name, step.quantizer
    if isinstance(quantizer, DynamicInput):
        raise UnsupportedError("sums of integers whose range is taken at run time", where=name)
    if not isinstance(quantizer, IntegerInput):
        unit = np.array(getattr(quantizer, "scale", 1.0), np.float32)
        scale = graph.constant(f"{name}/unit", unit)
        # a product of a whole number and a float32, divided by that again, is next to the number
        steps = graph.node("Div", [write_real_input(step, graph), scale], f"{name}/near")
        return graph.node("Round", [steps], f"{name}/integers")
    real = _as_float(step, graph)
    if quantizer.zero_point == 0:
        return real
    zero = write_zero(step, graph, quantizer)
    if graph.element(step.input) != _FLOAT:
        zero = graph.node("Cast", [zero], f"{name}/zero_float", to=_FLOAT)
    return graph.node("Sub", [real, zero], f"{name}/integers")
