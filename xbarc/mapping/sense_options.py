"""What a user may choose about binary layers, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from xbarc.errors import InputError, MappingError
from xbarc.numerics.types import AnyArray, Int64Array

Split = Literal["strided", "partition", "consecutive", "given"]
Thresholds = Literal["calibrated", "mean", "even"]
Rows = Literal["complementary", "zero-one"]
SignOfZero = Literal["onnx", "plus", "minus"]
_MOST_EXTRA = 8


@dataclass(frozen=True)
class SenseOptions:
    """Choices of binary layers.

    Attributes:
        split: input i goes to group `i mod G` (in a convolution i counts the channels of one kernel
            position before the next), and free wordlines repeat inputs of other groups (strided) or
            stay free (partition); or to group `i // (n / G)` in the order of the weights
            (consecutive), or to the group that `groups` gives.
        groups: the group of each input, by layer name.
        extra_groups: groups beyond the fewest that fit, as a share of these; layers that fit one
            array, and groups that are given, stay as they are.
        thresholds: from data over thresholds and votes together (calibrated), from the mean sum of
            each group (mean), or the layer's threshold in equal shares (even). The first two fall
            back to even without data.
        bits: of a sense: 1, 2 or 3, which takes 1, 3 or 7 comparisons.
        rows: two wordlines an input and a column an output (complementary), or one wordline and
            two columns that are subtracted (zero-one).
        sign_of_zero: what Sign(0) means.
        allow_ternary: weights may be 0.
        spare_columns: whether split layers of fewer outputs than an array has columns compare as
            often as there are columns for each output, up to 3 times.
        refit: whether the real classifier behind a split network is fitted to what the unsplit one
            says of calibration data.
    """

    split: Split = "strided"
    thresholds: Thresholds = "calibrated"
    bits: int = 1
    rows: Rows = "complementary"
    sign_of_zero: SignOfZero = "onnx"
    allow_ternary: bool = False
    groups: Mapping[str, Int64Array] = field(default_factory=dict)
    extra_groups: float = 0.0
    refit: bool = True
    spare_columns: bool = False

    def __post_init__(self) -> None:
        _one_of("--split", self.split, get_args(Split))
        _one_of("--thresholds", self.thresholds, get_args(Thresholds))
        _one_of("--sense-rows", self.rows, get_args(Rows))
        _one_of("--sign-of-zero", self.sign_of_zero, get_args(SignOfZero))
        if not 0 <= self.extra_groups <= _MOST_EXTRA:
            raise MappingError(
                f"{self.extra_groups:g}, expected 0 to {_MOST_EXTRA}", where="--extra-groups"
            )
        if self.bits not in (1, 2, 3):
            raise MappingError(f"{self.bits} bits, expected 1, 2 or 3", where="--sense-bits")

    @property
    def levels(self) -> int:
        """Comparisons a conversion."""
        return (1 << self.bits) - 1


def read_groups(arrays: Mapping[str, AnyArray]) -> dict[str, Int64Array]:
    """Groups of inputs by layer name, from arrays of whole numbers.

    Raises:
        InputError: an array is something else.
    """
    found = {}
    for name, array in arrays.items():
        if array.ndim != 1 or array.dtype.kind not in "iu" or array.min(initial=0) < 0:
            raise InputError(
                f"'{name}' is {array.dtype}{list(array.shape)}, expected a group number an input",
                where="--split",
            )
        found[name] = array.astype(np.int64)
    return found


def _one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise MappingError(
            f"'{value}' is not available", where=option, hint=f"one of {', '.join(known)}"
        )
