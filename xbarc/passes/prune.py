"""Pruning after training: the weights that matter least become zero, and the rest makes it good.

`balanced` keeps as many weights of every output in every set of rows that will share an array, so
that no column stays dense; `free` keeps the largest of the whole layer. With second moments of the
inputs the choice weighs a weight by what it does to the outputs, and the kept weights take over
what the zeros leave out: by least squares, or on very wide layers row by row (after Frantar &
Alistarh 2023, SparseGPT, arXiv 2301.00774).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir.network import FloatWeight, LazyTensor, MatrixLayer
from xbarc.ir.statistics import SecondMoments
from xbarc.numerics.types import BoolArray, Float64Array

PrunePattern = Literal["balanced", "free"]
_DAMPING = 0.01
_MOST_WORK = 2.0**37
"""Multiplications up to which the kept weights are solved for, output by output."""


@dataclass(frozen=True)
class Pruning:
    """What to prune.

    Attributes:
        share: weights that become zero, 0 to below 1.
        pattern: `balanced` or `free`.
    """

    share: float
    pattern: PrunePattern = "balanced"

    def __str__(self) -> str:
        return f"{self.share:g} {self.pattern}"


def parse_pruning(text: str) -> Pruning:
    """`0.5`, `0.5:balanced` or `0.5:free`.

    Raises:
        MappingError: neither.
    """
    number, _, pattern = text.partition(":")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    pattern = pattern or "balanced"
    if not 0 <= share < 1 or pattern not in get_args(PrunePattern):
        hint = "the share of weights to drop, such as 0.5 or 0.75:free"
        raise MappingError(f"'{text[:20]}' is not available", where="--prune", hint=hint)
    return Pruning(share, "free" if pattern == "free" else "balanced")


def prune_weights(
    layer: MatrixLayer, pruning: Pruning, rows: int, moments: SecondMoments | None = None
) -> MatrixLayer:
    """The layer with weights set to zero; layers that arrive with integers keep theirs.

    Args:
        layer: with real weights.
        pruning: how many, and in which pattern.
        rows: rows of an array, over which `balanced` is even.
        moments: of the layer's input vectors; None leaves the kept weights as they are.
    """
    if not isinstance(layer.weight, FloatWeight) or not pruning.share:
        return layer
    weights = np.array(layer.weight.tensor.load(), dtype=np.float64)
    if moments is None:
        kept = keep_mask(np.abs(weights), pruning, rows)
        values = np.where(kept, weights, 0.0)
    else:
        values = np.stack(
            [_fed_back(w, pruning, rows, moments, group) for group, w in enumerate(weights)]
        )
    pruned = values.astype(np.float32)
    pruned.flags.writeable = False
    return replace(layer, weight=FloatWeight(LazyTensor(pruned.shape, lambda: pruned)))


def keep_mask(saliency: Float64Array, pruning: Pruning, rows: int) -> BoolArray:
    """Weights that stay; axes: group, input, output."""
    if pruning.pattern == "free":
        order = np.argsort(saliency, axis=None, kind="stable")
        kept = np.ones(saliency.size, dtype=np.bool_)
        kept[order[: round(saliency.size * pruning.share)]] = False
        return kept.reshape(saliency.shape)
    kept = np.ones(saliency.shape, dtype=np.bool_)
    for start in range(0, saliency.shape[1], rows):
        part = saliency[:, start : start + rows]
        order = np.argsort(part, axis=1, kind="stable")
        dropped = order[:, : round(part.shape[1] * pruning.share)]
        np.put_along_axis(kept[:, start : start + rows], dropped, False, axis=1)
    return kept


def _fed_back(
    weights: Float64Array, pruning: Pruning, rows: int, moments: SecondMoments, group: int
) -> Float64Array:
    """One group's weights; blocks whose products of inputs are known are pruned one by one."""
    spans = list(pairwise(int(bound) for bound in moments.bounds))
    damped = [_damped(block[group]) for block in moments.inputs]
    factors = [_factor(block) for block in damped]
    scale = np.concatenate([np.diag(factor) for factor in factors])
    kept = keep_mask((np.abs(weights) / scale[:, None])[None], pruning, rows)[0]
    found = weights.copy()
    for (first, last), block, factor in zip(spans, damped, factors, strict=True):
        part, stays = weights[first:last], kept[first:last]
        work = weights.shape[1] * float(last - first) ** 3
        solve = _solved if work < _MOST_WORK else _swept
        found[first:last] = solve(part, stays, block, factor)
    return found


def _solved(
    weights: Float64Array, kept: BoolArray, moments: Float64Array, factor: Float64Array
) -> Float64Array:
    """The kept weights of each output, by least squares on the output's own inputs."""
    del factor
    found = np.zeros_like(weights)
    wanted = moments @ weights
    for output in range(weights.shape[1]):
        stays = np.flatnonzero(kept[:, output])
        inside = moments[np.ix_(stays, stays)]
        found[stays, output] = np.linalg.solve(inside, wanted[stays, output])
    return found


def _swept(
    weights: Float64Array, kept: BoolArray, moments: Float64Array, factor: Float64Array
) -> Float64Array:
    """Row by row: what a zero leaves out goes into the rows still to come."""
    del moments
    found = weights.copy()
    for i in range(len(weights)):
        gone = np.where(kept[i], 0.0, found[i]) / factor[i, i]
        found[i + 1 :] -= factor[i, i + 1 :, None] * gone
        found[i] = np.where(kept[i], found[i], 0.0)
    return found


def _damped(moments: Float64Array) -> Float64Array:
    """Products of inputs with a part of the mean square added, so that none is singular."""
    damped = moments.copy()
    damped[np.diag_indices_from(damped)] += _DAMPING * (np.diagonal(moments).mean() or 1.0)
    return damped


def _factor(damped: Float64Array) -> Float64Array:
    """Upper Cholesky factor of the inverse: its diagonal weighs what a zero would do."""
    factor: Float64Array = np.linalg.cholesky(np.linalg.inv(damped)).T
    return factor
