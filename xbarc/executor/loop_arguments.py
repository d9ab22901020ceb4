"""What compiled loops take together: named tuples, which numba sees as their members.

Taking an array out of one counts a reference, some nanoseconds: loops do it before they begin, and
functions that get whole tuples once a conversion are inlined.
"""

from __future__ import annotations

from typing import NamedTuple

from xbarc.numerics import AnyArray


class Tables(NamedTuple):
    """The cells of one segment.

    Attributes:
        sums: of each subset of four cells; axes: conversion, digit, nibble, entry.
        floor: what was subtracted from every cell of a conversion so that none is negative; axis:
            conversion.
    """

    sums: AnyArray
    floor: AnyArray


class Planes(NamedTuple):
    """Input codes of one segment, a bit plane at a time.

    Attributes:
        packed: nibbles of four wordlines; axes: chunk, plane, nibble, lane.
        counts: wordlines that are on, and in the last place whether any is; axes: chunk, plane,
            lane.
    """

    packed: AnyArray
    counts: AnyArray


class SliceConverters(NamedTuple):
    """How sums are read.

    Attributes:
        settings: lo, step and largest code; axes: which, conversion, input slice or 1.
        input_bits: planes of an input.
        dac_bits: planes of an input slice.
    """

    settings: AnyArray
    input_bits: int
    dac_bits: int


class Entries(NamedTuple):
    """Entries of `R`, sorted by conversion.

    Attributes:
        values: output, sign and exponent; axes: which, entry.
        starts: first entry of each conversion, and the end.
    """

    values: AnyArray
    starts: AnyArray


class RunningTotals(NamedTuple):
    """What a loop adds to.

    Attributes:
        acc: accumulators; axes: output, vector (padded to whole chunks).
        missed: conversions outside the range; axes: chunk, lane.
    """

    acc: AnyArray
    missed: AnyArray


class Setting(NamedTuple):
    """One conversion's converter, in 32 bits."""

    lo: int
    step: int
    top: int
