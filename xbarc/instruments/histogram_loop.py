# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Histograms of column sums, from the tables and planes of `lookup.py`: the compiled part."""

from __future__ import annotations

from typing import Any

import numpy as np

from xbarc.executor import DIGIT_BITS, HAS_SHUFFLE, LANES, lookup
from xbarc.numerics import compiled

_add_sums: Any = lookup._by_shuffle if HAS_SHUFFLE else lookup._by_loops
_raise_floor: Any = lookup._raise_floor

# Inlined: a call counts references to every array it is given, which took a third of the time.


@compiled(inline="always")
def _sum_slice(cells, inputs, place, planes, sums):
    """Sums of one conversion over the planes of one input slice."""
    chunk, k = place
    counts = inputs.counts[chunk]
    for lane in range(LANES):
        sums[lane] = 0
    for bit in range(planes[0], planes[1]):
        if counts[bit, LANES] == 0:
            continue
        if cells.floor[k] != 0:
            _raise_floor(cells.floor[k], counts[bit], bit - planes[0], sums)
        for digit in range(cells.sums.shape[1]):
            by = bit - planes[0] + DIGIT_BITS * digit
            _add_sums(cells.sums, inputs.packed, (k, digit), (chunk, bit), by, sums)


@compiled(inline="always")
def _count(sums, low, width, bins):
    """Count sums in bins: of one sum each in most layers, where no sum need be divided.

    A division took a quarter of the time of counting.
    """
    if width == 1:
        for lane in range(len(sums)):
            bins[sums[lane] - low] += 1
    else:
        for lane in range(len(sums)):
            bins[(sums[lane] - low) // width] += 1


@compiled()
def count_sums(cells, inputs, bits, kinds, vectors, scale, histogram):
    """Count the sums of every conversion of one group and segment.

    Args:
        cells: tables as `lookup.make_tables` fills them, and the floor.
        inputs: planes as `lookup.pack_planes` fills them, and their counts.
        bits: planes of an input, planes of an input slice.
        kinds: kind of each conversion.
        vectors: how many there are; lanes beyond them are padding.
        scale: sum of the first bin, sums of a bin.
        histogram: in and out; axes: kind, input slice, bin.
    """
    low, width = scale
    sums = np.empty(LANES, np.int32)
    for chunk in range(inputs.packed.shape[0]):
        inside = min(LANES, vectors - chunk * LANES)
        for k in range(cells.sums.shape[0]):
            for s in range(histogram.shape[1]):
                first, end = s * bits[1], min(bits[0], (s + 1) * bits[1])
                _sum_slice(cells, inputs, (chunk, k), (first, end), sums)
                _count(sums[:inside], low, width, histogram[kinds[k], s])
