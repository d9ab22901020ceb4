"""Rules of operators that treat every entry of one tensor by itself.

Functions that are computed by approximations get `_APPROXIMATE` around their exact ends; kernels of
ONNX Runtime err by less than 2**-22 of `1 + |y|` over all float32 numbers. Ends of ranges that its
kernels clamp to (0 of Sigmoid, say) stay exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from xbarc.intervals.arithmetic import leak_below_zero
from xbarc.intervals.bounds import (
    Bounds,
    bounds_of_type,
    from_array,
    limit_bounds,
    merge_reasons,
    sign_only,
    widen_bounds,
)
from xbarc.intervals.node import BoundedNode
from xbarc.numerics import AnyArray, BoolArray
from xbarc.operators import SIGMOID, SOFTPLUS, Curve, error_function

# Kernels approximate Erf, Tanh, Exp by polynomials and quotients of float32: 512 roundings.
_APPROXIMATE = 2.0**-15
_COARSE = 2.0**-8  # half precision
_SIGMOID_LEAK = 2.0**-24  # kernels stop at an argument of -18, which gives 1.5e-8
Function = Callable[[AnyArray], AnyArray]


def relu(node: BoundedNode) -> Bounds:
    """Negative entries become 0."""
    return limit_bounds(node.first(), 0.0, np.inf, node.reason)


def clip(node: BoundedNode) -> Bounds:
    """Ends from inputs, constant or not, or from attributes in old models."""
    x = node.first()
    floor, top = _limit(node, 1, "min", -np.inf), _limit(node, 2, "max", np.inf)
    if floor.low == floor.high and top.low == top.high:
        return limit_bounds(x, float(floor.low), float(top.low), node.reason)
    low = np.minimum(np.maximum(x.low, floor.low), top.low)
    high = np.minimum(np.maximum(x.high, floor.high), top.high)
    nan = x.nan or floor.nan or top.nan
    if nan:  # whatever is a number may come through
        low = np.minimum(low, min(floor.low.min(), top.low.min()))
        high = np.maximum(high, max(floor.high.max(), top.high.max()))
    return replace(x, low=low, high=high, nan=nan, reasons=merge_reasons((node.reason,), x.reasons))


def _limit(node: BoundedNode, place: int, name: str, default: float) -> Bounds:
    """What an end can be, as one number."""
    if not node.has_input(place):
        number = np.array(node.attribute(name, default))
        return Bounds(number, number, node.first().dtype, ())
    found = node.input(place)
    return replace(found, low=found.low.min(), high=found.high.max(), shape=())


def leaky_relu(node: BoundedNode) -> Bounds:
    """One slope for all entries below 0."""
    x = node.first()
    if not x.dtype:
        return bounds_of_type("", x.shape)
    return leak_below_zero(node, from_array(np.array(node.attribute("alpha", 0.01), dtype=x.dtype)))


def _curve(node: BoundedNode, curve: Curve) -> Bounds:
    """Ends go to ends, within the range."""
    x = node.first()
    inside = (np.clip(end, curve.least, curve.most) for end in (x.low, x.high))
    low, high = (np.minimum(np.maximum(curve.rising(end), curve.low), curve.high) for end in inside)
    beyond = bool((x.low < curve.least).any() or (x.high > curve.most).any())
    if x.nan:  # an approximation may clamp what is no number
        low, high = np.full_like(low, curve.low), np.full_like(high, curve.high)
    ends = replace(x, low=low, high=high)
    near = _widen_approximation(ends)
    # 0 is met exactly; ends such as 1 of Tanh are not
    slack = _APPROXIMATE if x.is_float else _COARSE
    floor = curve.low if curve.low == 0 else curve.low - slack
    found = limit_bounds(near, floor, curve.high + slack, node.reason)
    bounded = np.isfinite(curve.low) or np.isfinite(curve.high)
    reasons = merge_reasons((node.reason,), x.reasons) if bounded else x.reasons
    return replace(found, reasons=reasons, nan=x.nan or beyond)


def _widen_approximation(ends: Bounds) -> Bounds:
    """Ends as far as kernels err; some compute float64 in float32."""
    if ends.dtype != "float32":
        return sign_only(ends)
    return widen_bounds(ends, _APPROXIMATE, _APPROXIMATE)


def hard_sigmoid(node: BoundedNode) -> Bounds:
    """Between 0 and 1, along a line."""
    slope, shift = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if not 0 <= slope < np.inf or not abs(shift) < np.inf:
        return limit_bounds(
            bounds_of_type(node.first().dtype, node.first().shape), 0.0, 1.0, node.reason
        )
    return _curve(node, Curve(lambda v: _times(v, slope) + shift, 0.0, 1.0))


def _times(v: AnyArray, factor: float) -> AnyArray:
    """A product in which 0 times infinity is 0."""
    found: AnyArray = v * factor if factor else np.zeros_like(v)
    return found


def elu(node: BoundedNode) -> Bounds:
    """An exponential below 0, and the entries themselves above."""
    alpha = node.attribute("alpha", 1.0)
    steep = 1.0 / alpha if node.kind == "Celu" and alpha else 1.0
    return _exponential_below(node, alpha, steep, 1.0)


def selu(node: BoundedNode) -> Bounds:
    """As `elu`, all of it times a number."""
    gamma = node.attribute("gamma", 1.05070102214813232421875)
    return _exponential_below(node, node.attribute("alpha", 1.67326319217681884765625), 1.0, gamma)


def _exponential_below(node: BoundedNode, alpha: float, steep: float, gamma: float) -> Bounds:
    if not 0 < alpha < 2.0**20 or not 2.0**-20 < steep < 2.0**20 or not 0 < gamma < 2.0**20:
        return bounds_of_type(node.first().dtype, node.first().shape)

    def rise_after_dip(v: AnyArray) -> AnyArray:
        found: AnyArray = gamma * np.where(v < 0, alpha * np.expm1(np.minimum(v, 0) * steep), v)
        return found

    x = node.first()
    if x.dtype != "float32" or x.nan:
        return bounds_of_type(x.dtype, x.shape)
    ends = replace(x, low=rise_after_dip(x.low), high=rise_after_dip(x.high))
    return widen_bounds(ends, _APPROXIMATE, _APPROXIMATE * (1 + alpha * gamma))


def _dip(node: BoundedNode, share: Function, least: float, leak: float = 0.0) -> Bounds:
    """`x` times a share between 0 and 1 that rises: it falls to `least` below 0, then rises.

    `leak` is what a kernel may give in place of a share of 0.
    """
    x = node.first()
    low, high = (np.maximum(end, 0.0) for end in (x.low, x.high))
    low, high = (np.where(end > 0, end * share(end), 0.0) for end in (low, high))
    far = least + leak * np.minimum(x.low, 0.0) if leak else least
    low = np.where(x.low < 0, far, low)
    nan = x.nan or bool(np.isneginf(x.low).any())  # -inf * 0
    ends = replace(x, low=low, high=high, nan=nan, reasons=merge_reasons((node.reason,), x.reasons))
    return _widen_approximation(ends)


def hard_swish(node: BoundedNode) -> Bounds:
    """Falls between -3 and -1.5 to -0.375, rises from there."""
    return _dip(node, lambda v: np.minimum(v / 6 + 0.5, 1), -0.375)


def gelu(node: BoundedNode) -> Bounds:
    """Its two formulas differ by less than 0.001."""
    found = _dip(node, lambda v: 0.5 + 0.5 * error_function(v * 2.0**-0.5), -0.17)
    return widen_bounds(found, 0.0, 0.001)


def swish(node: BoundedNode) -> Bounds:
    """Entries times the sigmoid of a multiple of theirs."""
    alpha = node.attribute("alpha", 1.0 if node.kind == "Swish" else 1.702)
    if not 2.0**-10 < alpha < 2.0**10:
        return bounds_of_type(node.first().dtype, node.first().shape)
    return _dip(node, lambda v: SIGMOID.rising(v * alpha), -0.2785 / alpha, _SIGMOID_LEAK)


def mish(node: BoundedNode) -> Bounds:
    """Entries times the hyperbolic tangent of their softplus."""
    return _dip(node, lambda v: np.tanh(SOFTPLUS.rising(v)), -0.309)


def shrunk(node: BoundedNode) -> Bounds:
    """Entries moved by a bias, towards 0 or away from it, or 0."""
    x, bias = node.first(), abs(node.attribute("bias", 0.0))
    if not x.is_float or not bias < np.inf:
        return bounds_of_type(x.dtype, x.shape)
    low, high = np.minimum(x.low - bias, 0.0), np.maximum(x.high + bias, 0.0)
    return widen_bounds(replace(x, low=low, high=high), _APPROXIMATE)


def exponential(node: BoundedNode) -> Bounds:
    """Never below 0, and exactly 0 where entries lie far below."""
    x = node.first()
    ends = replace(x, low=np.exp(x.low), high=np.exp(x.high))
    if x.nan:
        ends = replace(x, low=np.zeros_like(x.low), high=np.full_like(x.high, np.inf))
    found = widen_bounds(ends, _APPROXIMATE) if x.dtype == "float32" else sign_only(ends)
    return replace(found, reasons=merge_reasons((node.reason,), x.reasons))


def root(node: BoundedNode) -> Bounds:
    """Square roots; of numbers below 0 they are NaN."""
    x = node.first()
    inside = limit_bounds(x, 0.0, np.inf, node.reason)
    ends = replace(inside, low=np.sqrt(inside.low), high=np.sqrt(inside.high))
    found = widen_bounds(ends, _APPROXIMATE) if x.is_float else sign_only(ends)
    reasons = merge_reasons((node.reason,), x.reasons)
    return replace(found, nan=x.nan or bool((x.low < 0).any()), reasons=reasons)


def logarithm(node: BoundedNode) -> Bounds:
    """Minus infinity at 0; of numbers below it is NaN."""
    x = node.first()
    if not x.is_float or x.nan:
        return bounds_of_type(x.dtype, x.shape)
    ends = [np.log(np.maximum(end, 0.0)) for end in (x.low, x.high)]
    nan = bool((x.low < 0).any())
    return widen_bounds(replace(x, low=ends[0], high=ends[1], nan=nan), _APPROXIMATE, _APPROXIMATE)


def reciprocal(node: BoundedNode) -> Bounds:
    """Falls on either side of 0; 0 may be -0."""
    x = node.first()
    if not x.is_float or ((x.low <= 0) & (x.high >= 0)).any():
        return bounds_of_type(x.dtype, x.shape)
    return widen_bounds(replace(x, low=1 / x.high, high=1 / x.low), _APPROXIMATE)


def wave(node: BoundedNode) -> Bounds:
    """Between -1 and 1; of infinity it is NaN."""
    x = node.first()
    end = np.array(1 + (_APPROXIMATE if x.is_float else _COARSE))
    return Bounds(-end, end, x.dtype, x.shape, x.nan or not x.finite, (node.reason,))


def absolute(node: BoundedNode) -> Bounds:
    """Sizes; the least integer has none."""
    x = node.first()
    size = replace(
        x,
        low=np.maximum(np.maximum(x.low, -x.high), 0.0),
        high=np.maximum(np.abs(x.low), np.abs(x.high)),
        reasons=merge_reasons((node.reason,), x.reasons),
    )
    return (
        size
        if x.is_float or x.is_half or _has_counterparts(x)
        else bounds_of_type(x.dtype, x.shape)
    )


def negate(node: BoundedNode) -> Bounds:
    """Ends with their signs turned; the least integer has no counterpart."""
    x = node.first()
    known = x.is_float or x.is_half or _has_counterparts(x)
    return replace(x, low=-x.high, high=-x.low) if known else bounds_of_type(x.dtype, x.shape)


def _has_counterparts(x: Bounds) -> bool:
    """Whether every integer that occurs has a negative one in its type, or none is needed."""
    return x.is_whole and bool((x.low > bounds_of_type(x.dtype).low).all() or (x.low >= 0).all())


def round_ends(node: BoundedNode) -> Bounds:
    """Functions that give whole numbers exactly, and never fall."""
    x, step = node.first(), node.operator.exact
    if step is None:
        return bounds_of_type(x.dtype, x.shape)
    ends = replace(x, low=step(x.low), high=step(x.high))
    if node.kind == "Sign" and x.nan:  # of NaN it may be 0
        return replace(ends, low=np.minimum(ends.low, 0.0), high=np.maximum(ends.high, 0.0))
    return ends


def threshold_ends(node: BoundedNode) -> Bounds:
    """Entries above a number; others become 0."""
    x, alpha = node.first(), node.attribute("alpha", 1.0)
    if np.isnan(alpha):
        return bounds_of_type(x.dtype, x.shape)
    passes: BoolArray = x.high > alpha
    low = np.minimum(0.0, np.where(passes, np.maximum(x.low, alpha), 0.0))
    high = np.maximum(0.0, np.where(passes, x.high, 0.0))
    return replace(x, low=low, high=high, reasons=merge_reasons((node.reason,), x.reasons))


def identity(node: BoundedNode) -> Bounds:
    """The input itself; a dropout that trains is something else."""
    return bounds_of_type(node.first().dtype) if node.has_input(2) else node.first()


def cast(node: BoundedNode) -> Bounds:
    """Numbers that the other type holds."""
    x, dtype = node.first(), str(node.attributes.get("to", node.input(1).dtype))
    if dtype in ("float32", "float64", "float16") and x.dtype:
        found = widen_bounds(replace(x, dtype=dtype), 2.0**-21)
        return found if found.is_float else sign_only(found)
    room = bounds_of_type(dtype, x.shape)
    inside = bool((x.low >= room.low).all() and (x.high <= room.high).all())
    inside = inside and bool((np.maximum(np.abs(x.low), np.abs(x.high)) < 2.0**53).all())
    if not dtype.startswith(("int", "uint")) or not inside or x.nan or not x.dtype:
        return room
    return replace(x, low=np.trunc(x.low), high=np.trunc(x.high), dtype=dtype)


def curve(node: BoundedNode) -> Bounds:
    """Approximated functions that never fall."""
    x, function = node.first(), node.operator.curve
    if function is None:
        return bounds_of_type(x.dtype, x.shape)
    found = _curve(node, function)
    if node.kind == "Softsign" and not x.finite:  # inf / inf
        return replace(found, nan=True)
    return found


RULES: dict[str, Callable[[BoundedNode], Bounds]] = {
    "Relu": relu,
    "Clip": clip,
    "LeakyRelu": leaky_relu,
    "ThresholdedRelu": threshold_ends,
    "HardSwish": hard_swish,
    "HardSigmoid": hard_sigmoid,
    "Gelu": gelu,
    "Elu": elu,
    "Celu": elu,
    "Selu": selu,
    "Exp": exponential,
    "Sqrt": root,
    "Log": logarithm,
    "Reciprocal": reciprocal,
    "Sin": wave,
    "Cos": wave,
    "Abs": absolute,
    "Neg": negate,
    "Identity": identity,
    "Dropout": identity,
    "Cast": cast,
    "CastLike": cast,
    "Swish": swish,
    "QuickGelu": swish,
    "Mish": mish,
    "Shrink": shrunk,
}
