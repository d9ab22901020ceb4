"""Which inputs lie together in a row block.

Energy that grows as `2**b` hardly cares how a column's sum is split over blocks, energy that grows
as `b` prefers one dense block and one sparse one, and steps of whole bits favour now this, now
that. So some orders are tried on the layer's own weights, and the cheapest one is taken.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from xbarc.mapping.converters import BOTH_LAWS, WidthCosts
from xbarc.mapping.recoding import Spelling, digit_sums, recode
from xbarc.mapping.tiling import segment_bounds
from xbarc.numerics import IntArray

# Each order is judged by recoding these outputs quickly, evenly spread: recoding all would take
# as long as the layer itself, three times.
_OUTPUTS_TRIED = 64
_TRIED_WEIGHTS = 1 << 18
"""Weights that an order is tried on; layers with more inputs are tried on fewer outputs."""


def deal_rows(
    weights: IntArray,
    bounds: IntArray,
    active_rows: int,
    cell_bits: int,
    law: WidthCosts = BOTH_LAWS,
    *,
    held: bool = False,
) -> IntArray:
    """Input of each row, in the order whose converters cost least.

    Args:
        weights: axes: group, input, output. Groups share the order.
        bounds: first row of each row block, and the end.
        active_rows: rows that are converted together.
        cell_bits: width of a cell.
        law: what a conversion costs.
        held: whether the work on each weight is held down.
    """
    most = min(_OUTPUTS_TRIED, 1 + _TRIED_WEIGHTS // (weights.shape[0] * weights.shape[1]))
    outputs = np.unique(np.linspace(0, weights.shape[2] - 1, most).astype(np.int64))
    tried = weights[:, :, outputs]
    slices = max(1, -(-int(np.abs(tried).max(initial=0)).bit_length() // cell_bits))
    segments = segment_bounds(bounds, active_rows)
    best: IntArray = np.arange(weights.shape[1])
    least = np.inf
    for order in _orders(weights, np.diff(bounds)):
        digits = recode(
            tried[:, order],
            segments,
            Spelling(slices, cell_bits, law=law.cost),
            quick=True,
            of_many=held,
        )
        cost = sum(float(law.of_sums(sums).sum()) for sums in digit_sums(digits, segments))
        if cost < least:
            best, least = order, cost
    return best.astype(np.int32)


def _orders(weights: IntArray, size: IntArray) -> Iterator[IntArray]:
    """As they come, large ones together, and large ones spread evenly; size: rows of a block."""
    count = weights.shape[1]
    yield np.arange(count)
    energy = (weights.astype(np.float64) ** 2).sum(axis=(0, 2))
    falling = np.argsort(-energy, kind="stable")
    yield falling
    blocks = len(size)
    turn, place = np.arange(count) // blocks, np.arange(count) % blocks
    # Back and forth over the blocks (0 1 2 2 1 0), so that none gets all the larger ones of a pair.
    yield _fill_blocks(falling, np.where(turn % 2, blocks - 1 - place, place), size)


def _fill_blocks(falling: IntArray, wanted: IntArray, size: IntArray) -> IntArray:
    """Rows by block; one that finds its block full goes to the next with room."""
    members: list[list[int]] = [[] for _ in size]
    for row, block in zip(falling.tolist(), wanted.tolist(), strict=True):
        at = block
        while len(members[at]) >= size[at]:
            at = (at + 1) % len(size)
        members[at].append(row)
    return np.array([row for rows in members for row in rows])
