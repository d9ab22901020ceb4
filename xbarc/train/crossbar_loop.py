# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""The compiled parts of training on the CPU: one pass over memory where torch takes many.

The products stay torch's. What surrounds them is bound by memory, so each number is read once,
forward and backward. Divisions follow numpy's error model: a test for a divisor of zero in the
loop would keep the compiler from vectorising it, and cost four times as much.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled


@compiled()
def take_plane(codes, below, size, plane):
    """One input slice of codes.

    Args:
        codes: integers; axes: group, vector, input.
        below: bits of all slices that are less significant.
        size: `2**dac_bits`.
        plane: out, of any type; axes as `codes`.
    """
    mask = size - 1
    for group in range(codes.shape[0]):
        for vector in range(codes.shape[1]):
            row, out = codes[group, vector], plane[group, vector]
            for place in range(row.size):
                out[place] = (np.int32(row[place]) >> below) & mask


@compiled(error_model="numpy")
def read_sums(sums, settings, weight, bits, total, passed):
    """Convert the sums of one input slice, and add what is read back times the slice's weight.

    Args:
        sums: integers of any type, or real numbers; axes: group, vector, conversion.
        settings: lo, step and largest code; axes: which, group, conversion.
        weight: of the input slice.
        bits: those of an input code that the slice drives.
        total: in and out; axes as `sums`.
        passed: in and out; axes as `sums`. Gets `bits` where the converter is in its range.
    """
    kind = total.dtype.type
    half, zero, scale = kind(0.5), kind(0), kind(weight)
    for group in range(sums.shape[0]):
        low, step, top = settings[0, group], settings[1, group], settings[2, group]
        for vector in range(sums.shape[1]):
            row, out, seen = sums[group, vector], total[group, vector], passed[group, vector]
            for k in range(row.size):
                # one division and one floor, both exact: |S - lo| is far below 2**22, so the
                # rounding of the quotient never crosses the next multiple of 1/2
                code = np.floor((kind(row[k]) - low[k]) / step[k] + half)
                near = code if code > zero else zero
                near = near if near < top[k] else top[k]
                seen[k] |= bits if near == code else 0
                out[k] += (near * step[k] + low[k]) * scale


@compiled()
def split_gradient(back, passed, largest, shared, whole):
    """What of the gradient reaches the inputs, and what of it passes all slices.

    Args:
        back: gradient of what is read back; axes: group, vector, conversion.
        passed: bits of an input code whose slices pass; axes as `back`.
        largest: all bits of an input code.
        shared: out; `back` times the share of its code's value that passes.
        whole: out; `back` where every slice passes, else 0.
    """
    kind = back.dtype.type
    part, zero = kind(1.0 / largest), kind(0)
    for group in range(back.shape[0]):
        for vector in range(back.shape[1]):
            row, seen = back[group, vector], passed[group, vector]
            to_inputs, to_all = shared[group, vector], whole[group, vector]
            for k in range(row.size):
                to_inputs[k] = row[k] * (kind(seen[k]) * part)
                to_all[k] = row[k] if seen[k] == largest else zero


@compiled()
def add_cut_inputs(codes, passed, largest, back, cells):
    """Gradient of the cells where some slices pass and others do not.

    The slices that pass drive a row with those bits of its code, so their planes, each by its
    weight, add up to the code with the other bits cleared.

    Args:
        codes: of the rows; axes: group, vector, row.
        passed: as `split_gradient` takes it.
        largest: as above.
        back: as above.
        cells: in and out; axes: group, conversion, row.
    """
    for group in range(codes.shape[0]):
        for vector in range(codes.shape[1]):
            row = codes[group, vector]
            for k in range(back.shape[2]):
                bits, value = passed[group, vector, k], back[group, vector, k]
                if bits in (0, largest) or value == 0:
                    continue
                out = cells[group, k]
                for place in range(row.size):
                    out[place] += value * cells.dtype.type(row[place] & bits)


@compiled()
def gather_windows(border, places, vectors):
    """Windows of images.

    Args:
        border: padded images; axes: image, channel of all groups, place.
        places: of a window's inputs in one channel; axes: position, kernel place.
        vectors: out; axes: group, vector (image, then position), input (channel, kernel place).
    """
    groups, kernel, positions = vectors.shape[0], places.shape[1], places.shape[0]
    channels = border.shape[1] // groups
    for group in range(groups):
        for image in range(border.shape[0]):
            for position in range(positions):
                out = vectors[group, image * positions + position]
                for channel in range(channels):
                    row = border[image, group * channels + channel]
                    for k in range(kernel):
                        out[channel * kernel + k] = row[places[position, k]]


@compiled()
def scatter_windows(vectors, places, border):
    """The transpose of `gather_windows`: adds vectors to the images; `border` is in and out."""
    groups, kernel, positions = vectors.shape[0], places.shape[1], places.shape[0]
    channels = border.shape[1] // groups
    for group in range(groups):
        for image in range(border.shape[0]):
            for position in range(positions):
                row = vectors[group, image * positions + position]
                for channel in range(channels):
                    out = border[image, group * channels + channel]
                    for k in range(kernel):
                        out[places[position, k]] += row[channel * kernel + k]
