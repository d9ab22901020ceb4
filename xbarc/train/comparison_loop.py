# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The compiled parts of comparisons on the CPU: one pass over memory where torch takes many."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled


@compiled()
def take_inputs(vectors, order, signs):
    """Inputs of vectors in another order.

    Args:
        vectors: axes: group, vector, input.
        order: which inputs.
        signs: out; axes: group, vector, place in `order`.

    Returns:
        Whether no number is 0.
    """
    zeros = 0
    for group in range(signs.shape[0]):
        for vector in range(signs.shape[1]):
            row, out = vectors[group, vector], signs[group, vector]
            for place in range(order.size):
                out[place] = row[order[place]]
                zeros += out[place] == 0
    return zeros == 0


@compiled()
def reach_levels(sums, levels, half, codes, near):
    """How many levels each sum reaches, and which it is near to.

    Args:
        sums: axes: group, vector, conversion.
        levels: axes: level, group, conversion.
        half: a sum is near a level where it is less than this away.
        codes: out; axes as `sums`.
        near: out; a bit for each level; axes as `sums`.
    """
    kind = sums.dtype.type
    around = kind(half)
    for group in range(sums.shape[0]):
        for vector in range(sums.shape[1]):
            row, out, seen = sums[group, vector], codes[group, vector], near[group, vector]
            out[:] = kind(0)
            seen[:] = np.uint8(0)
            for number in range(levels.shape[0]):
                level, bit = levels[number, group], np.uint8(1 << number)
                for k in range(row.size):
                    apart = row[k] - kind(level[k])
                    out[k] += kind(1) if apart >= kind(0) else kind(0)
                    seen[k] |= bit if abs(apart) < around else np.uint8(0)


@compiled()
def pass_near(near, back, width, passed, into):
    """The gradient that passes near levels, spread over `width` steps of the sum.

    Args:
        near: as `reach_levels` gives it.
        back: gradient of the codes; axes: group, vector, conversion.
        width: steps.
        passed: out; axes as `back`.
        into: in and out; sums over vectors of what passes; axes: level, group, conversion.
    """
    kind = back.dtype.type
    share = kind(1.0 / width)
    for group in range(back.shape[0]):
        for vector in range(back.shape[1]):
            row, seen, out = back[group, vector], near[group, vector], passed[group, vector]
            out[:] = kind(0)
            for number in range(into.shape[0]):
                total, bit = into[number, group], np.uint8(1 << number)
                for k in range(row.size):
                    part = row[k] * share if seen[k] & bit else kind(0)
                    out[k] += part
                    total[k] += part
