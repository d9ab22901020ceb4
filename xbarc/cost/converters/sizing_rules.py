"""What a layer's converters cost by several rules for their width, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost.converters.adc_models import adc_energy_pj
from xbarc.cost.converters.dub_rule import block_bits
from xbarc.cost.counts import WIDTHS, Histogram
from xbarc.cost.step_counts import reading_widths
from xbarc.ir import CrossbarStep, cell_ranges, input_tops
from xbarc.numerics import Int64Array
from xbarc.target import AdcCosts

RULES = ("as set", "from cells", "D.U.B.", "worst case")


@dataclass(frozen=True)
class Widths:
    """Readings of one input vector by width, under one rule.

    What reads with 0 bits is no conversion; it counts here, so that rules compare over the same
    readings.

    Attributes:
        rule: `as set`: the program's; `from cells`: lossless, each column its own; `D.U.B.`: the
            densest column of a block, in powers of two; `worst case`: every cell at its top level.
    """

    rule: str
    histogram: Histogram

    @property
    def readings(self) -> float:
        """Readings of any width, those of 0 bits included."""
        return sum(self.histogram)

    @property
    def bits(self) -> float:
        """Energy by the law that grows with bits: their sum."""
        return sum(bits * count for bits, count in enumerate(self.histogram))

    @property
    def levels(self) -> float:
        """Energy by the law that grows with levels: the sum of `2**bits`, nothing for 0 bits."""
        return sum(2.0**bits * count for bits, count in enumerate(self.histogram) if bits)

    def energy_pj(self, costs: AdcCosts) -> float:
        """Energy by the target's converter, whatever its largest width."""
        return sum(adc_energy_pj(bits, costs) * n for bits, n in enumerate(self.histogram) if n)


def converter_widths(step: CrossbarStep) -> tuple[Widths, ...]:
    """The widths of a layer by every rule, in the order of `RULES`."""
    repeats = step.input_slices
    found = (_from_cells(step), _dub(step), _worst_case(step))
    histograms = (tuple(int(n) * repeats for n in counts) for counts in found)
    named = zip(RULES[1:], histograms, strict=True)
    return (Widths(RULES[0], reading_widths(step)), *(Widths(*pair) for pair in named))


def _count(bits: Int64Array, weights: Int64Array | None = None) -> Int64Array:
    # Rules of thumb ask for more than 16 bits on tall arrays of wide cells; they are counted with
    # the widest there are.
    clipped = np.minimum(bits.reshape(-1), WIDTHS - 1)
    return np.bincount(clipped, weights, minlength=WIDTHS).astype(np.int64)


def _from_cells(step: CrossbarStep) -> Int64Array:
    low, high = cell_ranges(step)
    # By the widest slice: a rule that sizes hardware once cannot know which slice comes.
    span = (high - low) * int(input_tops(step).max(initial=0))
    return _count(np.frexp(span.astype(np.float64))[1].astype(np.int64))


def _dub(step: CrossbarStep) -> Int64Array:
    bits = block_bits(step)
    each = np.diff(step.tiling.conversion_bounds).astype(np.int64)
    return _count(bits, np.broadcast_to(each, bits.shape).reshape(-1))


def _worst_case(step: CrossbarStep) -> Int64Array:
    rows = np.diff(step.tiling.segment_bounds).astype(np.int64)
    top = int(input_tops(step).max(initial=0)) * ((1 << step.cells.bits) - 1)
    signed = 2 if step.periphery.a_sign.size else 1
    bits = np.frexp((rows * top * signed).astype(np.float64))[1].astype(np.int64)
    return _count(bits, np.full(len(bits), step.groups * step.conversions))
