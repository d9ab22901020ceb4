"""What layers did on data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from xbarc.instruments import ConversionSums
from xbarc.ir import CrossbarStep
from xbarc.numerics import AnyArray


@dataclass(frozen=True, eq=False)
class Measured:
    """A layer on data.

    Attributes:
        sqnr_db: against the float model, errors of earlier layers included; `identical` where every
            value is equal, None where it is not known.
        saturated: sums beyond their converter, of all sums that were converted.
        conversions: how many were made.
        sums: what its converters met on some of the data; None: not counted.
    """

    sqnr_db: float | str | None
    saturated: int
    conversions: int
    sums: ConversionSums | None = None


def block_sums(
    step: CrossbarStep, place: tuple[int, int, int], measured: Mapping[str, Measured]
) -> dict[str, AnyArray]:
    """Sums that the conversions of a block met; nothing where they were not counted.

    Axes of `sums_least`, `sums_most` and `clipped`: segment, conversion; `sum_counts` has the bin
    behind them, `sums_seen` is how many sums each conversion had.
    """
    seen = measured.get(step.name)
    if seen is None or seen.sums is None:
        return {}
    group, i, j = place
    segments = np.flatnonzero(step.tiling.segment_block == i)
    part = (group, segments, slice(*step.tiling.conversion_bounds[j : j + 2]))
    sums = seen.sums
    return {
        "sums_least": sums.least[part],
        "sums_most": sums.most[part],
        "clipped": sums.clipped[part],
        "sum_counts": sums.counts[part],
        "sums_seen": np.array([sums.vectors * step.input_slices]),
    }
