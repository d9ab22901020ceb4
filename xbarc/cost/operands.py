"""Energy of arrays and wordlines from what they really carry: `t sum V**2 G` and toggled lines.

The headline of a report stays with the target's constant figure; this stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from xbarc.cost.step_counts import arrays_of_block_row
from xbarc.ir import CrossbarStep, OperandStatistics
from xbarc.numerics import Float64Array, Int64Array
from xbarc.target import Target

# Conductances as float64: 128 MiB a buffer, whatever the size of the layer.
_CHUNK_CELLS = 1 << 24
# ns V^2 uS is fJ, and reports say pJ.
_FJ_PER_PJ = 1e3


@dataclass(frozen=True)
class OperandEnergy:
    """One input vector of a layer, on average.

    Attributes:
        array_pj: `t sum V**2 G` over the driven cells; None where the target has no read pulse.
        driver_pj: drivers of the wordlines that are not at zero.
        driven: share of the wordlines that are not at zero, over slices.
        mean_level: mean level of an input slice over its largest.
    """

    array_pj: float | None
    driver_pj: float
    driven: float
    mean_level: float


def operand_energy(step: CrossbarStep, seen: OperandStatistics, target: Target) -> OperandEnergy:
    """Energy by operands.

    Voltages follow the level of an input slice, or its pulse does where the target times pulses.
    Cells of an array beyond the layer's own columns stand at level 0 and conduct too.
    """
    rows = np.asarray(step.tiling.row_input)
    arrays = np.repeat(arrays_of_block_row(step), np.diff(step.tiling.row_bounds), axis=1)
    driven = seen.driven[:, :, rows]
    drives = float((driven * arrays).sum())
    pulse = target.costs.read_pulse
    # A voltage enters squared; a pulse of full voltage lasts as long as its level.
    power = seen.square if target.costs.pulse is None else seen.level
    array = None
    if pulse is not None:
        volt = target.input.read_voltage.value
        conductance = row_conductances(step, target, arrays)
        energy = float((power[:, :, rows] * conductance).sum())
        array = pulse.value * volt * volt * energy / _FJ_PER_PJ
    return OperandEnergy(
        array_pj=array,
        driver_pj=drives * target.costs.driver_energy.value,
        driven=float(driven.mean()) if driven.size else 0.0,
        mean_level=float(seen.level[:, :, rows].mean()) if driven.size else 0.0,
    )


def row_conductances(
    step: CrossbarStep, target: Target, arrays: Int64Array | None = None
) -> Float64Array:
    """Sum of the conductances on each wordline in uS; axes: group, row.

    Args:
        step: the layer.
        target: its chip.
        arrays: arrays that each row spreads over; axes: group, row.
    """
    levels = np.asarray(target.cell.conductance.values)
    groups, rows, columns = step.groups, step.cells.shape[1], step.cells.columns
    total = np.zeros((groups, rows))
    chunk = max(1, _CHUNK_CELLS // max(1, columns))
    for group in range(groups):
        for first in range(0, rows, chunk):
            part = step.cells.unpack((group, slice(first, first + chunk)))
            total[group, first : first + chunk] = levels[part].sum(axis=-1)
    if arrays is None:
        return total
    wide = target.array.columns + target.array.spare_columns
    # Cells beyond the layer's columns share its wordlines and conduct like level 0.
    idle = np.maximum(0, np.asarray(arrays) * wide - columns)
    result: Float64Array = total + idle * levels[0]
    return result
