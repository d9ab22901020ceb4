"""What happens to a layer's accumulators: scales and biases, one entry per output."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from xbarc.errors import ModelError
from xbarc.frontend.graph import name_of
from xbarc.frontend.layers.graph_context import GraphContext, Layout, Operand, StaysDigital
from xbarc.ir import FloatResult
from xbarc.numerics import AnyArray, Float32Array, Int64Array

# ONNX Runtime adds the bias in int32. Half of its range is left to the sum of products: 32,896 of
# 8-bit codes of the largest size, 255 * 128.
_LARGEST_BIAS = 1 << 30


def float_result(
    operand: Operand, layout: Layout, bias: AnyArray | None, factor: float = 1.0
) -> FloatResult:
    """Real values of the accumulators: the scale of the weights, a factor, and a bias."""
    scale = layout.per_output(operand.scale)
    if scale is None:
        raise StaysDigital("the scale of its weights changes along the sum")
    with np.errstate(all="ignore"):  # what comes of infinite factors is refused below
        scale = scale if factor == 1.0 else scale * np.float32(factor)
    start = np.zeros(layout.entries) if bias is None else bias
    return FloatResult(real_numbers(scale, "scale"), real_numbers(start, "bias"), operand.dtype)


def output_vector(
    context: GraphContext, value: ir.Value | None, layout: Layout, *, shared: bool = False
) -> AnyArray | None:
    """A constant with one entry per output; where `shared`, one number may serve all of them."""
    if value is None:
        return None
    if not context.constants.holds(value):
        raise StaysDigital("its bias is not constant")
    array = context.constants.load(value).reshape(-1)
    if array.size != layout.entries and not (shared and array.size == 1):
        raise ModelError(
            f"a bias of {array.size} numbers, expected {layout.entries}", where=name_of(value)
        )
    return np.broadcast_to(array, (layout.entries,))


def added_bias(layout: Layout, bias: AnyArray | None) -> Int64Array:
    """Integers of a bias that join the accumulators.

    Raises:
        StaysDigital: 32-bit sums with it may overflow, and ONNX Runtime's then wrap.
    """
    if bias is not None and np.any(np.abs(bias.astype(np.int64)) >= _LARGEST_BIAS):
        raise StaysDigital("its bias is 2^30 or more, and 32-bit sums with it may overflow")
    return added_integers(layout, bias)


def real_numbers(array: AnyArray, what: str) -> Float32Array:
    """A frozen float32 copy of scales or biases.

    Raises:
        StaysDigital: an entry is infinite or NaN in float32, or the largest is below its normal
            numbers, where products lose their digits.
    """
    copy = frozen_copy(array)
    if not np.all(np.isfinite(copy)):
        raise StaysDigital(f"its {what} holds NaN or infinity")
    if lost_digits(array):
        raise StaysDigital(f"its {what} is too small for float32")
    return copy


def lost_digits(array: AnyArray) -> bool:
    """Whether numbers that are not all zero lie below the normal numbers of float32."""
    size = np.abs(array.astype(np.float64)).max(initial=0.0)
    return bool(0 < size < np.finfo(np.float32).tiny)


def frozen_copy(array: AnyArray) -> Float32Array:
    """A float32 copy that nobody writes to."""
    with np.errstate(over="ignore"):
        copy = np.array(array, dtype=np.float32)
    copy.flags.writeable = False
    return copy


def added_integers(layout: Layout, values: AnyArray | None = None) -> Int64Array:
    """Integers that join the accumulators; none at all by default."""
    whole = np.zeros(layout.entries, np.int64) if values is None else values.astype(np.int64)
    whole.flags.writeable = False
    return whole
