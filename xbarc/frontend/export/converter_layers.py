"""Layers that converters read, written as quantised ONNX: integers, scales and one product.

An input becomes codes by QuantizeLinear and real numbers by DequantizeLinear, weights are integer
initialisers behind a DequantizeLinear, and integer layers are QLinearConv, MatMulInteger and their
like where those operators take the numbers. ONNX Runtime gives what lossless converters give, up to
the rounding of float32 sums: what a converter rounds or clips is not in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper

from xbarc.errors import UnsupportedError
from xbarc.frontend.export.coded_inputs import (
    BYTES,
    dequantizes,
    write_less_zero,
    write_real_input,
    write_zero,
)
from xbarc.frontend.export.model_graph import ModelGraph
from xbarc.ir import (
    CrossbarStep,
    Dense,
    FloatResult,
    IntegerInput,
    IntegerResult,
    RequantizedResult,
    Scatter,
    SignResult,
    Window,
    effective_weights,
)
from xbarc.numerics import AnyArray, limit_in_words, memory_limit, show_size

_FLOAT = onnx.TensorProto.FLOAT


@dataclass(frozen=True, eq=False)
class LayerWeights:
    """Integer weights in the layout of the ONNX operator.

    Attributes:
        integers: in the narrowest type of 8, 16 or 32 bits.
        axis: along which outputs lie; None where no single axis holds them.
        spread: shape in which a number for each output channel broadcasts against the weights.
        result: likewise, against the layer's result.
    """

    integers: AnyArray
    axis: int | None
    spread: tuple[int, ...]
    result: tuple[int, ...]

    def by_output(self, numbers: AnyArray) -> AnyArray:
        """Numbers for each output channel, to broadcast against the result."""
        return numbers.reshape(self.result)


def write_converters(step: CrossbarStep, graph: ModelGraph) -> None:
    """Add a layer that converters read.

    Raises:
        UnsupportedError: it has a form that is not written.
    """
    weights = _weights(step, graph)
    if isinstance(step.geometry, Scatter) and step.periphery.constant.any():
        raise UnsupportedError("a transposed convolution with integer constants", where=step.name)
    match step.result:
        case FloatResult():
            _write_real(step, graph, weights, step.result)
        case IntegerResult():
            _write_integers(step, graph, weights)
        case RequantizedResult():
            _write_requantized(step, graph, weights, step.result)
        case SignResult():
            _write_signs(step, graph, weights, step.result)


# weights


def _weights(step: CrossbarStep, graph: ModelGraph) -> LayerWeights:
    size = 4 * step.groups * step.inputs * step.outputs
    if size > memory_limit():
        raise UnsupportedError(
            f"its weights take {show_size(size)}, {limit_in_words()}", where=step.name
        )
    matrix = effective_weights(step)
    low, high = int(matrix.min(initial=0)), int(matrix.max(initial=0))
    narrow = next(
        kind
        for kind in (np.int8, np.int16, np.int32)
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max
    )
    matrix = matrix.astype(narrow)
    match step.geometry:
        case Dense():
            return _dense_weights(step, matrix, step.geometry, graph.rank(step.input))
        case Window():
            return _window_weights(matrix, step.geometry)
        case Scatter():
            return _scatter_weights(matrix, step.geometry)


def _dense_weights(
    step: CrossbarStep, matrix: AnyArray, geometry: Dense, rank: int | None
) -> LayerWeights:
    _, inputs, outputs = matrix.shape
    stack = geometry.batch
    if geometry.squeeze:
        # a stack of vectors has no form as an operator: MatMul reads it as one matrix
        if stack:
            raise UnsupportedError("a stack of vectors", where=step.name)
        return LayerWeights(matrix.reshape(inputs), None, (), ())
    lead = tuple(stack)
    if geometry.output_axis == -1 or rank == 1:
        # a vector gives a result without the axis of vectors
        tail = (1, outputs) if stack and rank != 1 else (outputs,)
        axis = None if stack else 1
        return LayerWeights(
            matrix.reshape(*lead, inputs, outputs), axis, (*lead, 1, outputs), (*lead, *tail)
        )
    turned = matrix.transpose(0, 2, 1).reshape(*lead, outputs, inputs)
    column = (*lead, outputs, 1)
    return LayerWeights(turned, None if stack else 0, column, column)


def _window_weights(matrix: AnyArray, geometry: Window) -> LayerWeights:
    groups, inputs, outputs = matrix.shape
    channels = inputs // prod(geometry.kernel)
    kernels = matrix.transpose(0, 2, 1).reshape(groups * outputs, channels, *geometry.kernel)
    ones = (1,) * len(geometry.kernel)
    return LayerWeights(kernels, 0, (groups * outputs, 1, *ones), (1, groups * outputs, *ones))


def _scatter_weights(matrix: AnyArray, geometry: Scatter) -> LayerWeights:
    groups, inputs, products = matrix.shape
    outputs = products // prod(geometry.kernel)
    kernels = matrix.reshape(groups * inputs, outputs, *geometry.kernel)
    ones = (1,) * len(geometry.kernel)
    # outputs of all groups lie on two axes: the group is in the first one
    axis = 1 if groups == 1 else None
    spread = (groups, 1, outputs, *ones)
    return LayerWeights(kernels, axis, spread, (1, groups * outputs, *ones))


def _real_weights(
    step: CrossbarStep, graph: ModelGraph, weights: LayerWeights, scale: AnyArray
) -> str:
    """Weights as real numbers; `scale` has the axis output channel."""
    name = f"{step.name}/weight"
    held = graph.constant(name, weights.integers)
    element = helper.np_dtype_to_tensor_dtype(weights.integers.dtype)
    scalar = scale.size == 1
    if dequantizes(graph, element) and (weights.axis is not None or scalar):
        numbers = graph.constant(f"{name}_scale", scale.reshape(() if scalar else -1))
        axis = {} if scalar else {"axis": weights.axis}
        return graph.node("DequantizeLinear", [held, numbers], f"{name}_real", **axis)
    real = graph.node("Cast", [held], f"{name}_cast", to=_FLOAT)
    numbers = graph.constant(f"{name}_scale", _spread_scale(weights, scale))
    return graph.node("Mul", [real, numbers], f"{name}_real")


def _spread_scale(weights: LayerWeights, scale: AnyArray) -> AnyArray:
    """A scale for each output channel that broadcasts against the weights."""
    numbers = scale.reshape(weights.spread)
    shape = weights.integers.shape
    if numbers.ndim == len(shape):
        return numbers
    # groups of a transposed convolution: each input channel has the scales of its group
    full = np.broadcast_to(
        numbers, (numbers.shape[0], shape[0] // numbers.shape[0], *numbers.shape[2:])
    )
    return full.reshape(shape[0], *numbers.shape[2:])


# products


def _product(step: CrossbarStep, graph: ModelGraph, operands: tuple[str, str], output: str) -> str:
    """The product of an input with weights, both real.

    Args:
        step: the layer.
        graph: is added to.
        operands: the input and the weights.
        output: its name.
    """
    geometry = step.geometry
    if isinstance(geometry, Dense):
        return graph.node("MatMul", _order(step, graph, operands), output)
    kind = "Conv" if isinstance(geometry, Window) else "ConvTranspose"
    return graph.node(kind, operands, output, **_loop(step))


def _order(step: CrossbarStep, graph: ModelGraph, operands: tuple[str, str]) -> tuple[str, str]:
    """Operands of MatMul in their order; the input turned where it must be."""
    source, weights = operands
    geometry = step.geometry
    if not isinstance(geometry, Dense) or graph.rank(step.input) == 1:
        return operands
    first = geometry.contract_axis == -1
    if geometry.squeeze:
        return operands if first else (weights, source)
    if first != (geometry.output_axis == -1):
        # Gemm with a transposed operand has two axes, where the model does not say how many
        last = (graph.rank(step.input) or 2) - 1
        axes = [*range(last - 1), last, last - 1]
        source = graph.node("Transpose", [source], f"{step.name}/turned", perm=axes)
    return (source, weights) if geometry.output_axis == -1 else (weights, source)


def _loop(step: CrossbarStep) -> dict[str, Any]:
    """Attributes of a convolution."""
    geometry = step.geometry
    if isinstance(geometry, Dense):
        return {}
    loop: dict[str, Any] = {
        "kernel_shape": list(geometry.kernel),
        "strides": list(geometry.strides),
        "dilations": list(geometry.dilations),
        "group": step.groups,
    }
    if isinstance(geometry, Scatter):
        loop["output_padding"] = list(geometry.output_padding)
        if geometry.output_shape is not None:
            return loop | {
                "output_shape": list(geometry.output_shape),
                "auto_pad": _auto_pad(geometry),
            }
    if geometry.auto_pad == "explicit":
        return loop | {"pads": list(geometry.pads)}
    return loop | {"auto_pad": _auto_pad(geometry)}


def _auto_pad(geometry: Window | Scatter) -> str:
    return "NOTSET" if geometry.auto_pad == "explicit" else geometry.auto_pad.upper()


# results


def _write_real(
    step: CrossbarStep, graph: ModelGraph, weights: LayerWeights, result: FloatResult
) -> None:
    name = step.name
    scale = result.scale.astype(np.float32)
    source = write_real_input(step, graph)
    values = _product(
        step, graph, (source, _real_weights(step, graph, weights, scale)), f"{name}/product"
    )
    bias = result.bias.astype(np.float64)
    unit = float(np.float32(getattr(step.quantizer, "scale", 1.0)))
    if step.periphery.constant.any():
        bias = bias + step.periphery.constant * (scale.astype(np.float64) * unit)
    held = graph.constant(f"{name}/bias", weights.by_output(bias.astype(np.float32)))
    if result.dtype == "float32":
        graph.last("Add", [values, held], step.output)
        return
    real = graph.node("Add", [values, held], f"{name}/result")
    _cast_last(graph, real, step, result.dtype)


def _cast_last(graph: ModelGraph, value: str, step: CrossbarStep, dtype: str) -> None:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph.last("Cast", [value], step.output, to=element)


def _accumulators(step: CrossbarStep, graph: ModelGraph, weights: LayerWeights) -> str:
    """Accumulators in float32, exact below 2**24."""
    name = step.name
    held = graph.constant(f"{name}/weight", weights.integers)
    real = graph.node("Cast", [held], f"{name}/weight_real", to=_FLOAT)
    sums = _product(step, graph, (write_less_zero(step, graph), real), f"{name}/sums")
    if not step.periphery.constant.any():
        return sums
    added = weights.by_output(step.periphery.constant.astype(np.float32))
    return graph.node("Add", [sums, graph.constant(f"{name}/constant", added)], f"{name}/acc")


def _takes_bytes(step: CrossbarStep, graph: ModelGraph, weights: LayerWeights) -> bool:
    """Whether the integer operators of ONNX take the input and the weights."""
    bytes_in = graph.element(step.input) in BYTES and isinstance(step.quantizer, IntegerInput)
    plain = isinstance(step.geometry, Window) or (
        isinstance(step.geometry, Dense)
        and not step.geometry.squeeze
        and step.geometry.contract_axis == step.geometry.output_axis == -1
    )
    return bytes_in and plain and weights.integers.dtype == np.int8


def _write_integers(step: CrossbarStep, graph: ModelGraph, weights: LayerWeights) -> None:
    quantizer, name = step.quantizer, step.name
    constant, plain = step.periphery.constant, step.result.dtype == "int32"
    if not isinstance(quantizer, IntegerInput) or not _takes_bytes(step, graph, weights):
        _cast_last(graph, _accumulators(step, graph, weights), step, step.result.dtype)
        return
    kind = "ConvInteger" if isinstance(step.geometry, Window) else "MatMulInteger"
    held = graph.constant(f"{name}/weight", weights.integers)
    operands = [step.input, held, write_zero(step, graph, quantizer)]
    if plain and not constant.any():
        graph.last(kind, operands, step.output, **_loop(step))
        return
    sums = graph.node(kind, operands, f"{name}/sums", **_loop(step))
    added = graph.constant(f"{name}/constant", weights.by_output(constant.astype(np.int32)))
    if plain:
        graph.last("Add", [sums, added], step.output)
        return
    whole = graph.node("Add", [sums, added], f"{name}/acc")
    _cast_last(graph, whole, step, step.result.dtype)


def _write_requantized(
    step: CrossbarStep, graph: ModelGraph, weights: LayerWeights, result: RequantizedResult
) -> None:
    quantizer, name = step.quantizer, step.name
    constant = step.periphery.constant
    convolves = isinstance(step.geometry, Window)
    fits = np.abs(constant).max(initial=0) < 1 << 31
    # ONNX Runtime gives bytes of the type that it takes
    element = helper.np_dtype_to_tensor_dtype(np.dtype(result.dtype))
    fits &= element == graph.element(step.input) and (convolves or not constant.any())
    fits &= convolves or weights.axis is not None  # a scale for each output, not for each matrix
    if (
        not isinstance(quantizer, IntegerInput)
        or not _takes_bytes(step, graph, weights)
        or not fits
    ):
        _requantize_by_arithmetic(step, graph, weights, result)
        return
    # The multiplier is all that the program knows of three scales: two of them are 1.
    one = graph.constant(f"{name}/one", np.ones((), np.float32))
    zero = graph.constant(f"{name}/weight_zero", np.zeros((), np.int8))
    held = graph.constant(f"{name}/weight", weights.integers)
    numbers = result.multiplier.astype(np.float32)
    multiplier = graph.constant(
        f"{name}/multiplier", numbers.reshape(()) if numbers.size == 1 else numbers
    )
    point = graph.constant(f"{name}/zero", np.array(result.zero_point, result.dtype))
    operands = [step.input, one, write_zero(step, graph, quantizer), held, multiplier, zero]
    operands += [one, point]
    if convolves and constant.any():
        operands.append(graph.constant(f"{name}/constant", constant.astype(np.int32)))
    kind = "QLinearConv" if convolves else "QLinearMatMul"
    graph.last(kind, operands, step.output, **_loop(step))


def _requantize_by_arithmetic(
    step: CrossbarStep, graph: ModelGraph, weights: LayerWeights, result: RequantizedResult
) -> None:
    """`RequantizedResult` operator by operator, in the order of the definition."""
    name, info = step.name, np.iinfo(result.dtype)
    acc = _accumulators(step, graph, weights)
    factor = weights.by_output(result.multiplier.astype(np.float32))
    real = graph.node("Mul", [acc, graph.constant(f"{name}/multiplier", factor)], f"{name}/real")
    ends = [np.array(end - result.zero_point, np.float32) for end in (info.min, info.max)]
    held = [graph.constant(f"{name}/end_{i}", end) for i, end in enumerate(ends)]
    cut = graph.node("Clip", [real, *held], f"{name}/cut")
    rounded = graph.node("Round", [cut], f"{name}/rounded")
    zero = graph.constant(f"{name}/zero", np.array(result.zero_point, np.float32))
    moved = graph.node("Add", [rounded, zero], f"{name}/moved")
    _cast_last(graph, moved, step, result.dtype)


def _write_signs(
    step: CrossbarStep, graph: ModelGraph, weights: LayerWeights, result: SignResult
) -> None:
    name = step.name
    acc = _accumulators(step, graph, weights)
    limits = graph.constant(
        f"{name}/threshold", weights.by_output(result.threshold.astype(np.float32))
    )
    reached = graph.node("GreaterOrEqual", [acc, limits], f"{name}/reached")
    if result.flip.any():
        turned = weights.by_output(result.flip.astype(np.bool_))
        reached = graph.node(
            "Xor", [reached, graph.constant(f"{name}/flip", turned)], f"{name}/turned_round"
        )
    ends = [
        graph.constant(f"{name}/{what}", np.array(value, result.dtype))
        for what, value in (("high", result.high), ("low", result.low))
    ]
    graph.last("Where", [reached, *ends], step.output)
