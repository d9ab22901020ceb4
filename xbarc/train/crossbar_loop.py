# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The compiled part of `crossbar.py` on the CPU: one pass over the sums where torch takes nine.

The products stay torch's. What surrounds them is bound by memory, so each sum is read once,
forward and backward: through 2-bit converters and with 4-bit inputs a step of a VGG takes 15 float
steps in place of 32.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled


@compiled()
def take_plane(codes, size, number, plane):
    """One input slice of codes; every step is exact on integers in floats.

    Args:
        codes: integers in floats; axes: group, vector, input.
        size: `2**dac_bits`.
        number: of the slice, 0 the least significant.
        plane: out; axes as `codes`.
    """
    below = codes.dtype.type(1.0 / size**number)
    above = codes.dtype.type(1.0 / size)
    wide = codes.dtype.type(size)
    for group in range(codes.shape[0]):
        for vector in range(codes.shape[1]):
            for place in range(codes.shape[2]):
                code = np.floor(codes[group, vector, place] * below)
                plane[group, vector, place] = code - np.floor(code * above) * wide


@compiled()
def read_sums(sums, low, step, top, weight, total):
    """Convert sums and add what is read back, times the weight of the slice, to `total`.

    Args:
        sums: axes: group, vector, conversion.
        low: least sum of the range; axes: group, conversion.
        step: sums of one code; axes as `low`.
        top: largest code; axes as `low`.
        weight: of the input slice.
        total: in and out; axes as `sums`.
    """
    half = sums.dtype.type(0.5)
    zero = sums.dtype.type(0)
    scale = sums.dtype.type(weight)
    for group in range(sums.shape[0]):
        for vector in range(sums.shape[1]):
            for k in range(sums.shape[2]):
                code = np.floor((sums[group, vector, k] - low[group, k]) / step[group, k] + half)
                code = min(max(code, zero), top[group, k])
                total[group, vector, k] += (code * step[group, k] + low[group, k]) * scale


@compiled()
def pass_gradient(sums, low, step, top, back, share, passed, shared):
    """What of the gradient passes the converters of one slice.

    Args:
        sums: axes: group, vector, conversion.
        low: least sum of the range; axes: group, conversion.
        step: sums of one code; axes as `low`.
        top: largest code; axes as `low`.
        back: gradient of what is read back; axes as `sums`.
        share: how much of an input's gradient goes through this slice.
        passed: out; `back` where the converter is in its range, else 0.
        shared: in and out; `share * passed` is added.
    """
    half = sums.dtype.type(0.5)
    zero = sums.dtype.type(0)
    scale = sums.dtype.type(share)
    for group in range(sums.shape[0]):
        for vector in range(sums.shape[1]):
            for k in range(sums.shape[2]):
                code = (sums[group, vector, k] - low[group, k]) / step[group, k]
                inside = (code > -half) & (code < top[group, k] + half)
                value = back[group, vector, k] if inside else zero
                passed[group, vector, k] = value
                shared[group, vector, k] += scale * value
