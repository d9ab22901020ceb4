"""Rules of operators between real numbers and integers.

`QuantizeLinear` divides in float32, rounds and cuts off: it never falls, so the codes of the ends
are the ends of the codes. The ends come in widened by more than a division can err by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xbarc.intervals.bounds import Bounds, bounds_of_type, widen_bounds
from xbarc.intervals.node import BoundedNode
from xbarc.numerics import AnyArray

# Four units in the last place of float32 (2^-23): a quotient, a sum and a product round by half of
# one each, and kernels that multiply by the reciprocal add one.
_ULPS = 2.0**-21
# A quarter of the largest float32: a product and two sums of such sizes stay finite, so that no
# infinity of one sign can meet one of the other and make NaN.
_MAY_OVERFLOW = 2.0**126
_WIDE = ("uint8", "int8", "uint16", "int16")


def quantize(node: BoundedNode) -> Bounds:
    """Integers of the zero point's type."""
    x = node.first()
    found = _parameters(node, "uint8")
    if found is None:
        return bounds_of_type()
    scale, zero, dtype = found
    room = bounds_of_type(dtype, x.shape)
    if dtype not in _WIDE:
        return bounds_of_type("", x.shape)
    usable = x.is_float and not x.nan and bool((scale > 0).all())
    places = _align_parameters(x, scale, zero, node) if usable else None
    if places is None:
        return room
    ends = widen_bounds(x, _ULPS)
    scale, zero = places
    low, high = (
        np.clip(np.rint(end / scale) + zero, float(room.low), float(room.high))
        for end in (ends.low, ends.high)
    )
    cut = bool((low > room.low).any() or (high < room.high).any())
    return replace(room, low=low, high=high, reasons=x.reasons if cut else ())


def dequantize(node: BoundedNode) -> Bounds:
    """Real numbers from integers."""
    x = node.first()
    found = _parameters(node, x.dtype)
    dtype = "float32"
    places = None if found is None else _align_parameters(x, found[0], found[1], node)
    if places is None or x.nan or not x.finite:
        return bounds_of_type("", x.shape)
    scale, zero = places
    first, second = (x.low - zero) * scale, (x.high - zero) * scale
    low, high = np.minimum(first, second), np.maximum(first, second)
    return widen_bounds(Bounds(low, high, dtype, x.shape, reasons=x.reasons), _ULPS)


def _parameters(node: BoundedNode, default: str) -> tuple[AnyArray, AnyArray, str] | None:
    """Scale, zero point and the integers' type, where they are plain constants."""
    scale, zero = node.constant(1), node.constant(2)
    if scale is None or scale.dtype != np.float32 or (node.has_input(2) and zero is None):
        return None
    if node.attributes.get("block_size") or node.attributes.get("precision"):
        return None
    if zero is None and (node.attributes.get("output_dtype") or default not in _INTEGERS):
        return None
    dtype = default if zero is None else str(zero.dtype)
    point = np.zeros_like(scale, dtype=np.float64) if zero is None else zero.astype(np.float64)
    return scale.astype(np.float64), point, dtype


_INTEGERS = (*_WIDE, "int32")


def _align_parameters(
    x: Bounds, scale: AnyArray, zero: AnyArray, node: BoundedNode
) -> tuple[AnyArray, AnyArray] | None:
    """Parameters along their axis of the tensor; None where that is not known."""
    if scale.size == 1 and zero.size == 1:
        return scale.reshape(()), zero.reshape(())
    axis = int(node.attribute("axis", 1))
    if x.shape is None or scale.ndim != 1 or scale.shape != zero.shape:
        return None
    if not -len(x.shape) <= axis < len(x.shape) or x.shape[axis] not in (None, scale.size):
        return None
    shape = [1] * len(x.shape)
    shape[axis] = scale.size
    return scale.reshape(shape), zero.reshape(shape)


def batch_norm(node: BoundedNode) -> Bounds:
    """A line for each channel."""
    x = node.first()
    arrays = [node.constant(place) for place in (1, 2, 3, 4)]
    known = [array.astype(np.float64).reshape(-1) for array in arrays if array is not None]
    plain = len(known) == 4 and x.is_float and x.shape is not None and len(x.shape) > 1
    if not plain or node.attribute("training_mode", 0) or x.shape is None:
        return bounds_of_type(x.dtype, x.shape)
    scale, bias, mean, variance = (a.reshape((1, -1) + (1,) * (len(x.shape) - 2)) for a in known)
    spread = variance + node.attribute("epsilon", 1e-5)
    if not (spread > 0).all() or scale.size != (x.shape[1] or scale.size):
        return bounds_of_type(x.dtype, x.shape)
    slope = scale / np.sqrt(spread)
    first, second = (_line(end - mean, slope) + bias for end in (x.low, x.high))
    size = _line(np.maximum(np.abs(x.low), np.abs(x.high)), np.abs(slope))
    size = size + np.abs(mean * slope) + np.abs(bias)
    nan = x.nan or not bool((size < _MAY_OVERFLOW).all())
    found = replace(x, low=np.minimum(first, second), high=np.maximum(first, second), nan=nan)
    if x.finite and nan:
        return bounds_of_type(x.dtype, x.shape)
    return widen_bounds(found, _ULPS, np.where(np.isfinite(size), size, 0.0) * 2.0**-18)


def _line(values: AnyArray, slope: AnyArray) -> AnyArray:
    """Products in which 0 times infinity is 0."""
    found: AnyArray = np.where(slope == 0, 0.0, values * slope)
    return found


RULES: dict[str, Callable[[BoundedNode], Bounds]] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "BatchNormalization": batch_norm,
}
