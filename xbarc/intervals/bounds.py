"""`Bounds`: least and largest entries of a tensor, by axis where that is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from xbarc.numerics import AnyArray, Float64Array

Extents = tuple[int | None, ...]
LARGEST = 1 << 20
"""Ends that bounds hold at most: 16 MB, more than any feature map of models/ has entries."""

_EXACT = float(1 << 53)
# Below, sizes come near the subnormal numbers of float32 (2^-126), where a relative error no longer
# bounds what rounding or flushing to zero does.
_TINY = 2.0**-120
_HALF = ("float16", "bfloat16")


@dataclass(frozen=True, eq=False)
class Bounds:
    """An interval for every entry of a tensor.

    Whatever the arguments are, the ends of the result are a single number, or have an axis for each
    axis of the tensor, of length 1 or of that axis's extent. Ends of fewer axes than the tensor has
    are aligned with its last axes, as NumPy and ONNX broadcast. Ends that do not fit the tensor,
    or a tensor of unknown rank, become one interval for all entries.

    Attributes:
        low: least entries.
        high: largest entries, of the same shape as `low`.
        dtype: numpy name of the element type; empty where it is not known.
        shape: extents, None where one is not known; None where even the rank is not.
        nan: whether an entry may be NaN.
        reasons: which operators made the interval narrower than the type, for people.
    """

    low: Float64Array
    high: Float64Array
    dtype: str = ""
    shape: Extents | None = None
    nan: bool = False
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Bring the ends into their form."""
        low, high = (np.asarray(end, dtype=np.float64) for end in (self.low, self.high))
        unknown = bool(np.isnan(low).any() or np.isnan(high).any())
        low, high = _open_unknown(low, -np.inf, self.dtype), _open_unknown(high, np.inf, self.dtype)
        low, high = np.broadcast_arrays(low, high)
        low, high = _full_rank(low, high, self.shape)
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)
        object.__setattr__(self, "nan", bool(self.nan) or (unknown and not self.is_whole))

    @property
    def finite(self) -> bool:
        """Whether no entry can be infinite."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def is_float(self) -> bool:
        """Whether the element type is known to be one of float32 or float64."""
        return self.dtype in ("float32", "float64")

    @property
    def is_half(self) -> bool:
        """Whether entries are floats that round more coarsely than float32."""
        return self.dtype in _HALF

    @property
    def is_whole(self) -> bool:
        """Whether the element type is known to be an integer or a boolean."""
        return self.dtype.startswith(("int", "uint", "bool"))


def _open_unknown(ends: Float64Array, outward: float, dtype: str) -> Float64Array:
    """Ends that are NaN, or integers beyond float64, are not known."""
    unknown = np.isnan(ends)
    if not dtype.startswith("float"):
        unknown = unknown | (np.abs(ends) >= _EXACT)
    return np.where(unknown, outward, ends)


def _full_rank(
    low: Float64Array, high: Float64Array, shape: Extents | None
) -> tuple[Float64Array, Float64Array]:
    """Ends in the form that `Bounds` promises."""
    if not low.size:  # a tensor without entries
        return np.array(-np.inf), np.array(np.inf)
    if low.size == 1:
        return low.reshape(()), high.reshape(())
    if shape is None or low.ndim > len(shape):
        return low.min(), high.max()
    full = (1,) * (len(shape) - low.ndim) + low.shape
    if any(have not in (1, want) for have, want in zip(full, shape, strict=True)):
        return low.min(), high.max()
    axes = _long_axes(full)
    low, high = low.reshape(full), high.reshape(full)
    return low.min(axis=axes, keepdims=True), high.max(axis=axes, keepdims=True)


def _long_axes(shape: Iterable[int]) -> tuple[int, ...]:
    """The longest axes, as many as have to go to leave at most `LARGEST` ends."""
    left = list(shape)
    gone: list[int] = []
    while prod(left) > LARGEST:
        longest = max(range(len(left)), key=left.__getitem__)
        left[longest] = 1
        gone.append(longest)
    return tuple(gone)


def bounds_of_type(dtype: str = "", shape: Extents | None = None) -> Bounds:
    """What a tensor of this type can hold."""
    low, high = -np.inf, np.inf
    if dtype == "bool":
        low, high = 0.0, 1.0
    elif dtype.startswith(("int", "uint")) and dtype.lstrip("uint").isdecimal():
        info = np.iinfo(dtype)
        low, high = float(info.min), float(info.max)
    found = Bounds(np.array(low), np.array(high), dtype, shape)
    return found if found.is_whole else replace(found, nan=True)


def from_array(array: AnyArray) -> Bounds:
    """A constant: an interval for each entry, coarser where there are many."""
    dtype, shape = str(array.dtype), tuple(array.shape)
    if array.dtype.kind not in "fiub" or not array.size:
        return bounds_of_type(dtype, shape)
    axes = _long_axes(shape)
    low, high = array, array
    if axes:
        low, high = array.min(axis=axes, keepdims=True), array.max(axis=axes, keepdims=True)
    return Bounds(low.astype(np.float64), high.astype(np.float64), dtype, shape)


def along(bounds: Bounds, axis: int, low: AnyArray, high: AnyArray) -> Bounds:
    """The same tensor with ends along one of its axes; axis of `low` and `high`: that one."""
    if bounds.shape is None:
        return replace(bounds, low=low.min(), high=high.max())
    full = [1] * len(bounds.shape)
    full[axis] = low.size
    return replace(bounds, low=low.reshape(full), high=high.reshape(full))


def widen_bounds(bounds: Bounds, share: float, amount: AnyArray | float = 0.0) -> Bounds:
    """Ends moved outward by a share of themselves and by an amount; 0 stays 0 under a share.

    Ends so small that they may round to 0 or to the least number there is go beyond it; ends
    beyond the element type become infinite.
    """
    extra_low, extra_high = np.abs(bounds.low) * share, np.abs(bounds.high) * share
    low, high = bounds.low - _TINY * (bounds.low < 0), bounds.high + _TINY * (bounds.high > 0)
    low = np.where((low > 0) & (low < _TINY), 0.0, low)
    high = np.where((high < 0) & (high > -_TINY), 0.0, high)
    with np.errstate(invalid="ignore"):  # inf - inf
        low, high = low - extra_low - amount, high + extra_high + amount
    low = np.where(np.isinf(bounds.low), bounds.low, low)
    high = np.where(np.isinf(bounds.high), bounds.high, high)
    return _held(replace(bounds, low=low, high=high))


def _held(x: Bounds) -> Bounds:
    """A result beyond the element type is infinite, or stays the largest number that it has."""
    if not x.dtype.startswith("float"):
        return x
    largest = float(np.finfo(x.dtype).max)
    low, high = np.minimum(x.low, largest), np.maximum(x.high, -largest)
    low, high = np.where(low < -largest, -np.inf, low), np.where(high > largest, np.inf, high)
    return replace(x, low=low, high=high)


def sign_only(bounds: Bounds) -> Bounds:
    """Ends that say no more than on which side of 0 the entries lie."""
    low = np.where(bounds.low >= 0, 0.0, -np.inf)
    high = np.where(bounds.high <= 0, 0.0, np.inf)
    return replace(bounds, low=low, high=high)


def collapse_bounds(bounds: Bounds, shape: Extents | None = None) -> Bounds:
    """One interval for all entries, for a tensor of another shape."""
    return replace(bounds, low=bounds.low.min(), high=bounds.high.max(), shape=shape)


def reduce_axes(bounds: Bounds, axes: Iterable[int]) -> Bounds:
    """One interval for all entries along some axes."""
    if not bounds.low.ndim:
        return bounds
    gone = tuple(axes)
    low = bounds.low.min(axis=gone, keepdims=True)
    return replace(bounds, low=low, high=bounds.high.max(axis=gone, keepdims=True))


def union(first: Bounds, second: Bounds) -> Bounds:
    """What either can hold, for tensors that broadcast as they are."""
    (a, b), shape = align_bounds(first, second)
    low, high = np.minimum(a.low, b.low), np.maximum(a.high, b.high)
    reasons = merge_reasons(first.reasons, second.reasons)
    dtype = first.dtype or second.dtype
    return Bounds(low, high, dtype, shape, first.nan or second.nan, reasons)


def merge_reasons(*reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons in order, without repeats."""
    return tuple(dict.fromkeys(reason for part in reasons for reason in part))


def limit_bounds(bounds: Bounds, low: float, high: float, reason: str) -> Bounds:
    """Entries cut off at a lower and an upper end; the reason counts where that does something."""
    new_low = np.minimum(np.maximum(bounds.low, low), high)
    new_high = np.minimum(np.maximum(bounds.high, low), high)
    if bounds.nan:  # old kernels make an end of NaN
        new_low = np.minimum(new_low, low if np.isfinite(low) else new_low)
        new_high = np.maximum(new_high, high if np.isfinite(high) else new_high)
    cuts = bool((new_low > bounds.low).any() or (new_high < bounds.high).any())
    reasons = merge_reasons((reason,), bounds.reasons) if cuts else bounds.reasons
    return replace(bounds, low=new_low, high=new_high, reasons=reasons)


def broadcast_shape(*parts: Bounds) -> Extents | None:
    """Extents of a result of several tensors; None where a rank is not known or they misfit."""
    shapes = [part.shape for part in parts if part.shape is not None]
    if len(shapes) != len(parts):
        return None
    rank = max(len(shape) for shape in shapes)
    columns = zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True)
    extents = [_extent(column) for column in columns]
    return None if -1 in extents else tuple(extents)


def _extent(sizes: tuple[int | None, ...]) -> int | None:
    """Extent of a broadcast axis; -1 where the sizes do not broadcast."""
    known = {size for size in sizes if size not in (1, None)}
    if len(known) > 1:
        return -1
    if known:
        return known.pop()
    return None if None in sizes else 1


def align_bounds(*parts: Bounds) -> tuple[list[Bounds], Extents | None]:
    """Bounds whose ends broadcast as their tensors do, and the extents of the result."""
    shape = broadcast_shape(*parts)
    if shape is None:
        return [collapse_bounds(part) for part in parts], None
    ends = np.broadcast_shapes(*(part.low.shape for part in parts))
    long = {axis - len(ends) for axis in _long_axes(ends)}
    return [_reduce_from_last(part, long) for part in parts], shape


def _reduce_from_last(bounds: Bounds, axes: set[int]) -> Bounds:
    """Reduced along axes that count from the last one, as far as the tensor has them."""
    return reduce_axes(bounds, [axis for axis in axes if -axis <= bounds.low.ndim])
