"""Arrays as bytes that a browser reads: safetensors files, deflated where they travel as text."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping

import numpy as np
from safetensors.numpy import save

from xbarc.numerics import AnyArray

_TYPES = ("u1", "i1", "<u2", "<i2", "<u4", "<i4")


def tensor_bytes(arrays: Mapping[str, AnyArray], facts: Mapping[str, str] | None = None) -> bytes:
    """A safetensors file of these arrays, integers as narrow as their values allow.

    Args:
        arrays: by name.
        facts: text that goes with them.
    """
    held = {name: np.ascontiguousarray(_narrow(array)) for name, array in arrays.items()}
    # With empty metadata the library writes a header that is no JSON.
    return save(held, dict(facts) if facts else None)


def as_text(data: bytes) -> str:
    """Bytes as the page holds them: zlib, then base64."""
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def _narrow(values: AnyArray) -> AnyArray:
    if values.dtype.kind not in "iu":
        return values
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    for name in _TYPES:
        ends = np.iinfo(name)
        if ends.min <= low and high <= ends.max:
            return values.astype(name)
    return values.astype(np.int64)


def join_equal(values: AnyArray) -> AnyArray:
    """An array whose axes have length 1 where all along them is equal."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis) if values.shape[axis] else values
        if values.shape[axis] > 1 and np.array_equal(np.broadcast_to(first, values.shape), values):
            values = first
    return values
