"""Terms that make trained cells cheaper to read, as functions of a job.

Each takes a `TrainJob` and gives a scalar tensor; `job.regularise(term, weight)` adds one.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from xbarc.mapping import converter_keys
from xbarc.numerics import IntArray
from xbarc.target import Target
from xbarc.train.job import TrainJob
from xbarc.train.layer import ProgramLayer

Law = Literal["bits", "levels"]

# Keeps the quotient of an empty column finite, as the authors of D.U.B. have it.
_EMPTY = 1e-6


def _written(layer: ProgramLayer) -> Tensor:
    """What conversions see of the cells as written: a converter is not sized for a deviation."""
    return layer.table(layer.written_levels())


def _pieces(layer: ProgramLayer, table: Tensor) -> Iterator[Tensor]:
    """What the conversions of one segment see of each row; axes: group, row, conversion."""
    bounds = [int(bound) for bound in layer.step.tiling.segment_bounds]
    for first, last in pairwise(bounds):
        yield table[:, first:last]


def _spans(layer: ProgramLayer, target: Target) -> Iterator[Tensor]:
    """How many sums each conversion has to tell apart, less one; one tensor a segment.

    It is what `adc_settings` sizes a lossless converter from: sums lie between all rows that take
    away and all rows that add, each at its largest input. Segments of a row block share a setting.
    Columns of one converter share its lower end, and its width too unless it stops early.
    """
    step, largest = layer.step, (1 << layer.step.dac_bits) - 1
    keys, blocks = converter_keys(step, target), step.tiling.segment_block
    pieces = [*_pieces(layer, _written(layer))]
    for block in np.unique(blocks):
        parts = [pieces[segment] for segment in np.flatnonzero(blocks == block)]
        # `clamp` would have a gradient at zero, and move cells that cost nothing.
        adds, takes = (
            torch.stack([torch.relu(sign * part).sum(1) for part in parts]).amax(0) * largest
            for sign in (1, -1)
        )
        key = np.broadcast_to(keys[:, block % keys.shape[1]], adds.shape)
        span = adds + _most_of(takes, key)
        if not target.adc.stops_early:
            span = _most_of(span, key)
        yield from (span for _ in parts)


def _most_of(values: Tensor, keys: IntArray) -> Tensor:
    """The largest of each converter in place of its own; axes of both: group, conversion."""
    # a group has arrays of its own
    apart = keys + np.arange(len(keys))[:, None] * (int(keys.max(initial=0)) + 1)
    numbers = np.unique(apart, return_inverse=True)[1].reshape(-1)
    place = torch.from_numpy(numbers.astype(np.int64)).to(values.device)
    none = values.new_zeros(int(numbers.max(initial=0)) + 1)
    most = none.scatter_reduce(0, place, values.reshape(-1), "amax")
    return most[place].reshape(values.shape)


def adc_energy(job: TrainJob, law: Law = "levels") -> Tensor:
    """Mean energy of a lossless conversion over all layers, as the cells would size it.

    A conversion that tells `n` sums apart takes `log2 n` bits; it costs in proportion to its bits,
    or to `2**bits = n`. Rounding bits up to whole ones is left out, so that there is a gradient.
    Our own surrogate.

    Args:
        job: the job.
        law: `bits` or `levels`.
    """
    total, count = torch.zeros((), device=next(job.parameters()).device), 0
    for layer in job.layers.values():
        for span in _spans(layer, job.program.target):
            total = total + (span.sum() if law == "levels" else torch.log2(1 + span).sum())
            count += span.numel()
    return total / max(1, count)


@torch.no_grad()
def lossless_levels(job: TrainJob) -> float:
    """Mean `2**bits` of a lossless conversion with the cells as they are, bits whole.

    Conversions that always read the same are made by nobody and count 0.
    """
    total, count = 0.0, 0
    for layer in job.layers.values():
        for span in _spans(layer, job.program.target):
            bits = torch.ceil(torch.log2(1 + span.double()))
            total += float(torch.where(span > 0, torch.exp2(bits), 0.0).sum())
            count += span.numel()
    return total / max(1, count)


def hoyer_balance(job: TrainJob) -> Tensor:
    """The loss of D.U.B. (arXiv 2403.13082), as we read the paper.

    `h = (sum |w|)^2 / (sum w^2 + 1e-6)` counts the cells of a column that matter. The term is the
    mean of `h` over the columns of a segment plus their variance, and only columns that are denser
    than the mean feel it: a converter is as wide as the densest column asks for.
    """
    total, count = torch.zeros((), device=next(job.parameters()).device), 0
    for layer in job.layers.values():
        for piece in _pieces(layer, _written(layer)):
            size = piece.abs().sum(1).square() / (piece.square().sum(1) + _EMPTY)
            mean = size.mean().detach()
            denser = torch.where(size > mean, size, size.detach())
            total = total + denser.mean() + (denser - mean).square().mean()
            count += 1
    return total / max(1, count)


def group_lasso(job: TrainJob) -> Tensor:
    """Mean Euclidean norm of a column's cells in a segment: whole columns fall to zero together."""
    total, count = torch.zeros((), device=next(job.parameters()).device), 0
    for layer in job.layers.values():
        for piece in _pieces(layer, _written(layer)):
            norms = torch.sqrt(piece.square().sum(1) + _EMPTY)
            total = total + norms.sum()
            count += norms.numel()
    return total / max(1, count)
