"""Integer products by floating-point BLAS, only where a bound proves them exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from xbarc.numerics.types import AnyArray, Int64Array

# Integers up to these are exact: significands of 24 and 53 bits (IEEE 754).
FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53  # as above


def exact_matmul(left: AnyArray, right: AnyArray, bound: int) -> Int64Array:
    """Multiply integer matrices exactly; axes as in `numpy.matmul`.

    Args:
        left: whole numbers of any type.
        right: whole numbers of any type.
        bound: at least the largest sum of magnitudes, `max sum |left||right|`, over all results.
            numpy has no integer BLAS, so a proven bound below 2**24 (2**53) picks a float32
            (float64) product, which is then exact; anything larger runs in int64.

    Raises:
        ValueError: the bound says that int64 could overflow.
    """
    dtype = exact_type(bound)
    product = np.matmul(left.astype(dtype, copy=False), right.astype(dtype, copy=False))
    exact: Int64Array = product.astype(np.int64, copy=False)
    return exact


def exact_type(bound: int) -> type[np.number[Any]]:
    """The type in which `exact_matmul` multiplies.

    Raises:
        ValueError: the bound says that int64 could overflow.
    """
    if bound >= 1 << 63:
        raise ValueError(f"sums up to {bound} do not fit 64 bits")
    # Partial sums of either sign stay within the bound, so every addition is exact in any order, on
    # any number of threads.
    if bound < FLOAT32_EXACT:
        return np.float32
    return np.float64 if bound < FLOAT64_EXACT else np.int64
