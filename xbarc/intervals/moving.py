"""Rules of operators that move, choose or average entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from xbarc.intervals.bounds import (
    Bounds,
    anything,
    collapsed,
    merged,
    union,
    widened,
)
from xbarc.intervals.node import Node
from xbarc.numerics.types import AnyArray

_MOST_AVERAGED = 1 << 16
_AVERAGE = 2.0**-6 / (1 << 16)
_LINEAR = 2.0**-18


def moved(node: Node) -> Bounds:
    """Entries of the first input, anywhere."""
    return collapsed(node.first())


def reshape(node: Node) -> Bounds:
    """Channels stay known where all axes but the first are joined to one."""
    x, target = node.first(), node.constant(1)
    if target is None or node.attribute("allowzero", 0) or x.shape is None:
        return collapsed(x)
    sizes = [int(size) for size in target.reshape(-1)]
    rest = [size for size in x.shape[1:] if size is not None]
    if len(sizes) != 2 or not x.shape or len(rest) < len(x.shape) - 1:
        return collapsed(x)
    keeps = sizes[1] == -1 and (sizes[0] == 0 or sizes[0] == x.shape[0])
    return _joined(x, 1) if keeps or sizes == [-1, prod(rest)] else collapsed(x)


def flatten(node: Node) -> Bounds:
    """As `reshape`, from one axis on."""
    axis = int(node.attribute("axis", 1))
    return _joined(node.first(), 1) if axis == 1 else collapsed(node.first())


def _joined(x: Bounds, axis: int) -> Bounds:
    """All axes from one on, made one."""
    if x.shape is None or len(x.shape) <= axis:
        return collapsed(x)
    sizes = x.shape[axis:]
    if any(size is None for size in sizes):
        return collapsed(x, (*x.shape[:axis], None))
    extents = [size for size in sizes if size is not None]
    shape = (*x.shape[:axis], prod(extents))
    if not x.low.ndim or x.low.shape[:axis] != (1,) * axis:
        return collapsed(x, shape)
    full = ((1,) * axis) + tuple(extents)
    low, high = (np.broadcast_to(e, full).reshape((1,) * axis + (-1,)) for e in (x.low, x.high))
    return replace(x, low=low, high=high, shape=shape)


def transpose(node: Node) -> Bounds:
    """Axes in another order."""
    x, order = node.first(), node.attributes.get("perm")
    if x.shape is None:
        return collapsed(x)
    axes = list(order) if isinstance(order, list) else list(range(len(x.shape)))[::-1]
    if sorted(axes) != list(range(len(x.shape))):
        return collapsed(x)
    shape = tuple(x.shape[axis] for axis in axes)
    if not x.low.ndim:
        return replace(x, shape=shape)
    return replace(x, low=x.low.transpose(axes), high=x.high.transpose(axes), shape=shape)


def max_pool(node: Node) -> Bounds:
    """Entries of the first input; with windows that may lie in the border alone, anything."""
    x = node.first()
    if node.attribute("ceil_mode", 0) and _pads(node):
        return anything(x.dtype)
    return _pooled(x)


def _pads(node: Node) -> bool:
    pads = node.attributes.get("pads")
    explicit = node.attributes.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return not explicit or (isinstance(pads, list) and any(pads))


def _pooled(x: Bounds, sizes: int | None = None) -> Bounds:
    """The spatial axes are of another extent; channels stay."""
    if x.shape is None or len(x.shape) < 3:
        return collapsed(x)
    spatial = (sizes,) * (len(x.shape) - 2)
    low, high = x.low, x.high
    if x.low.ndim:
        axes = tuple(range(2, x.low.ndim))
        low, high = low.min(axis=axes, keepdims=True), high.max(axis=axes, keepdims=True)
    return replace(x, low=low, high=high, shape=(*x.shape[:2], *spatial))


def global_max(node: Node) -> Bounds:
    """One entry a channel."""
    return _pooled(node.first(), 1)


def average_pool(node: Node) -> Bounds:
    """Means of windows of a known number of entries, zeros of the border among them."""
    kernel = node.attributes.get("kernel_shape")
    count = prod(kernel) if isinstance(kernel, list) else None
    if node.attribute("ceil_mode", 0):
        return anything(node.first().dtype)
    return _averaged(_pooled(node.first()), count)


def global_average(node: Node) -> Bounds:
    """Means of channels."""
    x = node.first()
    sizes = () if x.shape is None else x.shape[2:]
    known = [size for size in sizes if size is not None]
    whole = bool(sizes) and len(known) == len(sizes) and 0 not in known
    return _averaged(_pooled(x, 1), prod(known) if whole else None)


def _averaged(x: Bounds, count: int | None) -> Bounds:
    """Means of so many entries: the rounding of a sum grows with its terms."""
    if count is None or count > _MOST_AVERAGED or not x.is_float:
        return anything(x.dtype, x.shape)
    zero = replace(x, low=np.minimum(x.low, 0), high=np.maximum(x.high, 0))
    size = np.maximum(np.abs(x.low), np.abs(x.high))
    share = _AVERAGE * count
    low = np.where(x.low >= 0, 0.0, zero.low - share * size)
    lifted = replace(zero, low=low, high=zero.high + share * size)
    return widened(replace(lifted, nan=x.nan or not x.finite), _LINEAR)


def concat(node: Node) -> Bounds:
    """Inputs one after another."""
    parts = [node.input(place) for place in range(len(node.inputs))]
    axis = int(node.attribute("axis", 1))
    whole = _stacked(parts, axis)
    if whole is not None:
        return whole
    found = collapsed(parts[0])
    for part in parts[1:]:
        found = union(found, collapsed(part))
    return found


def _stacked(parts: list[Bounds], axis: int) -> Bounds | None:
    """Bounds by channel, where the inputs are joined along channels of known number."""
    shapes = [part.shape for part in parts]
    ranks = {None if shape is None else len(shape) for shape in shapes}
    if axis != 1 or len(ranks) != 1 or None in ranks:
        return None
    counts = [shape[1] for shape in shapes if shape is not None and len(shape) > 1]
    channels = [count for count in counts if count is not None]
    first = parts[0]
    if len(channels) != len(parts) or first.shape is None:
        return None
    rows = [_by_channel(part, count) for part, count in zip(parts, channels, strict=True)]
    low, high = (np.concatenate([row[end] for row in rows], axis=1) for end in (0, 1))
    shape = (first.shape[0], sum(channels), *first.shape[2:])
    nan = any(part.nan for part in parts)
    return replace(
        first, low=low, high=high, shape=shape, nan=nan, reasons=merged(*(p.reasons for p in parts))
    )


def _by_channel(part: Bounds, channels: int) -> tuple[AnyArray, AnyArray]:
    rank = 2 if part.shape is None else len(part.shape)
    full = (1, channels) + (1,) * (rank - 2)
    low, high = part.low, part.high
    if low.ndim:
        axes = tuple(axis for axis in range(rank) if axis != 1)
        low, high = low.min(axis=axes, keepdims=True), high.max(axis=axes, keepdims=True)
    return np.broadcast_to(low, full), np.broadcast_to(high, full)


def pad(node: Node) -> Bounds:
    """A border of a constant, or of entries that are there."""
    x, mode = collapsed(node.first()), node.attributes.get("mode", "constant")
    if mode != "constant":
        return x
    value = node.number(2, node.attribute("value", 0.0))
    if value is None:
        return anything(x.dtype)
    border = replace(x, low=np.array(value), high=np.array(value), nan=False)
    return union(x, border)


def resize(node: Node) -> Bounds:
    """Nearest entries, or means of neighbours; cubic curves overshoot."""
    x = collapsed(node.first())
    mode = node.attributes.get("mode", "nearest")
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return anything(x.dtype)
    if mode == "nearest":
        return x
    if mode != "linear" or not x.is_float:
        return anything(x.dtype)
    size = np.maximum(np.abs(x.low), np.abs(x.high))
    return widened(replace(x, nan=x.nan or not x.finite), 0.0, _LINEAR * size)


_MOVERS = (
    "Squeeze",
    "Unsqueeze",
    "Expand",
    "Tile",
    "Slice",
    "Gather",
    "GatherND",
    "GatherElements",
    "Split",
    "DepthToSpace",
    "SpaceToDepth",
    "ReduceMax",
    "ReduceMin",
)

RULES: dict[str, Callable[[Node], Bounds]] = {
    **dict.fromkeys(_MOVERS, moved),
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "MaxPool": max_pool,
    "GlobalMaxPool": global_max,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average,
    "Concat": concat,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
}
EVERY_OUTPUT = frozenset({"Split"})
"""Operators whose rule holds for each of their outputs."""
