"""What few bits of some conversions do to a layer's accumulators, measured on input vectors.

Histograms say how far a converter is off, not how errors of several converters add up: rounding
errors are as good as independent, but what a very narrow converter leaves out follows the inputs,
and is equal in all columns and row blocks. So small numbers of bits are executed, and the model
serves above them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.executor import SlicedLayer, fits_lookup
from xbarc.ir import AdcSettings, CrossbarStep, effective_weights
from xbarc.mapping import Table, settings_of
from xbarc.numerics import Float64Array, IntArray, slice_inputs

# Below 16 levels errors follow the inputs and add up over converters; above, they are as good as
# independent, and histograms are as good as a measurement.
_MEASURED_BITS = 4
# Vectors that are executed: the variance of an output's error is then known to 9 %, and the mean
# over outputs better.
_VECTORS = 256
_MOST_CONVERSIONS = 1 << 33
"""Beyond this a layer is judged by its histograms alone, but for what 0 bits leave out."""


def measured_errors(step: CrossbarStep, table: Table, vectors: IntArray) -> Float64Array:
    """Error of an accumulator for each setting group and number of bits, mean subtracted.

    Args:
        step: the layer.
        table: its settings, and the errors of the model.
        vectors: some of the layer's input vectors; axes: vector, group, input.

    Returns:
        Axes: row block, setting group, input slice or 1, bits. What was measured over all row
        blocks is shared out as the model has it.
    """
    whole = _over_blocks(step, table, vectors)
    model = table.error.sum(axis=0)
    known = model > 0
    ratio = np.where(known, whole / np.where(known, model, 1.0), 0.0)
    even = np.where(known, 0.0, whole) / len(table.error)
    shared: Float64Array = table.error * ratio + even
    return shared


def _over_blocks(step: CrossbarStep, table: Table, vectors: IntArray) -> Float64Array:
    """Errors of all row blocks together; axes: setting group, input slice or 1, bits."""
    errors: Float64Array = np.array(table.error.sum(axis=0), dtype=np.float64)
    if not len(vectors):
        return errors
    some = vectors[np.linspace(0, len(vectors) - 1, min(len(vectors), _VECTORS)).astype(np.int64)]
    errors[..., 0] = _silence(step, table, some)
    places = step.groups * len(step.tiling.segment_block) * step.conversions
    runs = _MEASURED_BITS * errors.shape[1] ** 2
    if places * len(some) * runs * step.input_slices > _MOST_CONVERSIONS or not fits_lookup(step):
        return errors
    measured = min(_MEASURED_BITS, errors.shape[2] - 1)
    model = errors.copy()
    for number in range(errors.shape[0]):
        mask = table.groups.member[:, step.tiling.segment_block] == number
        exact = SlicedLayer(replace(step, adc=_bits(step, table, {})), mask)
        wanted = exact.accumulate(some, None)
        for place, bits in np.ndindex(errors.shape[1], measured):
            if errors[number, place, bits + 1] > 0:
                settings = _bits(step, table, {(number, place): bits + 1})
                layer = SlicedLayer(replace(step, adc=settings), mask)
                off = (layer.accumulate(some, None) - wanted).astype(np.float64)
                # The mean is subtracted digitally, so the variance is what stays.
                errors[number, place, bits + 1] = off.var(axis=0).mean()
    known = np.maximum(model[..., measured], 1e-300)
    # Wider converters are as far from the model as the widest that was measured, and never better
    # than it: what follows the inputs only adds.
    ratio = np.clip(errors[..., measured] / known, 1.0, 100.0)
    errors[..., measured + 1 :] *= ratio[..., None]
    return errors


def _bits(step: CrossbarStep, table: Table, few: dict[tuple[int, int], int]) -> AdcSettings:
    """Settings with the widest converters, but for some groups and slices."""
    widest = np.full(table.lo.shape[1:3], table.lo.shape[3] - 1, dtype=np.int64)
    for place, bits in few.items():
        widest[place] = bits
    return settings_of(step, table, widest[None], "trial")


def _silence(step: CrossbarStep, table: Table, vectors: IntArray) -> Float64Array:
    """Error of a group that makes no conversions at all: the spread of its whole share."""
    count, slices = len(table.groups.kinds), table.lo.shape[2]
    planes = slice_inputs(vectors.astype(np.int64), step.dac_bits, step.input_slices)
    scale = np.int64(1) << (step.dac_bits * np.arange(step.input_slices, dtype=np.int64))
    fed = planes * scale[:, None, None, None]
    fed = (fed.sum(axis=0, keepdims=True) if slices == 1 else fed).astype(np.float64)
    member = table.groups.member[:, step.tiling.segment_block]
    beta = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
    error = np.zeros((count, slices))
    for number in range(count):
        weights = (effective_weights(step, member == number) - beta).astype(np.float64)
        share = fed.transpose(0, 2, 1, 3) @ weights
        error[number] = share.var(axis=2).mean(axis=(1, 2))
    return error
