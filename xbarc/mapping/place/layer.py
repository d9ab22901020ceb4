"""Order of rows and columns of one layer on wires whose matrix is known exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

import numpy as np

from xbarc.circuit import Importance, column_shares, real_weights, weight_error
from xbarc.ir import AdcSettings, CrossbarStep
from xbarc.mapping.place.assign import assign, assign_sorted
from xbarc.mapping.place.groups import arrange_groups
from xbarc.mapping.place.permute import (
    follows_cells,
    permute_columns,
    permute_rows,
    resize_converters,
    to_sense_side,
)
from xbarc.mapping.place.units import column_lines
from xbarc.numerics import Float64Array, Int64Array
from xbarc.options import PlacementName
from xbarc.target import Target

Wired = Callable[[CrossbarStep], Float64Array]
METHODS: tuple[str, ...] = get_args(PlacementName)


@dataclass(frozen=True, eq=False)
class Placed:
    """A layer in its place.

    Attributes:
        step: the layer.
        before, after: expected cost of the wires' error, as mapped and as placed.
        gap: of the assignments of columns, 0 where each is proven optimal for its prices.
        tried: orders that were solved exactly.
    """

    step: CrossbarStep
    before: float
    after: float
    gap: float
    tried: int


@dataclass(frozen=True, eq=False)
class PlacementJob:
    """What placement needs to know of a layer.

    Attributes:
        importance: of its inputs and outputs.
        wired: gives what the cells contribute at the end of the wires.
    """

    step: CrossbarStep
    target: Target
    importance: Importance
    wired: Wired

    def error(self, step: CrossbarStep) -> float:
        """Expected cost of the wires' error for this order."""
        wanted = real_weights(self.step, cells_of(self.step))
        return weight_error(wanted, real_weights(step, self.wired(step)), self.importance)


def cells_of(step: CrossbarStep) -> Float64Array:
    """Levels as numbers; axes: group, row, column."""
    return step.cells.unpack((slice(None),)).astype(np.float64)


def place_layer(job: PlacementJob, method: str, swaps: int = 0) -> Placed:
    """A layer in the order of a method.

    Args:
        job: the layer.
        method: one of `METHODS`, without `faults`.
        swaps: exchanges of neighbouring orders that are tried on the exact matrix, for `optimal`.
    """
    before = job.error(job.step)
    if method == "none":
        return Placed(job.step, before, before, 0.0, 1)
    if method != "optimal":
        step = job.step
        if method == "rows":
            step = order_rows(job, to_sense_side(step, job.target))
        else:
            step, _ = order_columns(job, step, weight_of=method)
        return Placed(resize_converters(step, job.target), before, job.error(step), 0.0, 2)
    best, cost, gap, tried = job.step, before, 0.0, 1
    for step, found_gap in _candidates(job):
        found, tried = job.error(step), tried + 1
        if found < cost:
            best, cost, gap = step, found, found_gap
    for step in _swap_units(best, swaps):
        found, tried = job.error(step), tried + 1
        if found < cost:
            best, cost = step, found
    return Placed(resize_converters(best, job.target), before, cost, gap, tried)


def _candidates(job: PlacementJob) -> Iterator[tuple[CrossbarStep, float]]:
    """Orders worth an exact solution: each sorting alone, then both in turn."""
    yield order_columns(job, job.step, weight_of="exact")
    # The near end first: rows are sorted among the wordlines that blocks really use.
    near = to_sense_side(job.step, job.target)
    yield near, 0.0
    rows = order_rows(job, near)
    yield rows, 0.0
    both, gap = order_columns(job, rows, weight_of="exact")
    yield both, gap
    yield order_columns(job, order_rows(job, both), weight_of="exact")


def _swap_units(step: CrossbarStep, swaps: int) -> Iterator[CrossbarStep]:
    """Exchange units of equal width, one pair after another, in lines drawn by their count."""
    if step.tiling.column_order is not None:
        return
    blocks = [units for units in column_lines(step) if len(units) > 1]
    sizes = np.array([len(units) for units in blocks], dtype=np.float64)
    rng = np.random.default_rng(0)
    for _ in range(swaps if blocks else 0):
        units = blocks[int(rng.choice(len(blocks), p=sizes / sizes.sum()))]
        one, two = sorted(rng.choice(len(units), 2, replace=False).tolist())
        if len(units[one]) == len(units[two]):
            order = np.arange(step.cells.columns)
            # Columns of a unit stay neighbours: whole units change places.
            order[units[one]], order[units[two]] = units[two], units[one]
            yield permute_columns(step, order)


def attenuation(job: PlacementJob, step: CrossbarStep) -> Float64Array:
    """Squared share that each place loses, wherever something conducts; axes: row, column."""
    levels = cells_of(step)
    seen = job.wired(step)
    lost = np.where(levels > 0, 1 - seen / np.maximum(levels, 1), np.nan)
    counted = np.isfinite(lost)
    total = np.where(counted, np.square(np.where(counted, lost, 0)), 0).sum(axis=0)
    found: Float64Array = np.where(
        counted.any(axis=0), total / np.maximum(counted.sum(axis=0), 1), np.nan
    )
    return found


def fill_gaps(values: Float64Array) -> Float64Array:
    """Prices along a line; places where nothing conducts take those of their neighbours."""
    known = np.flatnonzero(np.isfinite(values))
    if not known.size:
        return np.arange(len(values), dtype=np.float64)
    return np.interp(np.arange(len(values)), known, values[known])


def means(values: Float64Array, axis: int) -> Float64Array:
    """Means along an axis over what is a number; NaN where nothing is."""
    counted = np.isfinite(values)
    total = np.where(counted, values, 0).sum(axis=axis)
    mean: Float64Array = np.where(
        counted.any(axis=axis), total / np.maximum(1, counted.sum(axis=axis)), np.nan
    )
    return mean


def order_rows(job: PlacementJob, step: CrossbarStep) -> CrossbarStep:
    """Rows that matter most to the wordlines that lose least, within what may be exchanged."""
    weight = column_shares(step, cells_of(step), job.importance).sum(axis=(0, 2))
    price = means(attenuation(job, step), 1)
    order = np.arange(len(weight))
    for first, last in exchangeable_rows(step):
        part = slice(first, last)
        found = assign_sorted(weight[part], fill_gaps(price[part]))
        order[first + found.start] = np.arange(first, last)
    return permute_rows(step, order)


def exchangeable_rows(step: CrossbarStep) -> list[tuple[int, int]]:
    """Ranges of rows that may change places: all where `R` is the same for every row block.

    Sums that are compared have thresholds of their own, and converters whose settings came from
    data have those of their segment's sums.
    """
    segments = step.tiling.segment_bounds
    blocks = step.tiling.row_bounds
    # Rows of other blocks are read back by other entries of `R`, or compared with other thresholds:
    # only where both are the same may a row change its block.
    same = step.periphery.r_lead[1] == 1 and step.sense is None
    same = same and (follows_cells(step.adc) or _has_one_setting(step.adc))
    if same and len(segments) == len(blocks):
        return [(0, int(blocks[-1]))]
    return [(int(a), int(b)) for a, b in pairwise(segments)]


def _has_one_setting(adc: AdcSettings) -> bool:
    """Whether all segments are read by the same settings; their axis is the second."""
    return all(array.shape[1] == 1 for array in (adc.bits, adc.lo, adc.step))


def order_columns(
    job: PlacementJob, step: CrossbarStep, weight_of: str = "exact"
) -> tuple[CrossbarStep, float]:
    """Units that matter most to the bitlines that lose least.

    Args:
        job: the layer.
        step: its order so far.
        weight_of: `heaviest` ranks by programmed conductance; all others by what losing the column
            costs. Only `exact` prices places by the wires; the others count from the driver.
    """
    levels = cells_of(step)
    if weight_of == "heaviest":
        weight = levels.sum(axis=0)
    else:
        weight = column_shares(step, levels, job.importance).sum(axis=0)
    price = means(attenuation(job, step), 0) if weight_of == "exact" else None
    return arrange_columns(step, weight, price, job.target.adc.columns_per_adc)


def arrange_columns(
    step: CrossbarStep, weight: Float64Array, price: Float64Array | None, shared: int
) -> tuple[CrossbarStep, float]:
    """Units to places, and the gap of the assignments.

    Columns that were grouped by converter stay with their group, and groups change places.

    Args:
        step: the layer.
        weight: of its cells; axes: row, column.
        price: of each place; None counts from the driver.
        shared: bitlines of a converter.
    """
    if step.tiling.column_order is not None:
        return arrange_groups(step, weight, shared), 0.0
    total = weight.sum(axis=0)
    order = np.arange(step.cells.columns)
    gaps = [0.0]
    for units in column_lines(step):
        first = int(units[0][0])
        size = sum(map(len, units))
        line = np.arange(size, dtype=np.float64)
        prices = line if price is None else fill_gaps(price[first : first + size])
        found = assign(_unit_costs(units, total, prices), _widths(units))
        gaps.append(found.gap)
        for unit, start in zip(units, found.start.tolist(), strict=True):
            order[first + start : first + start + len(unit)] = unit
    return permute_columns(step, order), max(gaps)


def _widths(units: list[Int64Array]) -> Int64Array:
    return np.array([len(unit) for unit in units])


def _unit_costs(
    units: list[Int64Array], weight: Float64Array, prices: Float64Array
) -> Float64Array:
    """Cost of each unit at each first place; axes: unit, place."""
    cost = np.zeros((len(units), len(prices)))
    for u, unit in enumerate(units):
        for k, column in enumerate(unit.tolist()):
            cost[u, : len(prices) - k] += weight[column] * prices[k:]
    return cost
