# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Compiled passes over cells, input codes and results on the CPU, forward and backward.

Each does in one pass over memory what takes torch five to ten; `inputs.py`, `results.py` and
`weights.py` hold the same in torch's operations, for other devices, and tests hold both equal.
"""

from __future__ import annotations

import numpy as np

from xbarc.numerics import compiled


@compiled(error_model="numpy")
def round_levels(cells, top, levels):
    """Cells clamped to their range and rounded half to even.

    Args:
        cells: flat.
        top: the highest level.
        levels: out; flat.
    """
    zero, high = cells.dtype.type(0), cells.dtype.type(top)
    for place in range(cells.size):
        near = cells[place] if cells[place] > zero else zero
        near = near if near < high else high
        levels[place] = np.rint(near)


@compiled(error_model="numpy")
def pass_levels(cells, top, grad, back):
    """`grad` where a cell is in its range, else 0, as `round_levels` has it; `back` is out."""
    zero, high = cells.dtype.type(0), cells.dtype.type(top)
    for place in range(cells.size):
        inside = (cells[place] >= zero) & (cells[place] <= high)
        back[place] = grad[place] if inside else zero


@compiled()
def add_weights(levels, entries, bounds, row_input, weights):
    """The matrix that levels stand for.

    Args:
        levels: axes: group, row, column.
        entries: column, output and value of each entry of `A R`; values have the axes group or 1,
            row block or 1, entry.
        bounds: first row of each block, and the end.
        row_input: input of each row.
        weights: in and out; axes: group, input, output.
    """
    columns, outputs, values = entries
    for group in range(levels.shape[0]):
        for block in range(bounds.size - 1):
            value = values[group % values.shape[0], block % values.shape[1]]
            for row in range(bounds[block], bounds[block + 1]):
                level, out = levels[group, row], weights[group, row_input[row]]
                for entry in range(columns.size):
                    out[outputs[entry]] += value[entry] * level[columns[entry]]


@compiled()
def add_level_gradient(grad, entries, bounds, row_input, levels):
    """The transpose of `add_weights`, from `grad` of its weights; `levels` is in and out."""
    columns, outputs, values = entries
    for group in range(levels.shape[0]):
        for block in range(bounds.size - 1):
            value = values[group % values.shape[0], block % values.shape[1]]
            for row in range(bounds[block], bounds[block + 1]):
                out, back = levels[group, row], grad[group, row_input[row]]
                for entry in range(columns.size):
                    out[columns[entry]] += value[entry] * back[outputs[entry]]


@compiled(error_model="numpy")
def round_codes(tensor, scale, zero, top, codes):
    """Input codes: a division in float32, half to even, the zero point, a clamp.

    Args:
        tensor: axes: sample, all others.
        scale: of a step; axis: sample or 1.
        zero: code of zero; axis as `scale`.
        top: the largest code.
        codes: out; axes as `tensor`.

    Returns:
        Whether all numbers were finite.
    """
    none, high, sound = np.float32(0), np.float32(top), True
    for sample in range(tensor.shape[0]):
        step, shift = scale[sample % scale.size], zero[sample % zero.size]
        row, out = tensor[sample], codes[sample]
        odd = 0
        for place in range(row.size):
            code = np.rint(row[place] / step) + shift
            # 0 for every number but NaN and infinity
            odd += row[place] - row[place] != none
            code = code if code > none else none
            out[place] = code if code < high else high
        sound &= odd == 0
    return sound


@compiled(error_model="numpy")
def pass_codes(tensor, scale, zero, top, grad, back):
    """The gradient of `round_codes`: through the rounding, 0 outside the range.

    Args:
        tensor: as `round_codes` takes it.
        scale: as above.
        zero: as above.
        top: as above.
        grad: of the codes; axes as `tensor`.
        back: out; axes as `tensor`.
    """
    none, high = np.float32(0), np.float32(top)
    for sample in range(tensor.shape[0]):
        step, shift = scale[sample % scale.size], zero[sample % zero.size]
        row, given, out = tensor[sample], grad[sample], back[sample]
        for place in range(row.size):
            code = row[place] / step + shift
            out[place] = given[place] / step if (code >= none) & (code <= high) else none


@compiled(error_model="numpy")
def scale_sums(sums, offset, factor, bias, result):
    """Real values of accumulators, in float64 and rounded once.

    Args:
        sums: axes: sample, channel, place.
        offset: added to accumulators; axes: sample or 1, channel.
        factor: of value over accumulator; axes as `offset`.
        bias: axis: channel.
        result: out; axes as `sums`.
    """
    samples, channels, places = sums.shape
    for sample in range(samples):
        more, by = offset[sample % offset.shape[0]], factor[sample % factor.shape[0]]
        if places == 1:  # a matrix product: channels are neighbours
            row, out = sums[sample, :, 0], result[sample, :, 0]
            for channel in range(channels):
                acc = np.float64(row[channel]) + more[channel]
                out[channel] = acc * by[channel] + bias[channel]
            continue
        for channel in range(channels):
            row, out = sums[sample, channel], result[sample, channel]
            a, b, c = more[channel], by[channel], bias[channel]
            for place in range(places):
                out[place] = (np.float64(row[place]) + a) * b + c


@compiled(error_model="numpy", fastmath={"reassoc", "contract"})
def scale_sums_back(sums, offset, factor, grad, back, totals):
    """The gradient of `scale_sums`.

    Args:
        sums: as `scale_sums` takes them.
        offset: as above.
        factor: as above.
        grad: of the result.
        back: out; gradient of the accumulators.
        totals: out; sums over places of `grad`, and of `grad` times the accumulator; axes: which,
            sample, channel.
    """
    samples, channels, places = sums.shape
    for sample in range(samples):
        more, by = offset[sample % offset.shape[0]], factor[sample % factor.shape[0]]
        for channel in range(channels):
            row, given, out = sums[sample, channel], grad[sample, channel], back[sample, channel]
            a, b = more[channel], by[channel]
            plain, product = 0.0, 0.0
            for place in range(places):
                value = np.float64(given[place])
                out[place] = value * b
                plain += value
                product += value * (np.float64(row[place]) + a)
            totals[0, sample, channel] = plain
            totals[1, sample, channel] = product
