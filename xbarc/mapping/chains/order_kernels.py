# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled loops of `order.py`, its only caller.

The cost is `sum K[p, q] s_p s_q gram[o_p, o_q]` over positions p and q of one chain. Between the
places i <= j of a chain (from 1 on) `K = rise[i] keep**(j - i) fall[j]`, so that a sum over a chain
takes linear time. `rise` and `fall` go by position; a chain is `cut` positions, the last the rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from xbarc.numerics import Float64Array, FloatArray, Int64Array, compiled


class Decay(NamedTuple):
    """The kernel of the cost between places: `rise[i] keep**(j - i) fall[j]`."""

    rise: FloatArray
    fall: FloatArray
    keep: float


class SearchWindow(NamedTuple):
    """Positions that are searched together, all in places of the window.

    Attributes:
        kernel: of the cost; axes: position, position.
        gram: inner products of the outputs; axes: output, output.
        fields: pull of all outputs at a position on an output; axes: position, output.
        at: output at each position.
        sign: of the output at each position.
    """

    kernel: Float64Array
    gram: Float64Array
    fields: Float64Array
    at: Int64Array
    sign: Float64Array


class _Two(NamedTuple):
    """Outputs x and z at positions m and q, and what all other outputs do to them there."""

    k_m: float
    k_q: float
    k_mq: float
    at_m: float
    at_q: float
    norm_x: float
    norm_z: float
    inner: float


@compiled()
def greedy(gram, cut, keep, signs, order, sign):
    """Append, again and again, what leaves the prefix with the least energy.

    Before each output the prefix shrinks by the factor `keep`.
    """
    count = gram.shape[0]
    along = np.zeros(count)  # inner product of the prefix and each output
    taken = np.zeros(count, dtype=np.bool_)
    for position in range(count):
        best, least = -1, np.inf
        for item in range(count):
            if not taken[item]:
                turn = -2.0 * abs(along[item]) if signs else 2.0 * along[item]
                energy = gram[item, item] + turn
                if energy < least:
                    best, least = item, energy
        order[position] = best
        sign[position] = -1.0 if signs and along[best] > 0 else 1.0
        taken[best] = True
        # A new chain begins behind its last output, and knows nothing of the one before.
        kept = 0.0 if position % cut == cut - 1 else keep
        for item in range(count):
            along[item] = kept * (along[item] + sign[position] * gram[best, item])


@compiled()
def _field(row, order, sign, rise, fall, keep, out):
    """`sum_q K[p, q] s_q row[o_q]` of one chain, for all its positions p, in linear time."""
    count = order.shape[0]
    total = 0.0
    for p in range(count):
        total = keep * total + rise[p] * sign[p] * row[order[p]]
        out[p] = total * fall[p]
    total = 0.0
    # The sum over q < p went forward with `rise`; this one takes q > p, so that neither is
    # quadratic.
    for p in range(count - 1, -1, -1):
        total *= keep
        out[p] += total * rise[p]
        total += fall[p] * sign[p] * row[order[p]]


@compiled()
def energy(gram, cut, decay, order, sign):
    """The cost of an arrangement."""
    rise, fall, keep = decay
    count = gram.shape[0]
    field = np.empty(cut)
    total = 0.0
    for begin in range(0, count, cut):
        end = min(begin + cut, count)
        part = order[begin:end]
        for p in range(begin, end):
            _field(
                gram[order[p]], part, sign[begin:end], rise[begin:end], fall[begin:end], keep, field
            )
            total += sign[p] * field[p - begin]
    return total


@compiled()
def window_fields(gram, cut, decay, order, sign, positions, fields):
    """Field at each position of a window (first axis) on each of its outputs (second axis)."""
    rise, fall, keep = decay
    count, buffer = gram.shape[0], np.empty(cut)
    for x in range(positions.shape[0]):
        # Positions ascend, so that those of one chain follow each other and share one pass of
        # `_field`.
        row = gram[order[positions[x]]]
        last = -1
        for m in range(positions.shape[0]):
            begin = positions[m] // cut * cut
            if begin != last:
                end, last = min(begin + cut, count), begin
                part, turned = order[begin:end], sign[begin:end]
                _field(row, part, turned, rise[begin:end], fall[begin:end], keep, buffer)
            fields[m, x] = buffer[positions[m] - begin]


@compiled()
def _pair(two, t_m, t_q):
    """The part of the cost that belongs to two positions with given outputs and signs."""
    own = two.k_m * two.norm_x + two.k_q * two.norm_z + 2.0 * two.k_mq * t_m * t_q * two.inner
    return own + 2.0 * (t_m * two.at_m + t_q * two.at_q)


@compiled()
def _best_pair(two, t_m, t_q, signs):
    """Least cost over the signs of two positions, and those signs."""
    best = _pair(two, t_m, t_q)
    best_m, best_q = t_m, t_q
    if signs:
        for choice in range(4):
            u_m, u_q = 1.0 - 2.0 * (choice & 1), 1.0 - 2.0 * (choice >> 1)
            cost = _pair(two, u_m, u_q)
            if cost < best:
                best, best_m, best_q = cost, u_m, u_q
    return best, best_m, best_q


@compiled()
def _try(m, q, kernel, gram, fields, at, sign, signs):
    """Gain of exchanging two positions (or not), with the best signs: gain, exchanged, signs."""
    x, z = at[m], at[q]
    s_x, s_z = sign[m], sign[q]
    k_m, k_q, k_mq = kernel[m, m], kernel[q, q], kernel[m, q]
    xx, zz, xz = gram[x, x], gram[z, z], gram[x, z]
    # Fields hold what both positions add themselves; an exchange changes just that, so it is
    # subtracted before and added again with the signs on trial.
    x_at_m = fields[m, x] - k_m * s_x * xx - k_mq * s_z * xz
    z_at_q = fields[q, z] - k_q * s_z * zz - k_mq * s_x * xz
    z_at_m = fields[m, z] - k_m * s_x * xz - k_mq * s_z * zz
    x_at_q = fields[q, x] - k_q * s_z * xz - k_mq * s_x * xx
    as_now = _Two(k_m, k_q, k_mq, x_at_m, z_at_q, xx, zz, xz)
    exchanged = _Two(k_m, k_q, k_mq, z_at_m, x_at_q, zz, xx, xz)
    now = _pair(as_now, s_x, s_z)
    stay, a, b = _best_pair(as_now, s_x, s_z, signs)
    swap, c, d = _best_pair(exchanged, s_z, s_x, signs)
    if swap < stay:
        return now - swap, 1, c, d
    return now - stay, 0, a, b


@compiled()
def _put(m, x, s_x, kernel, gram, fields, at, sign):
    """Set output and sign of a position and update the fields; how many positions changed."""
    before, s_before = at[m], sign[m]
    changed = 0
    for r in range(fields.shape[0]):
        # Chains do not know of each other, and a window of 256 positions in chains of 8 has 97 % of
        # zeros: skipping them makes this function 14 times as fast there.
        if kernel[r, m] != 0.0:
            changed += 1
            new, old = kernel[r, m] * s_x, kernel[r, m] * s_before
            for y in range(fields.shape[1]):
                fields[r, y] += new * gram[x, y] - old * gram[before, y]
    at[m], sign[m] = x, s_x
    return changed


@compiled()
def _best_partner(m, kernel, gram, fields, at, sign, signs):
    """The other position of the exchange that gains most: gain, position, exchanged, signs."""
    best = (0.0, -1, 0, 1.0, 1.0)
    for q in range(at.shape[0]):
        if q != m:
            gain, exchanged, s_m, s_q = _try(m, q, kernel, gram, fields, at, sign, signs)
            if gain > best[0]:
                best = (gain, q, exchanged, s_m, s_q)
    return best


@compiled()
def _descend(kernel, gram, fields, at, sign, signs, least, budget):
    """Best exchange for each position in turn, until none gains or the budget is used.

    All arrays are of one window. A gain up to `least` is none. The budget counts elementary
    operations, so that the result does not depend on the machine; what is left of it is returned.
    """
    count = at.shape[0]
    idle, m = 0, 0
    while idle < count and budget > 0:
        gain, q, exchanged, s_m, s_q = _best_partner(m, kernel, gram, fields, at, sign, signs)
        # A trial of a pair takes some 16 operations: the budget must not depend on the machine.
        budget -= 16 * count
        idle += 1
        if gain > least:
            idle = 0
            x, z = (at[q], at[m]) if exchanged else (at[m], at[q])
            budget -= count * _put(m, x, s_m, kernel, gram, fields, at, sign)
            budget -= count * _put(q, z, s_q, kernel, gram, fields, at, sign)
        m = (m + 1) % count
    return budget


@compiled()
def _random(state, below):
    """The next number of a linear congruential generator, from 0 up to `below`."""
    state[0] = state[0] * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)
    return int((state[0] >> np.uint64(33)) % np.uint64(below))


@compiled()
def _kick(state, kernel, gram, fields, at, sign, signs):
    """Reverse a short random run of positions, and negate it where signs are free."""
    count = at.shape[0]
    # Up to 15 positions, so that most of what was found stays in place. Our choice, not tuned.
    length = 2 + _random(state, min(14, count - 1))
    first = _random(state, count - length + 1)
    turn = -1.0 if signs and _random(state, 2) else 1.0
    used = 0
    for i in range((length + 1) // 2):
        left, right = first + i, first + length - 1 - i
        x, s_x, z, s_z = at[left], turn * sign[left], at[right], turn * sign[right]
        used += _put(left, z, s_z, kernel, gram, fields, at, sign)
        if left != right:
            used += _put(right, x, s_x, kernel, gram, fields, at, sign)
    return used * count


@compiled()
def _window_energy(fields, own, at, sign):
    """Twice the part of the cost that a window takes part in, less what is outside of it."""
    total = 0.0
    for m in range(at.shape[0]):
        total += sign[m] * (fields[m, at[m]] + own[m, at[m]])
    return total


@compiled()
def _copy(from_fields, from_at, from_sign, fields, at, sign):
    """Copy the state of a window."""
    for m in range(at.shape[0]):
        at[m], sign[m] = from_at[m], from_sign[m]
        for y in range(at.shape[0]):
            fields[m, y] = from_fields[m, y]


@compiled()
def _outside(kernel, gram, fields, at, sign, own):
    """Fields from what is outside of the window."""
    for m in range(at.shape[0]):
        for y in range(at.shape[0]):
            own[m, y] = fields[m, y]
        for r in range(at.shape[0]):
            if kernel[m, r] != 0.0:
                for y in range(at.shape[0]):
                    own[m, y] -= kernel[m, r] * sign[r] * gram[at[r], y]


@compiled()
def iterate(window, signs, least, budget, seed):
    """Descend, disturb a random run and descend again; the best is kept, in the window's arrays."""
    kernel, gram, fields, at, sign = window
    own, kept_fields = np.empty_like(fields), np.empty_like(fields)
    kept_at, kept_sign = np.empty_like(at), np.empty_like(sign)
    _outside(kernel, gram, fields, at, sign, own)
    state = np.empty(1, dtype=np.uint64)
    state[0] = seed
    budget = _descend(kernel, gram, fields, at, sign, signs, least, budget)
    best = _window_energy(fields, own, at, sign)
    _copy(fields, at, sign, kept_fields, kept_at, kept_sign)
    while budget > 0 and at.shape[0] > 2:
        budget -= _kick(state, kernel, gram, fields, at, sign, signs)
        budget = _descend(kernel, gram, fields, at, sign, signs, least, budget)
        found = _window_energy(fields, own, at, sign)
        # Worse than the best is undone: a walk that accepts worse states would need a temperature,
        # and results that depend on it.
        if found < best - least:
            best = found
            _copy(fields, at, sign, kept_fields, kept_at, kept_sign)
        else:
            _copy(kept_fields, kept_at, kept_sign, fields, at, sign)
        budget -= fields.size
    _copy(kept_fields, kept_at, kept_sign, fields, at, sign)
    return budget
