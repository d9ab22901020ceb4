"""Rules of operators that treat every entry alike.

A float32 operator errs by a few units in the last place; `_ULPS` is many times that. Functions that
are computed by approximations get `_APPROXIMATE` around their exact ends, and their range as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xbarc.intervals.bounds import (
    Bounds,
    aligned,
    anything,
    checked,
    is_half,
    limited,
    merged,
    widened,
)
from xbarc.intervals.node import Node
from xbarc.numerics.types import AnyArray

_ULPS = 2.0**-21
_APPROXIMATE = 2.0**-15
_CURVE = Callable[[AnyArray], AnyArray]


def relu(node: Node) -> Bounds:
    """Negative entries become 0."""
    return limited(node.first(), 0.0, np.inf, node.reason)


def clip(node: Node) -> Bounds:
    """Ends from inputs, or from attributes in old models."""
    x = node.first()
    low = node.number(1, node.attribute("min", -np.inf))
    high = node.number(2, node.attribute("max", np.inf))
    if low is None or high is None:
        return anything(x.dtype, x.shape)
    return limited(x, low, high, node.reason)


def leaky_relu(node: Node) -> Bounds:
    """Rises as long as the slope is not negative."""
    x, slope = node.first(), node.attribute("alpha", 0.01)
    if slope < 0 or is_half(x):
        return anything(x.dtype, x.shape)
    return widened(_mapped(x, lambda v: np.where(v < 0, v * slope, v)), _ULPS)


def _mapped(x: Bounds, rising: _CURVE) -> Bounds:
    """Ends through a function that never falls."""
    return checked(replace(x, low=np.asarray(rising(x.low)), high=np.asarray(rising(x.high))))


def _curve(node: Node, rising: _CURVE, low: float, high: float) -> Bounds:
    """An approximated function that never falls, with its range."""
    x = node.first()
    if is_half(x):
        return anything(x.dtype, x.shape)
    ends = widened(_mapped(x, rising), _APPROXIMATE, _APPROXIMATE)
    found = limited(ends, low - _APPROXIMATE, high + _APPROXIMATE, node.reason)
    return replace(found, reasons=merged((node.reason,), x.reasons))


def sigmoid(node: Node) -> Bounds:
    """Between 0 and 1."""
    return _curve(node, lambda v: 1 / (1 + np.exp(-np.clip(v, -80, 80))), 0.0, 1.0)


def tanh(node: Node) -> Bounds:
    """Between -1 and 1."""
    return _curve(node, np.tanh, -1.0, 1.0)


def hard_sigmoid(node: Node) -> Bounds:
    """Between 0 and 1, along a line."""
    slope, shift = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if slope < 0:
        return anything(node.first().dtype, node.first().shape)
    return _curve(node, lambda v: np.clip(v * slope + shift, 0, 1), 0.0, 1.0)


def hard_swish(node: Node) -> Bounds:
    """Falls between -3 and -1.5 to -0.375, rises from there."""
    x = node.first()
    if is_half(x):
        return anything(x.dtype, x.shape)
    rising = np.maximum(x.low, 0.0)
    low = np.where(x.low < 0, -0.375, rising * np.minimum(rising / 6 + 0.5, 1))
    high, nan = np.maximum(x.high, 0.0), x.nan or not x.finite  # -inf * 0
    reasons = merged((node.reason,), x.reasons)
    ends = replace(x, low=low, high=high, nan=nan, reasons=reasons)
    return widened(ends, _APPROXIMATE, _APPROXIMATE)


def softmax(node: Node) -> Bounds:
    """Shares of 1; no number where an input may be infinite."""
    x = node.first()
    if is_half(x):
        return anything(x.dtype, x.shape)
    one = np.array(1.0 + _APPROXIMATE)
    return Bounds(np.array(0.0), one, x.dtype, x.shape, x.nan or not x.finite, (node.reason,))


def identity(node: Node) -> Bounds:
    """The input itself; a dropout that trains is something else."""
    return anything(node.first().dtype) if node.given(2) else node.first()


def cast(node: Node) -> Bounds:
    """Numbers that the other type holds."""
    x, dtype = node.first(), str(node.attributes.get("to", ""))
    if dtype in ("float32", "float64") and x.dtype and not is_half(x):
        return _held(widened(replace(x, dtype=dtype), _ULPS))
    room = anything(dtype, x.shape)
    inside = bool((x.low >= room.low).all() and (x.high <= room.high).all()) and x.finite
    whole = x.dtype.startswith(("int", "uint", "bool"))
    if dtype.startswith(("int", "uint")) and whole and inside:
        return replace(x, dtype=dtype)
    return room


def negate(node: Node) -> Bounds:
    """Ends with their signs turned; the least integer has no counterpart."""
    x = node.first()
    return replace(x, low=-x.high, high=-x.low) if x.is_float else anything(x.dtype, x.shape)


def _arithmetic(node: Node, work: Callable[[Bounds, Bounds], tuple[AnyArray, AnyArray]]) -> Bounds:
    """Interval arithmetic of two float tensors, rounded outward."""
    first, second, shape = aligned(node.input(0), node.input(1))
    dtype = first.dtype
    if not first.is_float or second.dtype != dtype:
        return anything(dtype if second.dtype == dtype else "", shape)
    low, high = work(first, second)
    nan = first.nan or second.nan or not (first.finite and second.finite)
    reasons = merged(first.reasons, second.reasons)
    return _held(widened(Bounds(low, high, dtype, shape, nan, reasons), _ULPS))


def _held(x: Bounds) -> Bounds:
    """Ends beyond the element type become infinite."""
    largest = float(np.finfo(x.dtype).max)
    low = np.where(x.low < -largest, -np.inf, x.low)
    return replace(x, low=low, high=np.where(x.high > largest, np.inf, x.high))


def add(node: Node) -> Bounds:
    """Sum of two tensors."""
    return _arithmetic(node, lambda a, b: (a.low + b.low, a.high + b.high))


def subtract(node: Node) -> Bounds:
    """Difference of two tensors."""
    return _arithmetic(node, lambda a, b: (a.low - b.high, a.high - b.low))


def multiply(node: Node) -> Bounds:
    """Product of two tensors: its ends are among the products of ends."""
    return _arithmetic(node, _products)


def divide(node: Node) -> Bounds:
    """Quotient by a constant that is nowhere 0."""
    by = node.constant(1)
    if by is None or not np.all(by):
        return anything(node.first().dtype, None)

    def work(a: Bounds, b: Bounds) -> tuple[AnyArray, AnyArray]:
        return _products(a, replace(b, low=1 / b.high, high=1 / b.low))

    return _arithmetic(node, work)


def _products(a: Bounds, b: Bounds) -> tuple[AnyArray, AnyArray]:
    ends = np.stack(np.broadcast_arrays(*(x * y for x in (a.low, a.high) for y in (b.low, b.high))))
    # the product of two ends is what the operator gives for them, nan included; `nan` says so
    return ends.min(axis=0), ends.max(axis=0)


def least(node: Node) -> Bounds:
    """The smaller of two tensors."""
    return _picked(node, np.minimum)


def greatest(node: Node) -> Bounds:
    """The larger of two tensors."""
    return _picked(node, np.maximum)


def _picked(node: Node, pick: np.ufunc) -> Bounds:
    if len(node.inputs) != 2:
        return node.first() if len(node.inputs) == 1 else anything(node.first().dtype)
    a, b, shape = aligned(node.input(0), node.input(1))
    low, high = pick(a.low, b.low), pick(a.high, b.high)
    reasons = merged((node.reason,), a.reasons, b.reasons)
    return Bounds(low, high, a.dtype, shape, a.nan or b.nan, reasons)


RULES: dict[str, Callable[[Node], Bounds]] = {
    "Relu": relu,
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "Sigmoid": sigmoid,
    "Tanh": tanh,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": hard_swish,
    "Softmax": softmax,
    "Identity": identity,
    "Dropout": identity,
    "Cast": cast,
    "Neg": negate,
    "Add": add,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Min": least,
    "Max": greatest,
}
