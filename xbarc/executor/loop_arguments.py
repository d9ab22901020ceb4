"""What compiled loops take together: named tuples, which numba sees as their members.

Taking an array out of one counts a reference, some nanoseconds: loops do it before they begin, and
functions that get whole tuples once a conversion are inlined.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

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


class Reading(NamedTuple):
    """How real sums are read.

    Attributes:
        settings: as `digit_sums.SETTINGS` says; axes: conversion, plane, number.
        offsets: what codes of zero join to; axis: conversion.
        shift: from a sum without its lowest ten bits to whole levels.
        has_steps: whether any step is not 1.
        together: planes whose joined codes fit 16 bits.
    """

    settings: AnyArray
    offsets: AnyArray
    shift: int
    has_steps: bool
    together: int


class Draw(NamedTuple):
    """Where random numbers come from, and what they are scaled by.

    Attributes:
        key: of the generator; two words.
        place: upper part of its counter; three words.
        first: lowest word of the counter for the first vector.
        stride: blocks of random words that a vector takes.
        quantiles: equally likely values of a standard normal.
        sigma: of the noise, in steps of the grid; axes: kind, slice, vector.
        rounded: the same in float32.
        kinds: of conversions; axis: conversion.
    """

    key: AnyArray
    place: AnyArray
    first: np.uint64
    stride: np.uint64
    quantiles: AnyArray
    sigma: AnyArray
    rounded: AnyArray
    kinds: AnyArray


class NoisyReading(NamedTuple):
    """How noisy sums are read.

    Attributes:
        bases: as settings of `Reading`.
        settings: as `noisy_read.SETTINGS` says; axes: conversion, input slice or 1, number.
        bits: of the grid behind the point.
        window: share of a code, next to its borders, in which float32 does not decide.
    """

    bases: AnyArray
    settings: AnyArray
    bits: int
    window: float
