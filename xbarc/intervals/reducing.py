"""Rules of operators that make one entry of several: sums, means, largest entries, pools, shares.

The rounding of a sum grows with the number of its terms, in whatever order they are added.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from xbarc.intervals.bounds import (
    Bounds,
    Extents,
    bounds_of_type,
    collapse_bounds,
    limit_bounds,
    merge_reasons,
    reduce_axes,
    sign_only,
    widen_bounds,
)
from xbarc.intervals.node import BoundedNode
from xbarc.numerics import AnyArray

# At 2^16 terms the bound on rounding is 2^-6 of the sum of sizes; beyond, the ends would say
# little more than the sign, which is kept for any count.
_MOST_TERMS = 1 << 16
# Summing n numbers in any order errs by at most (n - 1) 2^-24 of the sum of their sizes, to first
# order (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2); four times that.
_TERM = 2.0**-22
# 64 roundings of float32: quotients, roots and blends after a sum take a handful.
_LINEAR = 2.0**-18
# Kernels approximate Exp and Log by polynomials of float32; 512 roundings hold all of theirs, as
# tests on random graphs beside ONNX Runtime say.
_APPROXIMATE = 2.0**-15
# A quarter of the largest float32: partial sums below it stay finite in any order.
_MAY_OVERFLOW = 2.0**126


def _axes(node: BoundedNode, rank: int) -> list[int] | None:
    """Axes that a reduction removes; None where they are not known."""
    listed = node.integers(1, "axes")
    if listed is None and node.has_input(1):
        return None
    if not listed:
        return [] if node.flag("noop_with_empty_axes") else list(range(rank))
    return [axis % rank for axis in listed] if all(-rank <= a < rank for a in listed) else None


def _without(
    x: Bounds, node: BoundedNode, low: AnyArray, high: AnyArray, axes: list[int]
) -> Bounds:
    """The result of a reduction, from ends that have kept their axes."""
    extents = x.shape or ()
    shape: Extents = tuple(1 if axis in axes else size for axis, size in enumerate(extents))
    if not node.flag("keepdims", 1):
        shape = tuple(size for axis, size in enumerate(extents) if axis not in axes)
        if low.ndim:
            low, high = np.squeeze(low, tuple(axes)), np.squeeze(high, tuple(axes))
    return replace(x, low=low, high=high, shape=shape)


def largest(node: BoundedNode) -> Bounds:
    """An entry along the axes; infinite where there may be none."""
    x = node.first()
    axes = None if x.shape is None else _axes(node, len(x.shape))
    if axes is None or x.shape is None:
        return bounds_of_type(x.dtype)
    if any(x.shape[axis] in (0, None) for axis in axes):
        x = (
            replace(x, low=np.array(-np.inf))
            if node.kind == "ReduceMax"
            else replace(x, high=np.array(np.inf))
        )
    kept = reduce_axes(x, axes)
    return _without(kept, node, kept.low, kept.high, axes)


def sum_entries(node: BoundedNode) -> Bounds:
    """Sums and means of the entries along the axes, of their sizes or of their squares."""
    x = node.first()
    terms = _TERMS[node.kind](x)
    axes = None if x.shape is None else _axes(node, len(x.shape))
    if axes is None or x.shape is None:
        return sign_only(collapse_bounds(_number(terms)))
    ends = _totals(terms, x.shape, axes)
    if ends is None:
        kept = sign_only(reduce_axes(_number(terms), axes))
        return _without(kept, node, kept.low, kept.high, axes)
    low, high = ends
    if node.kind == "ReduceMean":
        count = prod(size for axis, size in enumerate(x.shape) if axis in axes and size)
        low, high = low / count, high / count
    found = _without(terms, node, low, high, axes)
    if node.kind == "ReduceL2":  # squares may have become 0
        found = widen_bounds(found, _LINEAR)
        found = replace(found, low=np.sqrt(found.low), high=np.sqrt(found.high))
    positive = node.operator.within[0] == 0
    reasons = merge_reasons((node.reason,), x.reasons) if positive else x.reasons
    return widen_bounds(replace(found, reasons=reasons), _LINEAR)


def _number(terms: Bounds) -> Bounds:
    """Sums of unlimited length: integers may wrap, and partial sums may be infinite."""
    if terms.is_float or terms.is_half:
        return replace(terms, nan=terms.nan or not _one_sided(terms))
    return bounds_of_type(terms.dtype, terms.shape)


def _one_sided(x: Bounds) -> bool:
    return bool((x.low >= 0).all() or (x.high <= 0).all())


def _totals(x: Bounds, shape: Extents, axes: list[int]) -> tuple[AnyArray, AnyArray] | None:
    """Ends of sums along axes, of float entries whose number is known."""
    counts = [shape[axis] for axis in axes]
    terms = prod(count or 0 for count in counts)
    size = max(float(np.abs(x.low).max()), float(np.abs(x.high).max()))
    if not x.is_float or not 0 < terms <= _MOST_TERMS or size * terms > _MAY_OVERFLOW:
        return None
    held = x.low.shape if x.low.ndim else (1,) * len(shape)
    repeats = prod(shape[axis] or 1 for axis in axes if held[axis] == 1)
    every = (x.low, x.high, np.maximum(np.abs(x.low), np.abs(x.high)))
    if x.low.ndim:
        every = tuple(end.sum(axis=tuple(axes), keepdims=True) for end in every)
    low, high, magnitude = (end * repeats for end in every)
    return _widen_sums(x, low, high, _TERM * terms * magnitude)


def _widen_sums(
    x: Bounds, low: AnyArray, high: AnyArray, slack: AnyArray
) -> tuple[AnyArray, AnyArray]:
    """Ends of sums moved outward; sums of numbers that are never below 0 are not either."""
    low, high = low - slack, high + slack
    low = np.maximum(low, 0.0) if (x.low >= 0).all() else low
    return low, np.minimum(high, 0.0) if (x.high <= 0).all() else high


def _sizes(x: Bounds) -> Bounds:
    low = np.maximum(np.maximum(x.low, -x.high), 0.0)
    return replace(x, low=low, high=np.maximum(np.abs(x.low), np.abs(x.high)))


def _squares(x: Bounds) -> Bounds:
    sizes = _sizes(x)
    return replace(sizes, low=sizes.low**2, high=sizes.high**2)


_TERMS: dict[str, Callable[[Bounds], Bounds]] = {
    "ReduceSum": lambda x: x,
    "ReduceMean": lambda x: x,
    "ReduceL1": _sizes,
    "ReduceL2": _squares,
    "ReduceSumSquare": _squares,
}


def max_pool(node: BoundedNode) -> Bounds:
    """Entries of the first input; minus infinity, or the least float, for windows without any."""
    x = node.first()
    dilations, strides = node.attributes.get("dilations"), node.attributes.get("strides")
    pads, dilated = _pads(node), isinstance(dilations, list) and max(dilations) > 1
    beyond = node.flag("ceil_mode") and (pads or isinstance(strides, list))
    if beyond or (pads and dilated) or x.nan:
        x = replace(x, low=bounds_of_type(x.dtype).low)
    return _pool_ends(x)


def _pads(node: BoundedNode) -> bool:
    pads = node.attributes.get("pads")
    explicit = node.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return not explicit or (isinstance(pads, list) and any(pads))


def _pool_ends(x: Bounds, sizes: int | None = None) -> Bounds:
    """The spatial axes are of another extent; channels stay."""
    if x.shape is None or len(x.shape) < 3:
        return collapse_bounds(x)
    spatial = range(2, len(x.shape))
    return replace(reduce_axes(x, spatial), shape=(*x.shape[:2], *(sizes for _ in spatial)))


def global_max(node: BoundedNode) -> Bounds:
    """One entry a channel."""
    x = node.first()
    return _pool_ends(replace(x, low=np.array(-np.inf)) if x.nan else x, 1)


def average_pool(node: BoundedNode) -> Bounds:
    """Means of windows of a known number of entries, zeros of the border among them."""
    x = node.first()
    kernel = node.attributes.get("kernel_shape")
    count = prod(kernel) if isinstance(kernel, list) else None
    if node.flag("ceil_mode"):  # windows beyond the border divide by other counts, 0 among them
        return sign_only(replace(_pool_ends(x), nan=True))
    # kernels of ONNX Runtime run on less than a window as well, and count what is missing as zeros
    zero = replace(x, low=np.minimum(x.low, 0), high=np.maximum(x.high, 0))
    return _average_ends(_pool_ends(zero), count)


def global_average(node: BoundedNode) -> Bounds:
    """Means of channels."""
    x = node.first()
    sizes = () if x.shape is None else x.shape[2:]
    known = [size for size in sizes if size is not None]
    whole = bool(sizes) and len(known) == len(sizes)
    return _average_ends(_pool_ends(x, 1), prod(known) if whole else None)


def _average_ends(x: Bounds, count: int | None) -> Bounds:
    """Means of so many entries."""
    size = np.maximum(np.abs(x.low), np.abs(x.high))
    if count is None or not 0 < count <= _MOST_TERMS or not x.is_float:
        return sign_only(_number(x))
    if float(size.max()) * count > _MAY_OVERFLOW:
        return sign_only(_number(x))
    low, high = _widen_sums(x, x.low, x.high, _TERM * count * size)
    return widen_bounds(replace(x, low=low, high=high), _LINEAR)


def softmax(node: BoundedNode) -> Bounds:
    """Shares of 1; NaN where an input may be infinite."""
    x = node.first()
    one = np.array(1.0 + (_APPROXIMATE if x.is_float else 2.0**-8))
    nan = x.nan or not x.finite
    return Bounds(np.array(0.0), one, x.dtype, x.shape, nan, (node.reason,))


def local_norm(node: BoundedNode) -> Bounds:
    """Entries divided by at least the power of a bias."""
    x, bias = node.first(), node.attribute("bias", 1.0)
    alpha, beta = node.attribute("alpha", 1e-4), node.attribute("beta", 0.75)
    if not (0 < bias < np.inf and 0 <= alpha < np.inf and 0 <= beta < 2.0**10):
        return bounds_of_type(x.dtype, x.shape)
    share = bias**-beta
    low, high = (np.where(end == 0, 0.0, end * share) for end in (x.low, x.high))
    nan = x.nan or not bool((np.maximum(np.abs(x.low), np.abs(x.high)) < 2.0**60).all())
    ends = replace(x, low=np.minimum(low, 0.0), high=np.maximum(high, 0.0), nan=nan)
    return widen_bounds(ends, _APPROXIMATE) if x.is_float else sign_only(ends)


def hardmax(node: BoundedNode) -> Bounds:
    """0 and 1."""
    found = limit_bounds(
        bounds_of_type(node.first().dtype, node.first().shape), 0.0, 1.0, node.reason
    )
    return replace(found, nan=node.first().nan)


RULES: dict[str, Callable[[BoundedNode], Bounds]] = {
    **dict.fromkeys(_TERMS, sum_entries),
    "ReduceMax": largest,
    "ReduceMin": largest,
    "MaxPool": max_pool,
    "GlobalMaxPool": global_max,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average,
    "Softmax": softmax,
    "Hardmax": hardmax,
    "LRN": local_norm,
}
