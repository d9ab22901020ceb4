"""Which columns share a converter.

A converter that several columns take turns on is as wide as the widest of them, so columns of equal
width belong together: with converters of one size, dealing them out in sorted order is optimal. It
stays optimal in every array on its own. Where all row blocks of a layer must keep one order, or a
column may not move far, sorting is no longer the answer, and CP-SAT looks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from xbarc.ir import CrossbarStep, SolverRun, conversion_exponents, conversion_kinds, sum_ranges
from xbarc.mapping.converter_savings.assignment import Assigned, assign, group_cost
from xbarc.mapping.converters import LEVELS, WidthCosts
from xbarc.numerics import Int64Array, IntArray
from xbarc.options import ColumnRule, ColumnShares
from xbarc.target import Target

# One int64 sorts by kind first and by sum second: 40 bits for a sum, 23 for a kind.
_KIND = 40
_LARGEST = np.int64((1 << _KIND) - 1)


@dataclass(frozen=True, eq=False)
class Ordered:
    """An order of columns.

    Attributes:
        order: as `Tiling.column_order`; None where nothing is gained or columns cannot move.
        solved: what the solver found and proved, where one was asked.
    """

    order: IntArray | None
    solved: tuple[SolverRun, ...] = ()


def order_columns(
    step: CrossbarStep,
    target: Target,
    rule: ColumnRule,
    law: WidthCosts = LEVELS,
    shares: ColumnShares = "width",
) -> Ordered:
    """Bitlines for the columns of every block.

    Columns that one conversion subtracts stay neighbours; a chain, where neighbours share columns,
    stays as it is.

    Args:
        step: the layer.
        target: the chip.
        rule: what the wiring allows.
        law: what a conversion costs.
        shares: what the columns of a converter should have in common before anything else: kind,
            where widths come second, or the weight slice alone, so that pairs stay neighbours.
    """
    columns_each = _columns_each(step)
    if columns_each is None or target.adc.columns_per_adc == 1:
        return Ordered(None)
    sums, tiling = _largest_sums(step), step.tiling
    if shares == "kind":
        # Kind in the upper bits: sorting by this number sorts by kind first.
        sums = np.minimum(sums, _LARGEST) + (conversion_kinds(step)[0] << _KIND)
    if shares == "slice":
        slices = conversion_exponents(step)
        # With one slice there is nothing to tell apart, and columns of a chain cannot move.
        if (slices == slices[:1]).all() or _are_chained(step):
            return Ordered(None)
        sums = np.zeros_like(sums) + slices
    lead = (1, 1) if rule.common else sums.shape[:2]
    order = np.empty((*lead, step.cells.columns), dtype=np.int32)
    found: list[Assigned] = []
    bounds = zip(pairwise(tiling.conversion_bounds), pairwise(tiling.column_bounds), strict=True)
    for block, ((first, last), (column0, column1)) in enumerate(bounds):
        offsets = tiling.column_offset[:, :, block] // columns_each
        shared = max(1, target.adc.columns_per_adc // columns_each)
        part = sums[:, :, first:last]
        if rule.needs_solver:
            share = rule.effort / (len(tiling.conversion_bounds) - 1)
            found.append(assign(part, offsets, shared, rule.common, rule.reach, share, law))
            place = found[-1].place
        else:
            place = sorted_places(part, offsets, shared, law)
        columns = columns_each * place[..., None] + np.arange(columns_each)
        order[:, :, column0:column1] = columns.reshape(*place.shape[:2], -1)
    return Ordered(order, _solver_runs(found, law))


def _are_chained(step: CrossbarStep) -> bool:
    """Whether outputs share conversions, so that each stands between its neighbours."""
    p = step.periphery
    entries = np.unique(np.stack([p.r_conversion, p.r_output]), axis=1)
    return bool((np.bincount(entries[0], minlength=1) > 1).any())


def _solver_runs(found: list[Assigned], law: WidthCosts) -> tuple[SolverRun, ...]:
    """All blocks of the layer together."""
    if not found:
        return ()
    return (
        SolverRun(
            "column order",
            float(sum(item.objective for item in found)),
            float(sum(item.bound for item in found)),
            law.unit,
            sum(item.seconds for item in found),
            float(sum(item.sorted_cost for item in found)),
        ),
    )


def sorted_places(
    sums: Int64Array, offsets: IntArray, shared: int, law: WidthCosts = LEVELS
) -> Int64Array:
    """Place of each conversion in its block: widest first, ties by sum.

    Args:
        sums: largest sum of each conversion; axes: group, row block, conversion.
        offsets: first place of each block in its array; axes: group, row block.
        shared: places of a converter.
        law: what a conversion costs.
    """
    falling = np.argsort(-sums, axis=2, kind="stable")
    place = np.empty_like(falling)
    count = sums.shape[2]
    for phase in np.unique(offsets % shared).tolist():
        chosen = offsets % shared == phase
        slots = (phase + np.arange(count)) // shared
        ranked = np.take_along_axis(sums, falling, axis=2)[chosen]
        forward = group_cost(ranked, slots, law)
        backward = group_cost(ranked[:, ::-1], slots, law)
        # Blocks do not begin at a converter's first column: the short group may get the widest or
        # the narrowest columns, whichever costs less.
        run = np.where((forward <= backward)[:, None], np.arange(count), np.arange(count)[::-1])
        part = np.empty_like(run)
        np.put_along_axis(part, falling[chosen], run, axis=1)
        place[chosen] = part
    return place


def _columns_each(step: CrossbarStep) -> int | None:
    """Neighbouring columns of a conversion; None where conversions share columns."""
    periphery = step.periphery
    if not periphery.a_sign.size:
        return 1
    each = step.cells.columns // max(1, step.conversions)
    order = np.argsort(periphery.a_column, kind="stable")
    expected = np.repeat(np.arange(step.conversions), each)
    regular = np.array_equal(periphery.a_conversion[order], expected)
    columns = np.array_equal(periphery.a_column[order], np.arange(step.cells.columns))
    return each if regular and columns else None


def _largest_sums(step: CrossbarStep) -> Int64Array:
    """Span of each conversion over the segments of a block; axes: group, row block, conversion."""
    low, high = sum_ranges(step)
    starts = np.flatnonzero(np.diff(step.tiling.segment_block, prepend=-1))
    most, least = (
        np.maximum.reduceat(high, starts, axis=1),
        np.minimum.reduceat(low, starts, axis=1),
    )
    spans: Int64Array = most - least
    return spans
