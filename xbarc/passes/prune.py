"""Pruning after training: the weights that matter least become zero, and the rest compensates.

`balanced` keeps as many weights of every output in every set of rows that will share an array, so
that no column stays dense; `free` keeps the largest of the whole layer. With second moments of the
inputs the choice weighs a weight by what it does to the outputs, and the kept weights and an offset
take over what the zeros leave out. They aim at the products of the exact network, so that they also
compensate what the layers before them lost: by least squares, in a few rounds since a weight
matters more once others are gone (after Hassibi & Stork 1993), or on very wide layers row by row
(after Frantar & Alistarh 2023, SparseGPT, arXiv 2301.00774).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, product

import numpy as np

from xbarc.ir import FloatResult, FloatWeight, LazyTensor, MatrixLayer, Result, SecondMoments
from xbarc.numerics import BoolArray, Float64Array
from xbarc.options import Pruning

# 1 % of the mean square, as in GPTQ (Frantar et al., 2023): inverses stay well conditioned where
# inputs are never active, or samples are fewer than inputs.
_DAMPING = 0.01
_MOST_WORK = 2.0**37
"""Multiplications up to which the kept weights are solved for, output by output."""

_ROUNDS = (0.5, 0.8, 1.0)
"""Shares of what is to go that are gone after each round of choosing."""


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
    result = layer.result
    if moments is None:
        values = np.where(keep_mask(np.abs(weights), pruning, rows), weights, 0.0)
    else:
        pairs = [_fed_back(w, pruning, rows, moments, group) for group, w in enumerate(weights)]
        values = np.stack([found for found, _ in pairs])
        result = _shift_offset(result, np.concatenate([offset for _, offset in pairs]))
    pruned = values.astype(np.float32)
    pruned.flags.writeable = False
    weight = FloatWeight(LazyTensor(pruned.shape, lambda: pruned))
    return replace(layer, weight=weight, result=result)


def _shift_offset(result: Result, offset: Float64Array) -> Result:
    """The result with an offset for each product, where it has room for one."""
    if not isinstance(result, FloatResult) or len(result.bias) != len(offset):
        return result
    bias = (result.bias + offset * result.scale).astype(np.float32)
    bias.flags.writeable = False
    return replace(result, bias=bias)


def keep_mask(saliency: Float64Array, pruning: Pruning, rows: int) -> BoolArray:
    """Weights that stay; axes: group, input, output."""
    if pruning.pattern == "free":
        # Stable: equal weights, of which binary and coarse nets have many, go in one order on every
        # machine.
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


@dataclass(frozen=True, eq=False)
class _Block:
    """Inputs whose products with each other are known, means subtracted.

    Attributes:
        rows: which.
        moments: products of inputs, damped; axes: input, input.
        wanted: products of inputs and exact outputs, damped towards the weights; axes: input,
            output.
        means: mean of each input, and of the block's share of each output.
    """

    rows: slice
    moments: Float64Array
    wanted: Float64Array
    means: tuple[Float64Array, Float64Array]

    @property
    def work(self) -> float:
        """Multiplications of solving for the kept weights of every output."""
        return float(self.wanted.shape[1] * len(self.moments) ** 3.0)


def _blocks(weights: Float64Array, moments: SecondMoments, group: int) -> list[_Block]:
    blocks, count = [], moments.count
    for number, (first, last) in enumerate(pairwise(int(bound) for bound in moments.bounds)):
        rows = slice(first, last)
        x = moments.input_sum[group, rows] / count
        y = moments.target_sum[number, group] / count
        # Means are subtracted: what a constant input adds goes into the offset of the output, and
        # no kept weight has to make up for it.
        plain = moments.inputs[number][group] / count - np.outer(x, x)
        both = moments.targets[group, rows] / count - np.outer(x, y)
        damped, damping = _damp_moments(plain)
        # Damped towards the model's own weights and not towards 0: an input that is never active
        # keeps its weights.
        blocks.append(_Block(rows, damped, both + damping * weights[rows], (x, y)))
    return blocks


def _fed_back(
    weights: Float64Array, pruning: Pruning, rows: int, moments: SecondMoments, group: int
) -> tuple[Float64Array, Float64Array]:
    """One group's weights and the offset of each output."""
    blocks = _blocks(weights, moments, group)
    factors = [_factor(block.moments) for block in blocks]
    found = np.concatenate([np.linalg.solve(b.moments, b.wanted) for b in blocks])
    scale = np.concatenate([np.diag(factor) for factor in factors])
    saliency = np.abs(found) / scale[:, None]
    # An inverse for each output is exact for the weights that stay, and costs rows^3 each; the
    # sweep (optimal brain surgeon, as GPTQ orders it) shares one factor among all outputs.
    if sum(block.work for block in blocks) < _MOST_WORK:
        found = _solve_weights(blocks, saliency, pruning, rows)
    else:
        kept = keep_mask(saliency[None], pruning, rows)[0]
        for block, factor in zip(blocks, factors, strict=True):
            found[block.rows] = _swept(found[block.rows], kept[block.rows], factor)
    offset = sum(block.means[1] - block.means[0] @ found[block.rows] for block in blocks)
    return found, np.asarray(offset)


def _solve_weights(
    blocks: list[_Block], saliency: Float64Array, pruning: Pruning, rows: int
) -> Float64Array:
    """The kept weights of each output by least squares, chosen anew after each round."""
    found = np.zeros_like(saliency)
    for share in _ROUNDS:
        part = replace(pruning, share=pruning.share * share)
        kept = keep_mask(saliency[None], part, rows)[0]
        # A round sees only what is left: a weight that went has saliency 0 and goes again.
        found, saliency = np.zeros_like(found), np.zeros_like(found)
        for block, output in product(blocks, range(found.shape[1])):
            stays = np.flatnonzero(kept[block.rows, output])
            inverse = np.linalg.inv(block.moments[np.ix_(stays, stays)])
            values = inverse @ block.wanted[stays, output]
            places = block.rows.start + stays
            found[places, output] = values
            saliency[places, output] = np.abs(values) / np.sqrt(np.diagonal(inverse))
    return found


def _swept(weights: Float64Array, kept: BoolArray, factor: Float64Array) -> Float64Array:
    """Row by row: what a zero leaves out goes into the rows still to come."""
    found = weights.copy()
    for i in range(len(weights)):
        gone = np.where(kept[i], 0.0, found[i]) / factor[i, i]
        found[i + 1 :] -= factor[i, i + 1 :, None] * gone
        found[i] = np.where(kept[i], found[i], 0.0)
    return found


def _damp_moments(moments: Float64Array) -> tuple[Float64Array, float]:
    """Products of inputs with a part of the mean square added, so that none is singular."""
    damping = _DAMPING * (float(np.diagonal(moments).mean()) or 1.0)
    return moments + damping * np.eye(len(moments)), damping


def _factor(damped: Float64Array) -> Float64Array:
    """Upper Cholesky factor of the inverse: its diagonal weighs what a zero would do."""
    factor: Float64Array = np.linalg.cholesky(np.linalg.inv(damped)).T
    return factor
