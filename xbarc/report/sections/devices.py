"""What cells and wires of a target do to a program, in figures that enter no other total."""

from __future__ import annotations

from xbarc.circuit import far_losses, line_ratio
from xbarc.cost import Estimate, device_estimates, mean_conductance
from xbarc.numerics import Int64Array
from xbarc.report.section import Section
from xbarc.rows import shows
from xbarc.target import Target

_EXACT = "exact, every cell of the array {}: 1 - current with wires / without, {}"


def device_rows(target: Target, levels: Int64Array) -> tuple[Estimate, ...]:
    """Wires first, then cells.

    Args:
        target: the chip.
        levels: cells at each level over the whole program; axis: level.
    """
    return (*_wire_rows(target, levels), *device_estimates(target, levels))


def _wire_rows(target: Target, levels: Int64Array) -> tuple[Estimate, ...]:
    # The worst case and the case at hand: every cell at its top, and every cell at the mean of this
    # program.
    top = target.cell.conductance.values[-1]
    mean = mean_conductance(target.cell, levels)
    return (
        Estimate(
            name="wires against cells",
            value=line_ratio(target),
            unit="",
            formula="r T^2 / R_on: mean wire, mean side of the array, top level",
        ),
        *_loss_rows(target, top, "at its top"),
        *_loss_rows(target, mean, "at the program's mean"),
    )


def _loss_rows(target: Target, conductance: float | None, name: str) -> tuple[Estimate, ...]:
    """Of the farthest cell and of the farthest bitline."""
    cell, bitline = _losses(target, conductance)
    return (
        Estimate(
            name=f"lost by the farthest cell, every cell {name}",
            value=cell,
            unit="fraction",
            formula=_EXACT.format(name, "driven alone"),
        ),
        Estimate(
            name=f"lost by the farthest bitline, every cell {name}",
            value=bitline,
            unit="fraction",
            formula=_EXACT.format(name, "all rows driven"),
        ),
    )


def _losses(target: Target, conductance: float | None) -> tuple[float | None, float | None]:
    """Unknown where there are no cells."""
    return far_losses(target, conductance) if conductance else (None, None)


DEVICE = Section(
    lambda subject: device_rows(subject.target, subject.cost.levels),
    shows(Estimate),
    chapter="Target",
)
