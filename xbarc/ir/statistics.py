"""What calibration data said about a layer, as plain values that pure functions take."""

from __future__ import annotations

from dataclasses import dataclass

from xbarc.numerics.types import Float64Array, Int64Array


@dataclass(frozen=True, eq=False)
class RangeStatistics:
    """Histogram of a layer's input over calibration data.

    Attributes:
        low: least value seen, at most 0.
        high: largest value seen, at least 0.
        counts: values a bin; exact zeros, which cost no rounding, are left out.
        edges: borders of the bins, one more than `counts`.
        samples: inferences that were looked at.
    """

    low: float
    high: float
    counts: Int64Array
    edges: Float64Array
    samples: int
