"""What really goes onto the wordlines, gathered while a program runs on data."""

from __future__ import annotations

from dataclasses import dataclass

from xbarc.numerics import Float64Array


@dataclass(frozen=True, eq=False)
class OperandStatistics:
    """Means over the input vectors of one layer; axes of each: input slice, group, input.

    Attributes:
        vectors: how many input vectors were seen.
        level: mean level of the slice over its largest level.
        square: mean of the square of that.
        driven: share of the vectors in which the slice is not zero.
    """

    vectors: int
    level: Float64Array
    square: Float64Array
    driven: Float64Array
