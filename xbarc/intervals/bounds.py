"""`Bounds`: least and largest entries of a tensor, by axis where that is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.numerics.types import AnyArray, Float64Array

Extents = tuple[int | None, ...]
_EXACT = float(1 << 53)
_TINY = 2.0**-120
_HALF = ("float16", "bfloat16")


@dataclass(frozen=True, eq=False)
class Bounds:
    """An interval for every entry of a tensor.

    Attributes:
        low: least entries: a single number for the whole tensor, or an axis for each of the
            tensor's, of length 1 or of its extent.
        high: largest entries, alike.
        dtype: numpy name of the element type; empty where it is not known.
        shape: extents, None where one is not known; None where even the rank is not.
        nan: whether an entry may be no number.
        reasons: what made the interval narrower than the type, for people.
    """

    low: Float64Array
    high: Float64Array
    dtype: str = ""
    shape: Extents | None = None
    nan: bool = False
    reasons: tuple[str, ...] = ()

    @property
    def finite(self) -> bool:
        """Whether no entry can be infinite."""
        return bool(np.isfinite(self.low).all() and np.isfinite(self.high).all())

    @property
    def is_float(self) -> bool:
        """Whether the element type is known to be one of float32 or float64."""
        return self.dtype in ("float32", "float64")


def anything(dtype: str = "", shape: Extents | None = None) -> Bounds:
    """What a tensor of this type can hold."""
    low, high = -np.inf, np.inf
    if dtype == "bool":
        low, high = 0.0, 1.0
    elif dtype.startswith(("int", "uint")) and dtype.lstrip("uint").isdecimal():
        info = np.iinfo(dtype)
        if info.bits <= 32:
            low, high = float(info.min), float(info.max)
    whole = dtype.startswith(("int", "uint", "bool"))
    return Bounds(np.array(low), np.array(high), dtype, shape, nan=not whole)


of_type = anything


def from_array(array: AnyArray) -> Bounds:
    """A constant: one interval for all of its entries where there are many."""
    dtype, shape = str(array.dtype), tuple(array.shape)
    if array.dtype.kind not in "fiub" or not array.size:
        return anything(dtype, shape)
    values = array.astype(np.float64)
    if array.size > 1 << 20:
        low, high = np.array(values.min()), np.array(values.max())
    else:
        low = high = values
    return checked(Bounds(low, high, dtype, shape))


def checked(bounds: Bounds) -> Bounds:
    """The same, with ends that are no numbers or integers beyond float64 opened up."""
    low, high = bounds.low, bounds.high
    nan = bounds.nan or bool(np.isnan(low).any() or np.isnan(high).any())
    low = np.where(np.isnan(low), -np.inf, low)
    high = np.where(np.isnan(high), np.inf, high)
    if not bounds.dtype.startswith("float"):
        low = np.where(np.abs(low) >= _EXACT, -np.inf, low)
        high = np.where(np.abs(high) >= _EXACT, np.inf, high)
    return replace(bounds, low=low, high=high, nan=nan)


def widened(bounds: Bounds, share: float, amount: AnyArray | float = 0.0) -> Bounds:
    """Ends moved outward by a share of themselves and by an amount; 0 stays 0 under a share.

    Ends so small that they may round to 0 or to the least number there is go beyond it.
    """
    extra_low, extra_high = np.abs(bounds.low) * share, np.abs(bounds.high) * share
    low, high = bounds.low - _TINY * (bounds.low < 0), bounds.high + _TINY * (bounds.high > 0)
    low = np.where((low > 0) & (low < _TINY), 0.0, low)
    high = np.where((high < 0) & (high > -_TINY), 0.0, high)
    with np.errstate(invalid="ignore"):  # inf - inf
        low, high = low - extra_low - amount, high + extra_high + amount
    low = np.where(np.isinf(bounds.low), bounds.low, low)
    high = np.where(np.isinf(bounds.high), bounds.high, high)
    return checked(replace(bounds, low=np.asarray(low), high=np.asarray(high)))


def collapsed(bounds: Bounds, shape: Extents | None = None) -> Bounds:
    """One interval for all entries, for a tensor of another shape."""
    if not bounds.low.size:
        return anything(bounds.dtype, shape)
    low, high = np.array(bounds.low.min()), np.array(bounds.high.max())
    return replace(bounds, low=low, high=high, shape=shape)


def union(first: Bounds, second: Bounds) -> Bounds:
    """What either can hold, for shapes that broadcast as they are."""
    low = np.minimum(first.low, second.low)
    high = np.maximum(first.high, second.high)
    reasons = merged(first.reasons, second.reasons)
    return replace(first, low=low, high=high, nan=first.nan or second.nan, reasons=reasons)


def merged(*reasons: tuple[str, ...]) -> tuple[str, ...]:
    """Reasons in order, without repeats."""
    return tuple(dict.fromkeys(reason for part in reasons for reason in part))


def limited(
    bounds: Bounds, low: Float64Array | float, high: Float64Array | float, reason: str
) -> Bounds:
    """Entries cut off at a lower and an upper end; the reason counts where that does something."""
    new_low = np.clip(bounds.low, low, high)
    new_high = np.clip(bounds.high, low, high)
    cuts = bool((new_low > bounds.low).any() or (new_high < bounds.high).any())
    reasons = merged((reason,), bounds.reasons) if cuts else bounds.reasons
    return replace(bounds, low=new_low, high=new_high, reasons=reasons)


def broadcast_shape(first: Bounds, second: Bounds) -> Extents | None:
    """Extents of a result of two tensors; None where a rank is not known."""
    if first.shape is None or second.shape is None:
        return None
    rank = max(len(first.shape), len(second.shape))
    pairs = zip(_padded(first.shape, rank), _padded(second.shape, rank), strict=True)
    return tuple(_extent(a, b) for a, b in pairs)


def _padded(shape: Extents, rank: int) -> Extents:
    return (1,) * (rank - len(shape)) + shape


def _extent(first: int | None, second: int | None) -> int | None:
    known = [size for size in (first, second) if size not in (1, None)]
    if known:
        return known[0]
    return 1 if first == second == 1 else None


def aligned(first: Bounds, second: Bounds) -> tuple[Bounds, Bounds, Extents | None]:
    """Both in a form whose ends broadcast as the tensors do, and the result's extents."""
    shape = broadcast_shape(first, second)
    if shape is None:
        return collapsed(first), collapsed(second), None
    try:
        np.broadcast_shapes(first.low.shape, second.low.shape)
    except ValueError:
        return collapsed(first), collapsed(second), None
    return first, second, shape


def is_half(bounds: Bounds) -> bool:
    """Whether entries round more coarsely than float32, or nobody knows."""
    return bounds.dtype in _HALF or not bounds.dtype
