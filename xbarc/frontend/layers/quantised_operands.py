"""Inputs and results of the quantised operators, whose scales and zero points are tensors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from xbarc.frontend.graph import name_of
from xbarc.frontend.layers.graph_context import (
    GraphContext,
    Layout,
    StaysDigital,
    check_input_scale,
)
from xbarc.frontend.layers.result_scales import real_numbers
from xbarc.frontend.quantised import integer_format, scalar_of
from xbarc.ir import IntegerInput, RequantizedResult
from xbarc.numerics import AnyArray, FloatArray


def parameter(
    context: GraphContext, value: ir.Value | None, what: str, default: float | None = None
) -> AnyArray:
    """A constant scale or zero point."""
    array = context.constants.small(value, default)
    if array is None or not np.all(np.isfinite(array)) or not array.size:
        raise StaysDigital(f"its {what} is not a constant number")
    return array


def scalar(
    context: GraphContext, value: ir.Value | None, what: str, default: float | None = None
) -> float:
    """A constant of one entry."""
    array = parameter(context, value, what, default)
    if array.size != 1:
        raise StaysDigital(f"its {what} has {array.size} entries")
    return scalar_of(array)


def integer_input(
    context: GraphContext, value: ir.Value, zero: ir.Value | None, scale: float
) -> tuple[IntegerInput, tuple[ir.Value, ...]]:
    """An activation that is a tensor of integers already."""
    form = integer_format(context.views.element_type(zero) or context.views.element_type(value))
    if form is None:
        raise StaysDigital("the element type of its input is not known")
    check_input_scale(scale)
    if zero is None or context.constants.holds(zero):
        point = int(scalar(context, zero, "input zero point", 0.0))
        return IntegerInput(form.min, form.bits, scale, point), (value,)
    if not _is_scalar(zero):
        raise StaysDigital("its input zero point may be a vector")
    return IntegerInput(form.min, form.bits, scale, name_of(zero)), (value, zero)


def _is_scalar(value: ir.Value) -> bool:
    node = value.producer()
    # Its zero point is one number by definition, where the graph declares no shape.
    if node is not None and node.op_type == "DynamicQuantizeLinear":
        return True
    return value.shape is not None and tuple(value.shape) in ((), (1,))


def multiplier(left: AnyArray, right: AnyArray, result: AnyArray) -> FloatArray:
    """`left * right / result` in float32 and in this order, as ONNX Runtime computes it."""
    if result.size != 1:
        raise StaysDigital(f"its output scale has {result.size} entries")
    one = np.float32(scalar_of(result))
    with np.errstate(all="ignore"):  # infinite factors stay digital
        product: FloatArray = left.astype(np.float32) * right.astype(np.float32)
        # Roundings in this order decide the last bit of a factor; another order requantises some
        # sums to the next code.
        return product / one


def requantized_result(
    context: GraphContext, factors: FloatArray, layout: Layout, zero: ir.Value | None
) -> RequantizedResult:
    """Integers of 8 or 16 bits out of the accumulators."""
    per_output = layout.per_output(factors)
    if per_output is None:
        raise StaysDigital("the scale of its weights changes along the sum")
    kind = context.views.element_type(zero)
    dtype = "uint8" if kind is None else str(kind.numpy())
    point = int(scalar(context, zero, "output zero point", 0.0))
    return RequantizedResult(real_numbers(per_output, "output scale"), point, dtype)
