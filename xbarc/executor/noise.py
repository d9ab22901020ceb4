"""Noise of reads and converters: what it is, and where each conversion's number comes from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from xbarc.circuit import WORDS
from xbarc.ir import CrossbarStep
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_module("scipy.special")

NOISE_BITS = 16
"""Noise takes one of `2**NOISE_BITS` equally likely values, the middle quantiles of a normal."""

NOISE_EFFECT = "noise"
"""The stream of random numbers that it takes."""


@dataclass(frozen=True)
class Noise:
    """What differs from read to read.

    Attributes:
        cell: one standard deviation of one cell, in levels.
        adc: one standard deviation at a converter's input, in its steps.
        seed: of the run.
        sample: which chip.
    """

    cell: float = 0.0
    adc: float = 0.0
    seed: int = 0
    sample: int = 0

    def __bool__(self) -> bool:
        return self.cell > 0 or self.adc > 0

    def place(self, step: CrossbarStep, segment: tuple[int, int]) -> tuple[int, int, int]:
        """Where the numbers of a segment, its group and number, belong."""
        group, number = segment
        segments = len(step.tiling.segment_bounds) - 1
        return crc32(step.name.encode()), group * segments + number, self.sample


def numbers_of_vector(conversions: int, slices: int) -> int:
    """Numbers that the conversions of one vector take: whole blocks of random words."""
    unit = WORDS * 64 // NOISE_BITS
    return -(-conversions * slices // unit) * unit


@cache
def quantiles() -> AnyArray:
    """Equally likely values of a standard normal, of unit variance."""
    count = 1 << NOISE_BITS
    values = special.ndtri((np.arange(count) + 0.5) / count)
    table: AnyArray = (values / values.std()).astype(np.float32)
    return table
