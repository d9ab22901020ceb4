"""Rules of operators between tensors that broadcast: arithmetic, choices, comparisons.

A float32 operator errs by a few units in the last place; `_ULPS` is many times that. Integers wrap,
so that bounds hold only while every result fits the type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np

from xbarc.intervals.bounds import (
    Bounds,
    align_bounds,
    bounds_of_type,
    broadcast_shape,
    merge_reasons,
    sign_only,
    widen_bounds,
)
from xbarc.intervals.node import BoundedNode
from xbarc.numerics import AnyArray, BoolArray

# Four units in the last place of float32, where a sum or product rounds by half of one: kernels may
# compute in another order, and no end may be too narrow.
_ULPS = 2.0**-21
# Pow comes from polynomials of float32 in some kernels: 512 roundings.
_APPROXIMATE = 2.0**-15
Ends = tuple[AnyArray, AnyArray]
_WORK = Callable[[Bounds, Bounds], tuple[Ends, bool]]


def _arithmetic(node: BoundedNode, work: _WORK) -> Bounds:
    """Interval arithmetic of the two inputs."""
    return _combine_ends(node, node.input(0), node.input(1), work)


def _combine_ends(node: BoundedNode, first: Bounds, second: Bounds, work: _WORK) -> Bounds:
    """Interval arithmetic of two tensors of one type, rounded outward."""
    (a, b), shape = align_bounds(first, second)
    dtype = first.dtype or second.dtype
    if "axis" in node.attributes or "broadcast" in node.attributes:
        return bounds_of_type(dtype)  # before version 7, inputs were aligned in another way
    if not dtype or (first.dtype and second.dtype not in ("", dtype)):
        return bounds_of_type(dtype, shape)
    (low, high), nan = work(a, b)
    nan = first.nan or second.nan or nan
    found = Bounds(low, high, dtype, shape, nan, merge_reasons(first.reasons, second.reasons))
    if found.is_whole:
        return _fit_type(found)
    return widen_bounds(found, _ULPS) if found.is_float else sign_only(found)


def _fit_type(found: Bounds) -> Bounds:
    """Integers that do not wrap, or any of the type."""
    room = bounds_of_type(found.dtype, found.shape)
    fits = bool((found.low >= room.low).all() and (found.high <= room.high).all())
    return replace(found, nan=False) if fits and found.finite else room


def _sums(a: Bounds, b: Bounds) -> tuple[Ends, bool]:
    both = (np.isposinf(a.high) & np.isneginf(b.low)) | (np.isneginf(a.low) & np.isposinf(b.high))
    return (a.low + b.low, a.high + b.high), bool(both.any())


def _negate_ends(x: Bounds) -> Bounds:
    return replace(x, low=-x.high, high=-x.low)


def add(node: BoundedNode) -> Bounds:
    """Sum of two tensors."""
    return _arithmetic(node, _sums)


def subtract(node: BoundedNode) -> Bounds:
    """Difference of two tensors."""
    return _arithmetic(node, lambda a, b: _sums(a, _negate_ends(b)))


def multiply(node: BoundedNode) -> Bounds:
    """Product of two tensors: its ends are among the products of ends."""
    return _arithmetic(node, products)


def products(a: Bounds, b: Bounds) -> tuple[Ends, bool]:
    """Ends of products, and whether infinity may meet zero; numbers near zero give zero there."""
    corners = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return _extremes(corners), bool(
        (_is_open(a) & _holds_zero(b)).any() or (_is_open(b) & _holds_zero(a)).any()
    )


def _extremes(corners: list[AnyArray]) -> Ends:
    """Least and largest of the results at the corners; 0 * inf and inf / inf count as 0."""
    ends = np.stack(np.broadcast_arrays(*corners))
    ends = np.where(np.isnan(ends), 0.0, ends)
    return ends.min(axis=0), ends.max(axis=0)


def _is_open(x: Bounds) -> BoolArray:
    found: BoolArray = np.isinf(x.low) | np.isinf(x.high)
    return found


def _holds_zero(x: Bounds) -> BoolArray:
    found: BoolArray = (x.low <= 0) & (x.high >= 0)
    return found


def divide(node: BoundedNode) -> Bounds:
    """Quotient by what is nowhere 0; a divisor that may be 0 may be -0 as well."""
    return _arithmetic(node, _quotients)


def _quotients(a: Bounds, b: Bounds) -> tuple[Ends, bool]:
    if _holds_zero(b).any():  # after both were aligned: one interval may hold numbers of both signs
        return (np.array(-np.inf), np.array(np.inf)), True
    low, high = _extremes([x / y for x in (a.low, a.high) for y in (b.low, b.high)])
    if a.is_whole or b.is_whole:  # whole quotients are cut off towards 0
        low, high = np.trunc(low), np.trunc(high)
    return (low, high), bool((_is_open(a) & _is_open(b)).any())


def power(node: BoundedNode) -> Bounds:
    """Powers with one constant exponent."""
    x, exponent = node.first(), node.number(1)
    shape = broadcast_shape(x, node.input(1))
    if exponent is None or not (x.is_float or x.is_half):
        return bounds_of_type(x.dtype, shape)
    whole = exponent == int(exponent) and abs(exponent) < 2.0**20
    even = whole and int(exponent) % 2 == 0
    if (exponent < 0 and _holds_zero(x).any()) or (not whole and (x.low < 0).any()):
        least = 0.0 if even or not whole else -np.inf  # fractional powers below 0 are NaN
        return Bounds(np.array(least), np.array(np.inf), x.dtype, shape, nan=True)
    corners = [x.low**exponent, x.high**exponent]
    low, high = np.minimum(*corners), np.maximum(*corners)
    if even and exponent > 0:
        low = np.where(_holds_zero(x), 0.0, low)
    reasons = merge_reasons((node.reason,), x.reasons) if even else x.reasons
    found = widen_bounds(Bounds(low, high, x.dtype, shape, x.nan, reasons), _APPROXIMATE)
    return sign_only(found) if x.is_half else found


def parametric_relu(node: BoundedNode) -> Bounds:
    """Slopes below 0 from the second input."""
    return leak_below_zero(node, node.input(1))


def leak_below_zero(node: BoundedNode, slope: Bounds) -> Bounds:
    """Entries below 0 times a slope, others as they are."""

    def work(a: Bounds, b: Bounds) -> tuple[Ends, bool]:
        below = replace(a, low=np.minimum(a.low, 0.0), high=np.minimum(a.high, 0.0))
        (low, high), nan = products(below, b)
        low = np.where(a.low >= 0, a.low, np.where(a.high > 0, np.minimum(low, 0.0), low))
        high = np.where(a.low >= 0, a.high, np.where(a.high > 0, np.maximum(high, a.high), high))
        return (low, high), nan

    return _combine_ends(node, node.first(), slope, work)


def _fold_inputs(node: BoundedNode, step: Callable[[Bounds, Bounds], Bounds]) -> Bounds:
    """Inputs taken together one by one."""
    return reduce(step, (node.input(place) for place in range(len(node.inputs))))


def total(node: BoundedNode) -> Bounds:
    """Sum of any number of tensors."""
    return _fold_inputs(node, lambda a, b: _combine_ends(node, a, b, _sums))


def mean(node: BoundedNode) -> Bounds:
    """Sum of any number of tensors, divided by how many they are."""
    summed, count = total(node), float(len(node.inputs))
    found = replace(summed, low=summed.low / count, high=summed.high / count)
    return widen_bounds(found, _ULPS) if found.is_float else found


def least(node: BoundedNode) -> Bounds:
    """The smallest of any number of tensors."""
    return _fold_inputs(node, lambda a, b: _pick_ends(node, a, b, np.minimum))


def greatest(node: BoundedNode) -> Bounds:
    """The largest of any number of tensors."""
    return _fold_inputs(node, lambda a, b: _pick_ends(node, a, b, np.maximum))


def _pick_ends(node: BoundedNode, first: Bounds, second: Bounds, pick: np.ufunc) -> Bounds:
    (a, b), shape = align_bounds(first, second)
    low, high = pick(a.low, b.low), pick(a.high, b.high)
    for one, other in ((a, b), (b, a)):
        if one.nan:  # old kernels pick the other one
            low, high = np.minimum(low, other.low), np.maximum(high, other.high)
    reasons = merge_reasons((node.reason,), first.reasons, second.reasons)
    dtype = first.dtype or second.dtype
    return Bounds(low, high, dtype, shape, first.nan or second.nan, reasons)


def where(node: BoundedNode) -> Bounds:
    """Entries of the second input where the first one holds, otherwise of the third."""
    parts, shape = align_bounds(node.input(0), node.input(1), node.input(2))
    condition, first, second = parts
    always, never = condition.low > 0, condition.high <= 0
    low = np.where(
        always, first.low, np.where(never, second.low, np.minimum(first.low, second.low))
    )
    high = np.where(
        always, first.high, np.where(never, second.high, np.maximum(first.high, second.high))
    )
    nan, reasons = first.nan or second.nan, merge_reasons(first.reasons, second.reasons)
    return Bounds(low, high, first.dtype or second.dtype, shape, nan, reasons)


RULES: dict[str, Callable[[BoundedNode], Bounds]] = {
    "Add": add,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Pow": power,
    "PRelu": parametric_relu,
    "Sum": total,
    "Mean": mean,
    "Min": least,
    "Max": greatest,
    "Where": where,
}
