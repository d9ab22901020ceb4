"""What wires do to an array whose cells are all alike: the figures that characterise a target."""

from __future__ import annotations

import numpy as np

from xbarc.circuit.lines import effective_column, line_model
from xbarc.target import Target

_TOLERANCE = 1e-6
_DIGITS = 6


def line_ratio(target: Target) -> float:
    """`r T**2 / R_on`: r the mean of both lines, T the mean side, R_on of the highest level.

    Our measure of how much wires matter: the drop along a line, relative to the voltage, when every
    cell conducts its most, is half of it.
    """
    wires, array = target.wires, target.array
    r = (wires.wordline.value + wires.bitline.value) / 2
    side = (array.rows + array.columns) / 2
    return r * side * side * target.cell.conductance.values[-1] * 1e-6


def far_losses(target: Target, conductance_us: float) -> tuple[float, float]:
    """Lost in a full array of equal cells: by the farthest cell, and by the farthest bitline.

    Solved exactly. The cell is the one farthest from its driver and from the sense side, driven
    alone; the bitline is the one farthest from the drivers, with every row driven.

    Args:
        target: array and wires.
        conductance_us: of every cell, in uS; above 0.

    Returns:
        Two fractions of the current that would flow without wires, to six digits.

    Raises:
        ValueError: the wires hardly conduct next to the cells.
    """
    array = target.array
    shape = (array.rows, array.columns + array.spare_columns)
    cells = np.full(shape, conductance_us * 1e-6)
    reached = effective_column(cells, line_model(target), shape[1] - 1, tolerance=_TOLERANCE)
    shares = reached / cells[:, -1]
    return round(1 - float(shares[0]), _DIGITS), round(1 - float(shares.mean()), _DIGITS)
