"""Placements of other people: what they are told of a layer, and how their answer is checked."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np

from xbarc.circuit import column_shares
from xbarc.ir import CrossbarStep, read_only
from xbarc.mapping.place.layer import (
    METHODS,
    Placed,
    PlacementJob,
    attenuation,
    cells_of,
    exchangeable_rows,
    fill_gaps,
    means,
)
from xbarc.mapping.place.permute import (
    permute_columns,
    permute_rows,
    resize_converters,
    to_sense_side,
)
from xbarc.mapping.place.units import column_lines
from xbarc.numerics import Float64Array, Int64Array, IntArray
from xbarc.options import PLACEMENT_GROUP, Method
from xbarc.plugins import Door, blame, guard, load_method, origin


@dataclass(frozen=True, eq=False)
class Sites:
    """What a placement is told of a layer; arrays are read-only.

    A row is a wordline of the layer, a column a bitline; row blocks lie one behind the other, and
    groups of a convolution have the same order. Blocks lie next to the sense side of their array.

    Attributes:
        weight: what losing a cell costs: mean square of its input, times its level squared, times
            what its outputs count; axes: row, column.
        loss: squared share that wires take from each place, as the layer lies; axes: row, column.
        row_ranges: first row and the one behind the last of rows that may change places.
        units: lines of columns; units of one line may change places, and the columns of a unit
            stay side by side. Empty where columns are grouped by converter and stay.
    """

    weight: Float64Array
    loss: Float64Array
    row_ranges: tuple[tuple[int, int], ...]
    units: tuple[tuple[Int64Array, ...], ...]


@dataclass(frozen=True, eq=False)
class Order:
    """Which row and column comes to each place; None leaves them.

    Attributes:
        rows: a permutation; place `i` takes row `rows[i]`, within its range.
        columns: a permutation; place `j` takes column `columns[j]`, units whole.
    """

    rows: IntArray | None = None
    columns: IntArray | None = None


class Placement(Protocol):
    """Where rows and columns of a layer lie in their arrays."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What `--placement` and the settings of a program call it."""

    @abstractmethod
    def order(self, sites: Sites) -> Order:
        """The order of a layer; a pure function of what it is given."""


PLACEMENTS = Door("placement", "--placement", PLACEMENT_GROUP, Placement, "check_placement")


def load_placement(given: str | Method) -> str | Placement:
    """A placement by the name of one of ours, or one from elsewhere, checked.

    Args:
        given: a name of ours, one that an installed package registers, `package:Name`, or an
            object.

    Raises:
        MappingError: there is none, or it lacks something; the message says what.
    """
    if isinstance(given, str) and given in METHODS:
        return given
    method: object = load_method(PLACEMENTS, given, METHODS) if isinstance(given, str) else given
    return cast(Placement, guard(PLACEMENTS, method, lambda name: name in METHODS))


def placement_name(placement: str | Method) -> str:
    """What tables call it."""
    return placement if isinstance(placement, str) else placement.name


def placement_text(placement: str | Method) -> str:
    """What settings say: the name, and class, package and version where it is not ours."""
    if isinstance(placement, str):
        return placement
    return f"{placement.name} ({origin(PLACEMENTS, placement)})"


def place_by(job: PlacementJob, placement: Placement) -> Placed:
    """A layer in the order of a placement from elsewhere.

    Raises:
        MappingError: the placement fails, or gives an order that the layer cannot have.
    """
    # As for our own methods: a placement from elsewhere starts from the same order, so that both
    # compare.
    before, near = job.error(job.step), to_sense_side(job.step, job.target)
    sites = sites_of(job, near)
    with blame(placement, f"the order of layer {job.step.name}"):
        found = placement.order(sites)
        rows, columns = (_permutation(found, kind, near) for kind in ("rows", "columns"))
        _check_rows(rows, sites)
        _check_columns(columns, sites)
    step = near if rows is None else permute_rows(near, rows)
    step = step if columns is None else permute_columns(step, columns)
    return Placed(resize_converters(step, job.target), before, job.error(step), 0.0, 2)


def sites_of(job: PlacementJob, step: CrossbarStep) -> Sites:
    """What a placement is told of a layer in its order so far."""
    weight = column_shares(step, cells_of(step), job.importance).sum(axis=0)
    lost = attenuation(job, step)
    # Places where nothing conducts lose what their wordline does.
    lost = np.where(np.isfinite(lost), lost, fill_gaps(means(lost, 1))[:, None])
    lines = [] if step.tiling.column_order is not None else column_lines(step)
    return Sites(
        read_only(weight.view()),
        read_only(lost.view()),
        tuple(exchangeable_rows(step)),
        tuple(tuple(read_only(unit.view()) for unit in units) for units in lines),
    )


def _permutation(found: Order, kind: str, step: CrossbarStep) -> IntArray | None:
    given = getattr(found, kind)
    if given is None:
        return None
    order, count = np.asarray(given), step.cells.shape[1 if kind == "rows" else 2]
    # Sorted and compared: a number that occurs twice would lose a column without a word.
    if order.dtype.kind not in "iu" or not np.array_equal(np.sort(order), np.arange(count)):
        raise ValueError(f"{kind} are not a permutation of 0 to {count - 1}")
    return order.astype(np.int64)


def _check_rows(rows: IntArray | None, sites: Sites) -> None:
    if rows is None:
        return
    for first, last in sites.row_ranges:
        part = rows[first:last]
        if part.size and not first <= part.min() <= part.max() < last:
            raise ValueError(f"rows {first} to {last - 1} must stay among themselves")


def _check_columns(columns: IntArray | None, sites: Sites) -> None:
    if columns is None or np.array_equal(columns, np.arange(len(columns))):
        return
    if not sites.units:
        raise ValueError("columns are grouped by converter and stay where they are")
    place = np.argsort(columns)
    for units in sites.units:
        first, last = int(units[0][0]), int(units[-1][-1])
        for unit in units:
            new = place[unit]
            # Columns of an analog pair are subtracted by one converter, which needs them side by
            # side.
            if (np.diff(new) != 1).any():
                raise ValueError(f"columns {unit.tolist()[:8]} of a unit must stay side by side")
            if not first <= new[0] <= new[-1] <= last:
                text = f"columns {unit.tolist()[:8]} leave their line, {first} to {last}"
                raise ValueError(text)
