"""From a layer's input tensor to unsigned codes, and from accumulators to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from xbarc.errors import InputError, ProgramError
from xbarc.ir.quantizers import (
    ABSENT,
    DOWN,
    UP,
    BinaryInput,
    DynamicInput,
    FloatInput,
    FloatResult,
    IntegerInput,
    IntegerResult,
    Quantizer,
    RequantizedResult,
    Result,
    SignResult,
    StaticInput,
)
from xbarc.numerics import (
    AnyArray,
    BoolArray,
    Float32Array,
    Float64Array,
    Int64Array,
    IntArray,
    round_to_int,
)


@dataclass(frozen=True, eq=False)
class Codes:
    """Unsigned integers that go onto the wordlines; real numbers in the exact network.

    Attributes:
        values: axes: sample, then the axes of one sample.
        zero: the code that means zero; axis: sample, or length 1 where all share it.
        scale: real value of one step; axis as `zero`.
    """

    values: AnyArray
    zero: Int64Array
    scale: Float64Array


def quantize(
    tensor: AnyArray, quantizer: Quantizer, values: Mapping[str, Any], where: str
) -> Codes:
    """Turn a tensor whose first axis is the sample into codes.

    Raises:
        InputError: a value is not a number, is infinite, or is outside the integer format.
    """
    match quantizer:
        case IntegerInput():
            return _from_integers(tensor, quantizer, values, where)
        case StaticInput():
            return _static(_real(tensor, where), quantizer)
        case DynamicInput():
            return _dynamic(_real(tensor, where), quantizer)
        case BinaryInput():
            return _binary(_real(tensor, where), quantizer, where)
        case FloatInput():
            raise ProgramError("the range of the input was never chosen", where=where)


def code_dtype(bits: int) -> type[np.unsignedinteger[Any]]:
    """The narrowest type that holds codes of this width."""
    return np.uint8 if bits <= 8 else np.uint16


def _real(tensor: AnyArray, where: str) -> Float32Array:
    if tensor.dtype.kind not in "fiub":
        raise InputError(f"expected numbers, found {tensor.dtype}", where=where)
    real = tensor.astype(np.float32, copy=False)
    if not np.isfinite(real).all():
        # ONNX Runtime would go on with them, but no code means NaN, and a range with infinity in it
        # has no step.
        raise InputError(
            "the input holds NaN or infinity, which no DAC can feed",
            where=where,
            hint="look for overflow in the layers before it, or in the input data",
        )
    return real


def _from_integers(
    tensor: AnyArray, quantizer: IntegerInput, values: Mapping[str, Any], where: str
) -> Codes:
    zero = quantizer.zero_point
    if isinstance(zero, str):
        # DynamicQuantizeLinear writes it beside the codes, as a tensor of its own.
        zero = int(np.asarray(values[zero]).reshape(-1)[0])
    if tensor.size:
        # Clamping would change what the model computes; a model whose integers leave their own
        # format is refused.
        low, high = float(tensor.min()), float(tensor.max())
        top = quantizer.low + (1 << quantizer.bits) - 1
        if not (quantizer.low <= low and high <= top):
            raise InputError(
                f"the input spans {low:g} to {high:g}, its format {quantizer.low} to {top}",
                where=where,
            )
    codes = (tensor.astype(np.int32) - quantizer.low).astype(code_dtype(quantizer.bits))
    return Codes(codes, np.array([zero - quantizer.low]), np.array([quantizer.scale]))


def _binary(real: Float32Array, quantizer: BinaryInput, where: str) -> Codes:
    """Codes `UP` and `DOWN` for the two values, `ABSENT` for zero."""
    high, low = real == np.float32(quantizer.high), real == np.float32(quantizer.low)
    # Arithmetic on the bytes of the masks: no array wider than a byte is made.
    codes = np.uint8(DOWN) - high.view(np.uint8) * np.uint8(DOWN - UP)
    known = high | low
    if not known.all():
        if real[~known].any():
            found = float(real[~known & (real != 0)].reshape(-1)[0])
            raise InputError(
                f"the input holds {found:g}, expected {quantizer.low:g} or {quantizer.high:g}",
                where=where,
            )
        codes[~known] = ABSENT
    zero = np.array([quantizer.zero_code], dtype=np.int64)
    return Codes(codes, zero, np.array([float(np.float32(quantizer.scale))]))


def _static(real: Float32Array, quantizer: StaticInput) -> Codes:
    top = (1 << quantizer.bits) - 1
    steps = round_to_int(real / np.float32(quantizer.scale), quantizer.rounding)
    # Added after rounding, in float32, as QuantizeLinear does: before it, ties fall elsewhere.
    codes = np.clip(steps + np.float32(quantizer.zero_point), 0, top)
    scale = np.array([float(np.float32(quantizer.scale))])
    zero = np.array([quantizer.zero_point], dtype=np.int64)
    return Codes(codes.astype(code_dtype(quantizer.bits)), zero, scale)


def _dynamic(real: Float32Array, quantizer: DynamicInput) -> Codes:
    """Scale and zero point of each sample, by the formulas of DynamicQuantizeLinear."""
    top = np.float32((1 << quantizer.bits) - 1)
    flat = real.reshape(real.shape[0], -1) if real.size else real.reshape(real.shape[0], 0)
    # Zero is always in the range, so that borders of zeros are exact.
    low = flat.min(axis=1, initial=np.float32(0))
    high = flat.max(axis=1, initial=np.float32(0))
    scale = high / top - low / top  # the difference itself may overflow float32
    # A sample of zeros has no range; any step gives code 0.
    scale = np.where(scale > 0, scale, np.float32(1)).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, top).astype(np.float32)
    shape = (-1,) + (1,) * (real.ndim - 1)
    steps = round_to_int(real / scale.reshape(shape), quantizer.rounding)
    codes = np.clip(steps + zero.reshape(shape), 0, top)
    values = codes.astype(code_dtype(quantizer.bits))
    return Codes(values, zero.astype(np.int64), scale.astype(np.float64))


def to_values(acc: IntArray, result: Result, scale: Float64Array) -> AnyArray:
    """Turn accumulators into the values that the next layers read.

    Args:
        acc: the second axis is the output channel.
        result: its arrays have the axis output channel.
        scale: real value of one input step; broadcasts against `acc`.
    """
    match result:
        case FloatResult():
            # Both scales are joined first: one rounding of the factor, one of the product, one of
            # the sum, in float64, and the last to `dtype`.
            factor = scale * _by_channel(result.scale.astype(np.float64), acc.ndim)
            real = acc * factor
            real += _by_channel(result.bias.astype(np.float64), acc.ndim)
            with np.errstate(over="ignore"):
                return real.astype(result.dtype)
        case IntegerResult():
            return acc.astype(result.dtype)
        case SignResult():
            return _signs(acc, result)
        case RequantizedResult():
            return _requantize(acc, result)


def _signs(acc: IntArray, result: SignResult) -> AnyArray:
    """Give each sum one of two values: by arithmetic where that is exact, which is far faster."""
    threshold = result.threshold
    # A comparison of two types makes a copy of all accumulators in the wider one.
    if np.can_cast(np.min_scalar_type(np.abs(threshold).max(initial=0) * -1), acc.dtype):
        threshold = threshold.astype(acc.dtype)
    reached: BoolArray = acc >= _by_channel(threshold, acc.ndim)
    if result.flip.any():
        reached ^= _by_channel(result.flip.astype(np.bool_), acc.ndim)
    dtype = np.dtype(result.dtype)
    low, high = (np.array(value, dtype) for value in (result.low, result.high))
    with np.errstate(over="ignore"):
        span = high if dtype.kind == "b" else high - low
    if dtype.kind == "b" or low + span != high:
        # `low + span` misses `high` where float rounding is in between, as for -1e8 and 0.1.
        return np.where(reached, high, low)
    values: AnyArray = reached.astype(dtype)
    values *= span
    values += low
    return values


def _by_channel(values: AnyArray, rank: int) -> AnyArray:
    return values.reshape((1, -1) + (1,) * (rank - 2))


def _requantize(acc: IntArray, result: RequantizedResult) -> AnyArray:
    info = np.iinfo(result.dtype)
    # Clamped before rounding and the zero point, as ONNX Runtime's kernels do: int32 cannot hold
    # what float32 may.
    low, high = np.float32(info.min - result.zero_point), np.float32(info.max - result.zero_point)
    real = acc.astype(np.float32) * _by_channel(result.multiplier, acc.ndim)
    steps = np.rint(np.clip(real, low, high)).astype(np.int32)
    values: AnyArray = (steps + result.zero_point).astype(result.dtype)
    return values
