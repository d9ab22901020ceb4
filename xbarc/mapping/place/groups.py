"""Columns that were grouped by converter: groups change places, and nothing leaves its group.

What a converter must resolve is the widest of its columns, so grouping sets the bits. Whole groups
may change places without changing a bit of any converter: the wires get what freedom is left.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.numerics import Float64Array, IntArray


def arrange_groups(step: CrossbarStep, weight: Float64Array, shared: int) -> CrossbarStep:
    """Heaviest groups nearest to the drivers, in each block on its own.

    Args:
        step: a layer with a `column_order`.
        weight: of its cells; axes: row, column.
        shared: bitlines of a converter.
    """
    tiling = step.tiling
    if tiling.column_order is None:
        return step
    order = np.array(tiling.column_order)
    own = [weight[a:b].sum(axis=0) for a, b in pairwise(tiling.row_bounds.tolist())]
    for g, i in product(*map(range, order.shape[:2])):
        total = own[i] if order.shape[1] > 1 else np.sum(own, axis=0)
        groups = slice(g, g + 1) if order.shape[0] > 1 else slice(None)
        blocks = slice(i, i + 1) if order.shape[1] > 1 else slice(None)
        for j, (first, last) in enumerate(pairwise(tiling.column_bounds.tolist())):
            phase = np.unique(np.asarray(tiling.column_offset[groups, blocks, j]) % shared)
            # Blocks of one order that begin at different places of a converter have no groups in
            # common.
            if phase.size == 1:
                part = slice(first, last)
                order[g, i, part] = _move_groups(
                    order[g, i, part], total[part], int(phase[0]), shared
                )
    return replace(step, tiling=replace(tiling, column_order=order))


def _move_groups(places: IntArray, weight: Float64Array, phase: int, shared: int) -> IntArray:
    """Places after whole groups have changed theirs; cut groups at the ends stay."""
    converter = (places + phase) // shared
    numbers, sizes = np.unique(converter, return_counts=True)
    # Cut groups share their converter with another block, and must stay where they are.
    full = numbers[sizes == shared]
    heavy = np.array([weight[converter == number].sum() for number in full])
    moved = np.array(places)
    for slot, number in zip(full, full[np.argsort(-heavy, kind="stable")], strict=True):
        inside = converter == number
        moved[inside] = places[inside] + (slot - number) * shared
    return moved
