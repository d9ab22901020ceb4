"""Rules of operators that move, choose or repeat entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from math import prod

import numpy as np

from xbarc.intervals.bounds import (
    LARGEST,
    Bounds,
    Extents,
    bounds_of_type,
    broadcast_shape,
    collapse_bounds,
    from_array,
    reduce_axes,
    union,
    widen_bounds,
)
from xbarc.intervals.node import BoundedNode
from xbarc.numerics import AnyArray

# Blends of neighbours: 64 roundings of float32, of which each of the products takes a few.
_LINEAR = 2.0**-18
_ZERO = np.zeros(1, np.float32)


def reshape(node: BoundedNode) -> Bounds:
    """Entries in the same order."""
    x, target = node.first(), node.constant(1)
    if target is None:
        return collapse_bounds(x)
    sizes = [int(size) for size in target.reshape(-1)]
    return _reshape_ends(x, _target(x.shape, sizes, keeps_zero=node.flag("allowzero")))


def _target(shape: Extents | None, sizes: list[int], *, keeps_zero: bool) -> Extents:
    """Extents that Reshape makes; 0 copies an extent, -1 takes what is left."""
    old = () if shape is None else shape
    copied = [
        (old[place] if place < len(old) else None) if size == 0 and not keeps_zero else size
        for place, size in enumerate(sizes)
    ]
    if -1 not in copied:
        return tuple(copied)
    place = copied.index(-1)
    rest = [size for size in copied if size != -1]
    before = list(old)
    if shape is None or (sizes[0] == 0 and place > 0 and not keeps_zero):
        rest, before = rest[1:], before[1:]  # the first axis is the same on both sides
    known = shape is not None and None not in rest and None not in before
    size = _product(before) // max(1, _product(rest)) if known else None
    return (*copied[:place], size, *copied[place + 1 :])


def _product(sizes: list[int | None]) -> int:
    return prod(size or 0 for size in sizes)


def _reshape_ends(x: Bounds, shape: Extents) -> Bounds:
    """Ends stay known where the first axis stays, or where every extent is known."""
    if not x.low.ndim or x.shape is None:
        return replace(x, low=x.low.min(), high=x.high.max(), shape=shape)
    old = x.shape
    skip = 1 if x.low.shape[0] == 1 and shape and _known(old[1:]) == _known(shape[1:]) else 0
    have, want = old[skip:], shape[skip:]
    size = _known(have)
    if size is None or size > LARGEST or _known(want) != size:
        return collapse_bounds(x, shape)
    full = (1,) * skip + tuple(extent or 0 for extent in have)
    form = (1,) * skip + tuple(extent or 0 for extent in want)
    low, high = (np.broadcast_to(end, full).reshape(form) for end in (x.low, x.high))
    return replace(x, low=low, high=high, shape=shape)


def _known(sizes: Extents) -> int | None:
    """Number of entries; None where an extent is not known, or there are none."""
    return None if None in sizes or 0 in sizes else _product(list(sizes))


def flatten_axes(node: BoundedNode) -> Bounds:
    """Two axes: all up to one, and all from there on."""
    x = node.first()
    rank = 0 if x.shape is None else len(x.shape)
    axis = int(node.attribute("axis", 1))
    if x.shape is None or not -rank <= axis <= rank:
        return collapse_bounds(x, (None, None))
    place = axis if axis >= 0 else axis + rank
    sides = (x.shape[:place], x.shape[place:])
    return _reshape_ends(x, tuple(None if None in s else _product(list(s)) for s in sides))


def transpose(node: BoundedNode) -> Bounds:
    """Axes in another order."""
    x, order = node.first(), node.attributes.get("perm")
    if x.shape is None:
        return x
    axes = list(order) if isinstance(order, list) else list(range(len(x.shape)))[::-1]
    if sorted(axes) != list(range(len(x.shape))):
        return collapse_bounds(x)
    shape = tuple(x.shape[axis] for axis in axes)
    if not x.low.ndim:
        return replace(x, shape=shape)
    return replace(x, low=x.low.transpose(axes), high=x.high.transpose(axes), shape=shape)


def squeeze(node: BoundedNode) -> Bounds:
    """Axes of length 1 removed."""
    x, listed = node.first(), node.integers(1, "axes")
    if x.shape is None or (listed is None and (node.has_input(1) or None in x.shape)):
        return collapse_bounds(x)
    rank = len(x.shape)
    gone = [axis % rank for axis in listed] if listed and rank else []
    if listed is None:
        gone = [axis for axis, size in enumerate(x.shape) if size == 1]
    kept = [axis for axis in range(rank) if axis not in gone]
    shape, x = tuple(x.shape[axis] for axis in kept), reduce_axes(x, gone)
    ends = [end.reshape([end.shape[a] for a in kept]) if end.ndim else end for end in _ends(x)]
    return replace(x, low=ends[0], high=ends[1], shape=shape)


def _ends(x: Bounds) -> tuple[AnyArray, AnyArray]:
    return x.low, x.high


def unsqueeze(node: BoundedNode) -> Bounds:
    """New axes of length 1."""
    x, listed = node.first(), node.integers(1, "axes")
    if x.shape is None or listed is None:
        return collapse_bounds(x)
    rank = len(x.shape) + len(listed)
    new = sorted(axis % rank for axis in listed)
    if len(set(new)) != len(new):
        return collapse_bounds(x)
    sizes = list(x.shape)
    for axis in new:
        sizes.insert(axis, 1)
    ends = [np.expand_dims(end, tuple(new)) if end.ndim else end for end in _ends(x)]
    return replace(x, low=ends[0], high=ends[1], shape=tuple(sizes))


def expand(node: BoundedNode) -> Bounds:
    """Repeated along axes of length 1."""
    x, target = node.first(), node.constant(1)
    if target is None:
        return collapse_bounds(x)
    sizes = tuple(int(size) for size in target.reshape(-1))
    shape = broadcast_shape(x, bounds_of_type("", sizes))
    return collapse_bounds(x) if shape is None else replace(x, shape=shape)


def tile(node: BoundedNode) -> Bounds:
    """Repeated along any axes."""
    x, target = node.first(), node.constant(1)
    if x.shape is None or target is None or target.size != len(x.shape):
        return collapse_bounds(x, None if x.shape is None else (None,) * len(x.shape))
    times = [int(count) for count in target.reshape(-1)]
    shape = tuple(None if s is None else s * n for s, n in zip(x.shape, times, strict=True))
    return replace(reduce_axes(x, [axis for axis, n in enumerate(times) if n != 1]), shape=shape)


def cut(node: BoundedNode) -> Bounds:
    """Slices; ends stay known along axes that are cut forward at known places."""
    x = node.first()
    names = ("starts", "ends", "axes", "steps")
    starts, ends, axes, steps = (
        node.integers(place, name) for place, name in enumerate(names, start=1)
    )
    hidden = any(
        found is None and node.has_input(place)
        for place, found in enumerate((starts, ends, axes, steps), start=1)
    )
    if not x.shape or starts is None or ends is None or hidden:
        return collapse_bounds(x, None if x.shape is None else (None,) * len(x.shape))
    rank = len(x.shape)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    if not len(starts) == len(ends) == len(axes) == len(steps):
        return collapse_bounds(x)
    for first, last, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = _slice_ends(x, axis % rank, slice(first, last, step))
    return x


def _slice_ends(x: Bounds, axis: int, part: slice) -> Bounds:
    sizes = list(x.shape or ())
    size = sizes[axis]
    if size is None or part.step < 1:
        sizes[axis] = None
        return replace(reduce_axes(x, [axis]), shape=tuple(sizes))
    sizes[axis] = len(range(*part.indices(size)))
    if not x.low.ndim or x.low.shape[axis] == 1:
        return replace(x, shape=tuple(sizes))
    place = (slice(None),) * axis + (part,)
    return replace(x, low=x.low[place], high=x.high[place], shape=tuple(sizes))


def gather(node: BoundedNode) -> Bounds:
    """Entries along an axis at places; which ones is known where the places are."""
    x, places = node.first(), node.input(1)
    rank = 0 if x.shape is None else len(x.shape)
    axis = node.axis(0, rank)
    if x.shape is None or places.shape is None or axis is None:
        return collapse_bounds(x)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    index, size = node.constant(1), x.shape[axis]
    if not x.low.ndim:
        return replace(x, shape=shape)
    chosen = index is not None and size is not None and x.low.shape[axis] == size
    if index is None or size is None or not chosen or not _inside(index, size):
        index, x = np.zeros((1,) * len(places.shape), dtype=np.int64), reduce_axes(x, [axis])
    if x.low.size * index.size > LARGEST * 4:
        return collapse_bounds(x, shape)
    low, high = (np.take(end, index, axis=axis) for end in _ends(x))
    return replace(x, low=low, high=high, shape=shape)


def _inside(index: AnyArray, size: int) -> bool:
    return bool((index >= -size).all() and (index < size).all())


def split(node: BoundedNode) -> Bounds:
    """Pieces along an axis, each of them anywhere on it."""
    x = node.first()
    axis = None if x.shape is None else node.axis(0, len(x.shape))
    if x.shape is None or axis is None:
        return collapse_bounds(x)
    return replace(reduce_axes(x, [axis]), shape=(*x.shape[:axis], None, *x.shape[axis + 1 :]))


def concat(node: BoundedNode) -> Bounds:
    """Inputs one after another."""
    parts = [node.input(place) for place in range(len(node.inputs))]
    ranks = {None if part.shape is None else len(part.shape) for part in parts}
    rank = ranks.pop() if len(ranks) == 1 else None
    axis = None if rank is None else node.axis(1, rank)
    if rank is None or axis is None:
        return reduce(union, [collapse_bounds(part) for part in parts])
    whole = reduce(union, [_flat_along(part, axis) for part in parts])
    if whole.shape is None:
        return whole
    sizes = [(part.shape or ())[axis] for part in parts]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        return replace(whole, shape=_with(whole.shape, axis, None))
    whole = replace(whole, shape=_with(whole.shape, axis, sum(known)))
    if sum(known) > LARGEST:
        return whole
    return _stack_ends(whole, parts, known, axis)


def _with(shape: Extents, axis: int, size: int | None) -> Extents:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _flat_along(x: Bounds, axis: int) -> Bounds:
    """One interval along an axis, as if its extent were 1."""
    return replace(reduce_axes(x, [axis]), shape=_with(x.shape or (), axis, 1))


def _stack_ends(whole: Bounds, parts: list[Bounds], sizes: list[int], axis: int) -> Bounds:
    """Ends of the parts side by side; `whole` is known of all of them together."""
    ends = [
        end.reshape(end.shape or (1,) * len(whole.shape or ())) for p in parts for end in _ends(p)
    ]
    common = np.broadcast_shapes(*(_positive(_with(end.shape, axis, 1)) for end in ends))
    if prod(common) * max(1, sum(sizes)) > LARGEST:
        others = tuple(place for place in range(len(common)) if place != axis)
        return _stack_ends(whole, [reduce_axes(part, others) for part in parts], sizes, axis)
    low, high = (
        np.concatenate(
            [
                np.broadcast_to(end, _positive(_with(common, axis, size)))
                for end, size in zip(ends[first::2], sizes, strict=True)
            ],
            axis=axis,
        )
        for first in (0, 1)
    )
    return replace(whole, low=low, high=high)


def _positive(shape: Extents) -> tuple[int, ...]:
    return tuple(size or 0 for size in shape)


def pad(node: BoundedNode) -> Bounds:
    """A border of a constant, or of entries that are there."""
    x, mode = node.first(), node.attributes.get("mode", "constant")
    pads = node.integers(1, "pads")
    rank = 0 if x.shape is None else len(x.shape)
    if x.shape is None or pads is None or len(pads) != 2 * rank or node.has_input(3):
        kept = collapse_bounds(x, None if x.shape is None else (None,) * rank)
    else:
        before, after = pads[:rank], pads[rank:]
        sums = [
            None if s is None else s + a + b for s, a, b in zip(x.shape, before, after, strict=True)
        ]
        changed = [axis for axis in range(rank) if before[axis] or after[axis]]
        kept = replace(reduce_axes(x, changed), shape=tuple(sums))
    if mode != "constant":
        return kept
    value = node.number(2, node.attribute("value", 0.0))
    if value is None:
        return bounds_of_type(x.dtype, kept.shape)
    return replace(kept, low=np.minimum(kept.low, value), high=np.maximum(kept.high, value))


def resize(node: BoundedNode) -> Bounds:
    """Nearest entries, or means of neighbours; cubic curves overshoot."""
    x = node.first()
    rank = 0 if x.shape is None else len(x.shape)
    mode = node.attributes.get("mode", "nearest")
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        return bounds_of_type(x.dtype)
    kept = collapse_bounds(x, (None,) * rank if rank else None)
    if x.shape is not None and rank > 2 and _keeps_channels(node):
        spatial = (None,) * (rank - 2)
        kept = replace(reduce_axes(x, range(2, rank)), shape=(*x.shape[:2], *spatial))
    if mode == "nearest":
        return kept
    if mode not in ("linear", "bilinear") or not x.is_float:
        return bounds_of_type(x.dtype, kept.shape)
    size = np.maximum(np.abs(kept.low), np.abs(kept.high))
    found = widen_bounds(replace(kept, nan=x.nan or not x.finite), 0.0, _LINEAR * size)
    return replace(found, low=np.maximum(found.low, 0.0)) if (kept.low >= 0).all() else found


def _keeps_channels(node: BoundedNode) -> bool:
    """Whether only spatial axes are resized, by factors."""
    if "axes" in node.attributes:
        return False
    factors = node.attributes.get("scales")
    if not isinstance(factors, list):
        array = node.constant(1 if node.kind == "Upsample" else 2)
        factors = [] if array is None else array.reshape(-1).tolist()
    return len(factors) > 2 and list(factors[:2]) == [1, 1]


def fill_constant(node: BoundedNode) -> Bounds:
    """One number everywhere."""
    value, target = node.attributes.get("value", _ZERO), node.constant(0)
    if value is None:
        return bounds_of_type()
    shape = None if target is None else tuple(int(size) for size in target.reshape(-1))
    return collapse_bounds(from_array(value.reshape(-1)), shape)


RULES: dict[str, Callable[[BoundedNode], Bounds]] = {
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Expand": expand,
    "Tile": tile,
    "Slice": cut,
    "Gather": gather,
    "Split": split,
    "Reshape": reshape,
    "Flatten": flatten_axes,
    "Transpose": transpose,
    "Concat": concat,
    "Pad": pad,
    "Resize": resize,
    "Upsample": resize,
    "ConstantOfShape": fill_constant,
}
