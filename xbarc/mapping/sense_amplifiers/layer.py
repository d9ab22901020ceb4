"""One binary layer onto arrays that are read by comparisons."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import (
    UP,
    AdcSettings,
    BinaryInput,
    CrossbarStep,
    FloatResult,
    IntWeight,
    MatrixLayer,
    Periphery,
    Sense,
    SignResult,
    Tiling,
)
from xbarc.mapping.pack import ArrayPool
from xbarc.mapping.sense_amplifiers.search import (
    SplitSums,
    ThresholdFit,
    mean_thresholds,
    mean_totals,
)
from xbarc.mapping.sense_amplifiers.split import Wordlines, wordlines
from xbarc.numerics import Float64Array, Int64Array, IntArray, UInt8Array, pack_cells
from xbarc.options import SenseOptions
from xbarc.target import Target

FEWEST = 7
"""Comparisons of an output whose sum is counted: fewer tell too little of it."""

# An output compares at up to three levels on columns that are free: each is a conversion more.
_MOST_SPARE = 3


@dataclass(frozen=True, eq=False)
class _SenseJob:
    """What the functions below share.

    Attributes:
        weights: -1, 0 and +1, turned round where the comparison was; axes: group, input, output.
        threshold: a sum of products fires from here on; axes: group, output. None where the layer
            has no sign.
    """

    layer: MatrixLayer
    weights: IntArray
    threshold: Int64Array | None
    lines: Wordlines
    levels: int


def map_senses(
    layer: MatrixLayer, target: Target, options: SenseOptions, pool: ArrayPool
) -> CrossbarStep:
    """Cells, wordlines and even thresholds of a binary layer.

    One group alone is exact: its threshold is the layer's. With several groups every group compares
    with its equal share, and a majority, ties included, decides.

    Raises:
        MappingError: the layer cannot be split within the target; the message says why.
    """
    job = _job(layer, target, options)
    cells, periphery, tiling = _place_columns(job, target, pool)
    thresholds = even_thresholds(job)
    width = np.full((1, 1, 1, 1), job.levels.bit_length(), dtype=np.uint8)
    zero = np.zeros((1, 1, 1, 1), dtype=np.int32)
    value = "" if layer.pooling is None else layer.pooling.value
    step = CrossbarStep(
        **layer.head(),
        tiling=tiling,
        cells=pack_cells(cells, target.cell.bits),
        periphery=periphery,
        adc=AdcSettings(width, zero, zero + 1, "sense"),
        input_bits=1,
        dac_bits=target.input.dac_bits,
        encoding=options.sense_rows,
        weight_bits=2,
        weight_slices=1,
        inputs=layer.rows,
        outputs=layer.outputs,
        sense=Sense(thresholds, job.lines.drive, value),
    )
    if job.threshold is None:
        return with_counts(step, layer, blind_counts(job))
    return replace(step, result=_with_votes(layer, majority(job)))


def _job(layer: MatrixLayer, target: Target, options: SenseOptions) -> _SenseJob:
    if not isinstance(layer.weight, IntWeight) or not isinstance(layer.quantizer, BinaryInput):
        raise MappingError("the layer is not binary", where=layer.name)
    weights = np.asarray(layer.weight.tensor.load()).astype(np.int8)
    threshold = None
    result = layer.result
    if isinstance(result, SignResult):
        shape = (layer.groups, layer.outputs)
        turned = result.flip.astype(np.bool_).reshape(shape)
        plain = result.threshold.reshape(shape)
        # `z < t` for whole z is `-z >= 1 - t`: an output that falls compares the negative sum.
        threshold = np.where(turned, 1 - plain, plain)
        weights = np.where(turned[:, None, :], -weights, weights).astype(np.int8)
    elif not isinstance(result, FloatResult):
        raise MappingError(f"a {result.kind} result cannot be compared", where=layer.name)
    lines = wordlines(layer, target, options)
    levels = _levels(layer, target, options, lines)
    if levels > 1 and options.split == "strided":  # sums that are read finely are best read once
        lines = wordlines(layer, target, options.changed(split="partition"))
    return _SenseJob(layer, weights, threshold, lines, levels)


def _levels(layer: MatrixLayer, target: Target, options: SenseOptions, lines: Wordlines) -> int:
    """Comparisons a conversion."""
    counted = isinstance(layer.result, FloatResult)
    levels = 1 if lines.groups == 1 and not counted else options.levels
    if options.spare_columns and lines.groups > 1:
        levels = max(levels, min(_MOST_SPARE, target.array.columns // _width(layer, lines)))
    if not counted:
        return levels
    return max(levels, next(n for n in (1, 3, 7) if n == 7 or n * lines.groups >= FEWEST))


def _width(layer: MatrixLayer, lines: Wordlines) -> int:
    """Columns of all outputs of one group's matrix."""
    return layer.outputs * (2 if lines.copies == 1 else 1)


def _place_columns(
    job: _SenseJob, target: Target, pool: ArrayPool
) -> tuple[UInt8Array, Periphery, Tiling]:
    weights, lines = job.weights, job.lines
    groups, _, outputs = weights.shape
    wide = 2 if lines.copies == 1 else 1
    per_block = target.array.columns // wide
    if not per_block:
        raise MappingError(
            f"an output needs {wide} columns, an array has {target.array.columns}",
            where=job.layer.name,
        )
    blocks = np.append(np.arange(0, outputs, per_block), outputs).astype(np.int32)
    bounds = blocks * wide
    array, row_offset, column_offset = pool.place(groups, np.diff(lines.bounds), np.diff(bounds))
    tiling = Tiling(
        row_input=lines.inputs,
        row_bounds=lines.bounds,
        segment_bounds=lines.bounds,
        column_bounds=bounds.astype(np.int32),
        conversion_bounds=blocks,
        array=array,
        row_offset=row_offset,
        column_offset=column_offset,
    )
    return _cells(job), _periphery(groups, outputs, wide), tiling


def _cells(job: _SenseJob) -> UInt8Array:
    """A cell conducts where its wordline's direction is the weight's; axes: group, row, column."""
    weights = job.weights[:, job.lines.inputs]
    if job.lines.copies == 1:
        pairs = np.stack([weights > 0, weights < 0], axis=-1)
        return pairs.reshape(*weights.shape[:2], -1).astype(np.uint8)
    up = (job.lines.drive & UP) != 0
    cells: UInt8Array = np.where(up[None, :, None], weights > 0, weights < 0).astype(np.uint8)
    return cells


def _periphery(groups: int, outputs: int, wide: int) -> Periphery:
    conversions = np.arange(outputs, dtype=np.int32)
    columns = np.arange(outputs * wide, dtype=np.int32)
    none = np.zeros(0, dtype=np.int32)
    signs = np.where(columns % 2, -1, 1).astype(np.int8)
    return Periphery(
        a_conversion=columns // 2 if wide == 2 else none,
        a_column=columns if wide == 2 else none,
        a_sign=signs if wide == 2 else none.astype(np.int8),
        r_output=conversions,
        r_conversion=conversions,
        r_code=np.ones((1, 1, outputs), dtype=np.int8),
        constant=np.zeros(groups * outputs, dtype=np.int64),
        input_sum=np.zeros(groups * outputs, dtype=np.int64),
    )


def _halves(job: _SenseJob) -> tuple[Int64Array, int]:
    """`z = factor S - offset` of each split; axes of offset: group, split, output."""
    lines = job.lines
    counted, factor = np.abs(job.weights), 2
    if lines.copies == 1:
        counted = job.weights  # z = 2 S - sum w, S the difference of two columns
    per_copy = max(1, lines.copies // 2)
    parts = [
        counted[:, np.unique(lines.inputs[first:last])].sum(axis=1, dtype=np.int64)
        for first, last in zip(lines.bounds[:-1], lines.bounds[1:], strict=True)
    ]
    if per_copy == 2:  # two pairs an input: 2 z = 2 S - 2 n
        factor = 1
    return np.stack(parts, axis=1), factor


def even_thresholds(job: _SenseJob) -> IntArray:
    """Equal shares of the layer's threshold; axes: group, segment, conversion, level."""
    offset, factor = _halves(job)
    sizes = np.diff(job.lines.bounds) / (job.layer.rows * job.lines.copies)
    target = np.zeros(offset.shape[::2]) if job.threshold is None else job.threshold
    share = target[:, None, :] * sizes[None, :, None]
    if job.lines.groups == 1 and job.threshold is not None:
        return _whole(job.threshold[:, None, :], offset, factor)[..., None].astype(np.int32)
    spread = np.sqrt(np.maximum(1, np.abs(offset)))[..., None] * level_places(job.levels)
    levels = share[..., None] + spread
    whole: IntArray = np.ceil((levels + offset[..., None]) / factor).astype(np.int32)
    return whole


def mean_start(
    layer: MatrixLayer, target: Target, options: SenseOptions, seen: SplitSums, shift: int
) -> IntArray:
    """Each group compares with its mean on data, moved by its share of the layer's threshold.

    Args:
        layer: integer weights.
        target: the chip.
        options: as for `map_senses`.
        seen: sums on data.
        shift: what was added to each sum.
    """
    job = _job(layer, target, options)
    offset, factor = _halves(job)
    share = np.zeros(offset.shape[::2])
    if job.threshold is not None:
        total = job.threshold * job.lines.share + offset.sum(axis=1)
        due = total / factor + shift * job.lines.groups
        share = due - mean_totals(seen)
    return mean_thresholds(seen, share, level_places(job.levels))


def _whole(share: Int64Array, offset: Int64Array, factor: int) -> Int64Array:
    return -((-(share + offset)) // factor)


# Thresholds of the quantisers of 2, 3, 4 and 8 levels in table I of Max, "Quantizing for minimum
# distortion", IRE Transactions on Information Theory 6, 1960, to two digits.
_PLACES = {
    1: (0.0,),
    2: (-0.61, 0.61),
    3: (-0.98, 0.0, 0.98),
    7: (-1.75, -1.05, -0.5, 0.0, 0.5, 1.05, 1.75),
}


def level_places(levels: int) -> Float64Array:
    """Thresholds of a quantiser of least error for a normal variable, in standard deviations."""
    return np.array(_PLACES[levels])


def majority(job: _SenseJob) -> Int64Array:
    """Votes that decide: half of them, a tie included; axis: output of all groups."""
    votes = job.lines.groups * job.levels
    return np.full(job.weights.shape[0] * job.weights.shape[2], -(-votes // 2), dtype=np.int64)


def _with_votes(layer: MatrixLayer, votes: Int64Array) -> SignResult:
    result = layer.result
    if not isinstance(result, SignResult):
        raise TypeError("only a sign can be voted on")
    return replace(result, threshold=votes, flip=np.zeros(votes.shape, dtype=np.uint8))


def blind_counts(job: _SenseJob) -> tuple[Float64Array, Float64Array]:
    """Slope and start of the sum as counts tell it, for normal sums of independent terms."""
    offset, _ = _halves(job)
    sizes = np.abs(offset).astype(np.float64) if job.lines.copies > 1 else None
    if sizes is None:
        sizes = np.broadcast_to(np.diff(job.lines.bounds)[None, :, None], offset.shape)
    sigma = np.sqrt(np.maximum(1.0, sizes)).mean(axis=1)
    slope = sigma * count_slope(job.levels) / job.lines.share
    start = -slope * job.lines.groups * job.levels / 2
    return slope.reshape(-1), start.reshape(-1)


def count_slope(levels: int) -> float:
    """`cov(x, code) / var(code)` for a normal x of unit variance."""
    grid = np.linspace(-6, 6, 24001)
    weight = np.exp(-(grid**2) / 2)
    code = (grid[:, None] >= level_places(levels)).sum(axis=1) - levels / 2
    return float((weight * grid * code).sum() / (weight * code**2).sum())


def with_counts(
    step: CrossbarStep, layer: MatrixLayer, line: tuple[Float64Array, Float64Array]
) -> CrossbarStep:
    """Read the layer's real sum `z` as `slope * count + start`."""
    result, quantizer = layer.result, step.quantizer
    if not isinstance(result, FloatResult) or not isinstance(quantizer, BinaryInput):
        raise TypeError("only real results of binary layers are counted")
    slope, start = line
    scale = result.scale.astype(np.float64)
    unit = float(np.float32(quantizer.scale))
    bias = result.bias + start * scale * unit
    counted = FloatResult((scale * slope).astype(np.float32), bias.astype(np.float32), result.dtype)
    return replace(step, result=counted)


def with_thresholds(step: CrossbarStep, fit: ThresholdFit) -> CrossbarStep:
    """The same layer with thresholds and votes that were found from data."""
    if step.sense is None or not isinstance(step.result, SignResult):
        raise TypeError("the layer has no votes")
    sense = replace(step.sense, thresholds=fit.thresholds)
    votes = fit.votes.reshape(-1)
    return replace(step, sense=sense, result=replace(step.result, threshold=votes))


def can_be_fitted(step: CrossbarStep) -> bool:
    """Whether data can say more than the weights: several groups, or a sum that is only counted."""
    split = len(step.tiling.segment_bounds) > 2
    return step.sense is not None and (split or isinstance(step.result, FloatResult))


__all__ = [
    "blind_counts",
    "can_be_fitted",
    "even_thresholds",
    "map_senses",
    "mean_start",
    "with_counts",
    "with_thresholds",
]
