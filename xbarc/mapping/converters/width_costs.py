"""A cost for every width of a converter: what converter savings lower.

The logic of a SAR converter grows with its bits, its capacitors and their matching with its levels.
Which of the two counts is the chip's matter, so the cost of a conversion is a value here: by the
target's own figures, by one law, or by both with a weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost import adc_energy_pj
from xbarc.numerics import Int64Array, IntArray
from xbarc.target import Target

BOTH = 12
"""Levels that a bit counts in `both`: both laws give about the same cost near 6 bits."""
# Widths that have a cost. Sums of 2**15 rows, cells of 8 bits and inputs of 16 have 39 bits.
WIDEST = 48
# A cost is cut here so that 4096 columns of the dearest stay within int64.
_LARGEST = 2.0**50
# fJ in a pJ: costs are whole numbers, and converters of few bits take less than a pJ.
_FEMTO = 1000


@dataclass(frozen=True)
class WidthCosts:
    """A cost for every width.

    Attributes:
        unit: what a cost counts.
        cost: of a conversion with 0, 1, ... bits; never falls.
    """

    unit: str
    cost: tuple[int, ...]

    def of_bits(self, bits: IntArray) -> Int64Array:
        """Cost of conversions of these widths."""
        table = np.array(self.cost, dtype=np.int64)
        found: Int64Array = table[np.asarray(bits)]
        return found

    def of_sums(self, sums: IntArray) -> Int64Array:
        """Cost of lossless conversions of columns with these largest sums."""
        return self.of_bits(np.frexp(np.asarray(sums, dtype=np.float64))[1])


def by_levels(a_bit: int = 0) -> WidthCosts:
    """Levels, and for every bit so many more."""
    costs = [a_bit * bits + (2.0**bits if bits else 0.0) for bits in range(WIDEST)]
    return _table(f"levels + {a_bit} a bit" if a_bit else "levels", costs)


def costs_by_law(name: str, target: Target) -> WidthCosts:
    """The costs behind a name.

    Args:
        name: as `parse_conversion_cost` takes it.
        target: its converter's energy is the law `target`; `both` where it has none.
    """
    if name == "target":
        energy = [_FEMTO * adc_energy_pj(bits, target.costs.adc) for bits in range(WIDEST)]
        if energy[-1] > 0:
            return _table("fJ", energy)
        name = "both"
    if name == "bits":
        return _table("bits", list(range(WIDEST)))
    return by_levels(BOTH if name == "both" else 0 if name == "levels" else int(name))


def _table(unit: str, costs: list[float] | list[int]) -> WidthCosts:
    whole = np.rint(np.minimum(np.array(costs, dtype=np.float64), _LARGEST)).astype(np.int64)
    return WidthCosts(unit, tuple(np.maximum.accumulate(whole).tolist()))


LEVELS = by_levels()
BOTH_LAWS = by_levels(BOTH)
