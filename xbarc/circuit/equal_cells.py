"""What wires do to an array whose cells are equal: the figures that characterise a target."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import Float64Array, ordered_sums
from xbarc.target import Target

# Of a share that is lost: wires are known to two or three digits at best.
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

    The cell is the one farthest from its driver and from the sense side, driven alone; the bitline
    is the one farthest from the drivers, with every row driven.

    Currents `I` (axes: row, column) of equal cells of `g` siemens obey `I / g + I W + B I = V`: `W`
    and `B` hold the resistance that two cells of a wordline or bitline share on the way to its
    terminal, `V` the voltage of each driver. Eigenvectors of `W` and `B` solve it exactly.

    Args:
        target: array and wires.
        conductance_us: of every cell, in uS; above 0.

    Returns:
        Two fractions of the current that would flow without wires, to six digits.
    """
    array, wires = target.array, target.wires
    word = _shared_ohm(
        array.columns + array.spare_columns, wires.wordline.value, wires.driver.value
    )
    bit = _shared_ohm(array.rows, wires.bitline.value, wires.sense.value)
    with ordered_sums():
        along, words = np.linalg.eigh(word)
        down, bits = np.linalg.eigh(bit)
    siemens = conductance_us * 1e-6
    modes = 1 / (1 / siemens + down[:, None] + along)
    reached = bits @ (bits.sum(axis=0) * (modes @ (words.sum(axis=0) * words[-1])))
    shares = reached / siemens  # of each driver's volt; axis: row, the nearest to the sense first
    return round(1 - float(shares[-1]), _DIGITS), round(1 - float(shares.mean()), _DIGITS)


def _shared_ohm(cells: int, segment: float, path: float) -> Float64Array:
    """Ohm that two cells of a line share; the first is a segment and `path` from the terminal."""
    place = np.arange(1, cells + 1)
    shared: Float64Array = path + segment * np.minimum(place[:, None], place)
    return shared
