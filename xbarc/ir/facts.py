"""`InputFacts`: which codes a layer's wordlines can carry, whatever the network's input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.numerics import Int64Array, IntArray

WEIGHTS = "weights and their inputs"
"""The reason of a fact that follows from what the cells of an earlier layer hold."""


@dataclass(frozen=True, eq=False)
class InputFacts:
    """An interval of codes for each input of a layer.

    Attributes:
        low: least code; axes: group or 1, input.
        high: largest code; axes as `low`.
        reasons: which operators of the network the intervals come from, for people.
        plain_bits: mean bits of a conversion if nothing were known, for people.
        plain_levels: mean of `2**bits`, in the same way.
    """

    low: IntArray
    high: IntArray
    reasons: tuple[str, ...] = ()
    plain_bits: float | None = None
    plain_levels: float | None = None

    def known(self, top: int) -> int:
        """Count inputs that cannot carry every code from 0 to `top`."""
        return int(((self.low > 0) | (self.high < top)).any(axis=0).sum())

    def contains(self, other: InputFacts) -> bool:
        """Whether each interval holds the other's."""
        inside = (self.low <= other.low) & (self.high >= other.high)
        return bool(inside.all())


@dataclass(frozen=True)
class Narrowed:
    """Input bits that a layer does without, for people.

    Attributes:
        bits: of a code as the model or the options have it.
        reasons: which operators leave codes unused.
    """

    bits: int
    reasons: tuple[str, ...] = ()


def slice_drives(facts: InputFacts, dac_bits: int, slices: int) -> tuple[Int64Array, Int64Array]:
    """Least and largest input slice of each code's interval; axes: group, input, slice."""
    shifts = dac_bits * np.arange(slices, dtype=np.int64)
    first = facts.low.astype(np.int64)[:, :, None] >> shifts
    last = facts.high.astype(np.int64)[:, :, None] >> shifts
    top = np.int64((1 << dac_bits) - 1)
    low, high = first & top, last & top
    # An interval that crosses a carry of the slice passes through all of its values.
    whole = (last - first > top) | (low > high)
    return np.where(whole, 0, low), np.where(whole, top, high)
