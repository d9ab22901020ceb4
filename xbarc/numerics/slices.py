"""Bit slices of weights and of inputs. Index 0 is the least significant slice."""

from __future__ import annotations

import numpy as np

from xbarc.errors import say_count
from xbarc.numerics.types import Int64Array, IntArray, UInt8Array


def slice_count(bits: int, slice_bits: int) -> int:
    """How many slices of `slice_bits` bits a number of `bits` bits needs."""
    if bits < 1 or slice_bits < 1:
        raise ValueError(f"slice_count takes positive widths, not {bits} and {slice_bits}")
    return -(-bits // slice_bits)


def slice_weights(weights: IntArray, cell_bits: int, slices: int) -> UInt8Array:
    """Split non-negative weights into bit slices; axes: slice, then those of `weights`.

    Raises:
        ValueError: a weight is negative, does not fit, or a cell has more than 8 bits.
    """
    _check_fit(weights, cell_bits, slices, "weights")
    # Filled slice by slice: stacking would hold every slice twice, and as 64-bit numbers.
    out = np.empty((slices, *weights.shape), dtype=np.uint8)
    mask = (1 << cell_bits) - 1
    for index in range(slices):
        out[index] = (weights >> (cell_bits * index)) & mask
    return out


def slice_inputs(values: IntArray, dac_bits: int, slices: int) -> IntArray:
    """Split non-negative inputs into the slices a DAC feeds; axes: slice, then those of `values`.

    Raises:
        ValueError: an input is negative or does not fit.
    """
    _check_fit(values, dac_bits, slices, "inputs")
    mask = (1 << dac_bits) - 1
    shifted: IntArray = np.stack([(values >> (dac_bits * s)) & mask for s in range(slices)])
    return shifted


def shift_add(parts: IntArray, slice_bits: int) -> Int64Array:
    """Join slices, first axis: the inverse of both functions above."""
    total = np.zeros(parts.shape[1:], dtype=np.int64)
    for index in range(parts.shape[0]):
        total += parts[index].astype(np.int64) << (slice_bits * index)
    return total


def _check_fit(values: IntArray, slice_bits: int, slices: int, what: str) -> None:
    if not 1 <= slice_bits <= 16 or slices < 1 or (what == "weights" and slice_bits > 8):
        raise ValueError(
            f"cannot cut {what} into {slices} slices of {say_count(slice_bits, 'bit')}"
        )
    if not values.size:
        return
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >> (slice_bits * slices):
        raise ValueError(
            f"{what} from {low} to {high} do not fit {slices} slices of"
            f" {say_count(slice_bits, 'bit')}"
        )
