# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The converter and the shift-and-add over real column sums, compiled.

Sums lie on a grid on which every product and sum is exact in float64, so no result depends on the
order of additions. Vectors are the innermost axis, where the compiler finds them side by side.
`analog.py` is the typed face, and the only caller.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from xbarc.numerics import compiled

_compiled = compiled(error_model="numpy")


@_compiled
def convert_and_add(sums, settings, dac_bits, entries, starts, acc, missed):
    """Convert every sum, join the slices of a conversion, and add them to its outputs.

    Args:
        sums: axes: conversion, input slice, vector.
        settings: lo, step and largest code; axes: which, conversion, input slice or 1.
        dac_bits: bits of an input slice.
        entries: output, sign and exponent of the entries of `R`, sorted by conversion.
        starts: first entry of each conversion, and the end.
        acc: is added to; axes: output, vector.
        missed: is added to: saturated conversions; axis: vector.
    """
    conversions, slices, vectors = sums.shape
    joined = np.zeros(vectors, dtype=np.float64)
    for k in range(conversions):
        joined[:] = 0.0
        for s in range(slices):
            t = min(s, settings.shape[2] - 1)
            lo, step, top = settings[0, k, t], settings[1, k, t], settings[2, k, t]
            weight = 2.0 ** (dac_bits * s)
            _convert(sums[k, s], lo, step, top, weight, joined, missed)
        for e in range(starts[k], starts[k + 1]):
            factor = entries[1, e] << entries[2, e]
            row = acc[entries[0, e]]
            for v in range(vectors):
                row[v] += factor * np.int64(joined[v])


@_compiled
def _convert(sums, lo, step, top, weight, joined, missed):
    twice = 2.0 * step
    for v in range(sums.shape[0]):
        code = floor((2.0 * (sums[v] - lo) + step) / twice)
        kept = min(max(code, 0.0), top)
        missed[v] += kept != code
        joined[v] += weight * (lo + step * kept)


@_compiled
def add_noise(sums, drawn, quantiles, cells, reads, converters):
    """Add a normal number to every sum.

    Args:
        sums: is added to; axes: conversion, input slice, vector.
        drawn: index into `quantiles`; axes: vector, input slices of all conversions.
        quantiles: equally likely values of a standard normal.
        cells: variance that one cell per row adds; axes: input slice, vector.
        reads: cells that a conversion sees of each row; axis: conversion.
        converters: variance of the converter; axes: conversion, input slice or 1.
    """
    conversions, slices, vectors = sums.shape
    for k in range(conversions):
        for s in range(slices):
            own = converters[k, min(s, converters.shape[1] - 1)]
            for v in range(vectors):
                sigma = sqrt(cells[s, v] * reads[k] + own)
                sums[k, s, v] += sigma * quantiles[drawn[v, k * slices + s]]


@_compiled
def compare_and_add(sums, bounds, entries, starts, acc):
    """Count the bounds that every sum reaches, and add the counts to their outputs.

    Args:
        sums: axes: conversion, level or 1, vector.
        bounds: axes: conversion, level.
        entries: as for `convert_and_add`.
        starts: as for `convert_and_add`.
        acc: is added to; axes: output, vector.
    """
    conversions, kept, vectors = sums.shape
    reached = np.zeros(vectors, dtype=np.int64)
    for k in range(conversions):
        reached[:] = 0
        for level in range(bounds.shape[1]):
            bound, line = bounds[k, level], sums[k, min(level, kept - 1)]
            for v in range(vectors):
                reached[v] += line[v] >= bound
        for e in range(starts[k], starts[k + 1]):
            factor = entries[1, e] << entries[2, e]
            row = acc[entries[0, e]]
            for v in range(vectors):
                row[v] += factor * reached[v]
