"""Costs: counts of what happens and of what stands there, times the figures of the target.

One code path: a step is counted (`counting`), hardware is shared out (`hardware`), cycles are timed
(`timing`), and `parts` turns any `Counts` into rows whose sum is the total. `program` puts them
together, `device` estimates what the counts leave out. To add a component, add a count, a line in
`parts`, and a figure to the target.
"""

from xbarc.cost.counts import WIDTHS, Counts, widths
from xbarc.cost.device import Estimate, device_estimates
from xbarc.cost.hardware import full_chip
from xbarc.cost.parts import (
    CostPart,
    adc_area_um2,
    adc_energy_pj,
    area_parts,
    energy_parts,
    total,
    write_parts,
)
from xbarc.cost.program import LayerCost, ProgramCost, program_cost
from xbarc.cost.timing import Timing, step_timing

__all__ = [
    "WIDTHS",
    "CostPart",
    "Counts",
    "Estimate",
    "LayerCost",
    "ProgramCost",
    "Timing",
    "adc_area_um2",
    "adc_energy_pj",
    "area_parts",
    "device_estimates",
    "energy_parts",
    "full_chip",
    "program_cost",
    "step_timing",
    "total",
    "widths",
    "write_parts",
]
