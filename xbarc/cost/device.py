"""First-order estimates of what cells do: our model, the executor applies none of it.

Signals are counted in *steps*: the conductance between two levels, were they equally spaced. A
column sum of a program is a whole number of steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from xbarc.numerics import Int64Array
from xbarc.rows import Row, fact
from xbarc.target import Cell, Target

# Seconds in a day, the time over which loss by drift is quoted.
_DAY_S = 86400.0


def clipped_moments(mean: float, sigma: float) -> tuple[float, float, float]:
    """A normal number clipped at 0: the share that is clipped, its mean, its standard deviation."""
    if sigma <= 0:
        return 0.0, mean, 0.0
    # moments of max(X, 0): the textbook ones of a censored normal distribution
    edge = mean / sigma
    below = math.erfc(edge / math.sqrt(2)) / 2
    density = math.exp(-edge * edge / 2) / math.sqrt(2 * math.pi)
    first = mean * (1 - below) + sigma * density
    second = (mean * mean + sigma * sigma) * (1 - below) + mean * sigma * density
    # The difference of two nearly equal numbers may round below zero.
    return below, first, math.sqrt(max(0.0, second - first * first))


@dataclass(frozen=True)
class Clipping:
    """What clipping at zero conductance does to level 0 of a target, in steps.

    Attributes:
        share: of the draws at level 0 that are clipped; 0 where the law does not clip.
        shift: how much higher their mean is than the level.
        sigma: their standard deviation.
        unclipped: the standard deviation that the target gives.
    """

    share: float
    shift: float
    sigma: float
    unclipped: float


def level_zero_clipping(cell: Cell) -> Clipping:
    """Level 0 after programming: the level that clipping changes most."""
    values, step = cell.conductance.values, step_us(cell)
    mean, sigma = values[0] / step, cell.variation.sigma_us(values, 0) / step
    if cell.variation.law != "clipped-normal":
        return Clipping(0.0, 0.0, sigma, sigma)
    share, clipped, deviation = clipped_moments(mean, sigma)
    return Clipping(share, clipped - mean, deviation, sigma)


class Estimate(
    Row, form="DeviceRow", title="Device effects, estimated: nothing of this is applied"
):
    """An estimate beside the totals; `xbarc check --effects` executes the effects themselves."""

    name: str = fact("what is estimated", head="estimate")
    value: float | None = fact("the estimate, in `unit`", head="value>")
    unit: str = fact("unit of the value", head="unit")
    formula: str = fact("how it is worked out", head="how")


def device_estimates(target: Target, levels: Int64Array) -> tuple[Estimate, ...]:
    """Estimates for a target and the cells that a program puts on it.

    Args:
        target: the chip.
        levels: cells at each level over the whole program; axis: level.
    """
    cells = int(levels.sum())
    mean = mean_conductance(target.cell, levels)
    return (
        *_read_estimates(target, mean),
        *_cell_estimates(target, cells),
        *_variation_estimates(target.cell),
        *_noise_estimates(target),
    )


def step_us(cell: Cell) -> float:
    """Conductance of one step in uS."""
    values = cell.conductance.values
    return (values[-1] - values[0]) / (len(values) - 1)


def mean_conductance(cell: Cell, levels: Int64Array) -> float | None:
    """Over the cells of the program, in uS; None where it has no cells.

    Args:
        cell: what its levels conduct.
        levels: cells at each level; axis: level.
    """
    total = int(levels.sum())
    if not total:
        return None
    # The levels as they conduct, not equally spaced ones.
    pairs = zip(cell.conductance.values, levels, strict=True)
    return math.fsum(value * int(count) for value, count in pairs) / total


def _read_estimates(target: Target, mean: float | None) -> tuple[Estimate, ...]:
    volt, array = target.input.read_voltage.value, target.array
    top = target.cell.conductance.values[-1]
    current = volt * top * array.active_rows
    cells = array.active_rows * (array.columns + array.spare_columns)
    power = None if mean is None else volt * volt * mean * cells * 1e-3
    pulse = target.costs.array_energy.value / power if power else None
    return (
        Estimate("largest bitline current", current, "uA", "V G_top active_rows"),
        Estimate("mean cell conductance", mean, "uS", "over the cells of the program"),
        Estimate("array power while it reads", power, "mW", "V^2 G_mean active_rows columns"),
        Estimate(
            "pulse that array_energy pays for", pulse, "ns", "costs.array_energy / array power"
        ),
    )


def _cell_estimates(target: Target, cells: int) -> tuple[Estimate, ...]:
    cell = target.cell
    elapsed = _DAY_S / cell.drift.reference.value
    loss = 1 - elapsed ** (-cell.drift.exponent.value)
    feature = (target.node_nm * 1e-3) ** 2
    area = target.costs.cell_area.value / feature
    return (
        Estimate("cells stuck at the top", cells * cell.stuck_on.value, "cells", "stuck_on cells"),
        Estimate("cells stuck at 0", cells * cell.stuck_off.value, "cells", "stuck_off cells"),
        Estimate(
            "conductance lost in a day", loss, "fraction", "1 - (86400 s / reference)^-exponent"
        ),
        Estimate(
            "worst error of a level's spacing",
            _worst_spacing(cell),
            "steps",
            "level - equal spacing",
        ),
        Estimate("cell area", area, "F^2", "cell_area / node_nm^2"),
    )


def _variation_estimates(cell: Cell) -> tuple[Estimate, ...]:
    found, law = level_zero_clipping(cell), f"cell.variation.law {cell.variation.law}"
    return (
        Estimate("draws of level 0 clipped at no conductance", found.share, "fraction", law),
        Estimate("mean of level 0 above its conductance", found.shift, "steps", law),
        Estimate("sigma of level 0", found.sigma, "steps", f"{law}; {found.unclipped:.3g} given"),
    )


def _worst_spacing(cell: Cell) -> float:
    values, step = cell.conductance.values, step_us(cell)
    return max(abs((value - values[0]) / step - index) for index, value in enumerate(values))


def _noise_estimates(target: Target) -> tuple[Estimate, ...]:
    cell, rows = target.cell, target.array.active_rows
    top, step = cell.conductance.values[-1], step_us(cell)
    # Every cell at its top: the worst case for a law that grows with conductance, and exact for one
    # that does not.
    spread = cell.variation.sigma.value
    if cell.variation.kind == "proportional":
        spread *= top
    read = cell.read_noise.value * top
    fixed, moving = (math.sqrt(rows) * sigma / step for sigma in (spread, read))
    both = math.hypot(fixed, moving)
    largest = rows * ((1 << target.input.dac_bits) - 1) * ((1 << cell.bits) - 1)
    root = "sqrt(active_rows) {} / step"
    return (
        Estimate("sigma of a column sum, variation", fixed, "steps", root.format("sigma")),
        Estimate("sigma of a column sum, read noise", moving, "steps", root.format("noise G_top")),
        Estimate(
            "sigma of a column sum, both", both, "steps", "every row driven, cells at the top"
        ),
        Estimate("the same, relative", both / largest, "fraction", "of the largest column sum"),
    )
