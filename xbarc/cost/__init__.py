"""Costs: counts of what happens and of what stands there, times the figures of the target.

One code path: a step is counted (`counting`), hardware is shared out (`hardware`), cycles are timed
(`timing`), and `parts` turns any `Counts` into rows whose sum is the total. `program` puts them
together, `device` estimates what the counts leave out. To add a component, add a count, a line in
`parts`, and a figure to the target.
"""

from xbarc.cost.adc_models import adc_area_um2, adc_energy_pj
from xbarc.cost.chip import LEVELS, ChipCost, FullLoad, chip_cost, stated_load
from xbarc.cost.counts import WIDTHS, Counts, full_steps, widths
from xbarc.cost.critical import PathPart
from xbarc.cost.device import Estimate, clipping, device_estimates, mean_conductance
from xbarc.cost.duplicate import Policy, parse_policy
from xbarc.cost.hardware import chip_arrays, full_chip
from xbarc.cost.laws import CostLaw
from xbarc.cost.mesh import Item, Link, MeshPlacement
from xbarc.cost.parts import (
    CostPart,
    area_parts,
    energy_parts,
    total,
    total_band,
    write_parts,
)
from xbarc.cost.program import LayerCost, LeftOut, ProgramCost, program_cost
from xbarc.cost.schedule import LayerSchedule, Schedule
from xbarc.cost.single_layer import Price, layer_price
from xbarc.cost.timing import Timing, step_timing

__all__ = [
    "LEVELS",
    "WIDTHS",
    "ChipCost",
    "CostLaw",
    "CostPart",
    "Counts",
    "Estimate",
    "FullLoad",
    "Item",
    "LayerCost",
    "LayerSchedule",
    "LeftOut",
    "Link",
    "MeshPlacement",
    "PathPart",
    "Policy",
    "Price",
    "ProgramCost",
    "Schedule",
    "Timing",
    "adc_area_um2",
    "adc_energy_pj",
    "area_parts",
    "chip_arrays",
    "chip_cost",
    "clipping",
    "device_estimates",
    "energy_parts",
    "full_chip",
    "full_steps",
    "layer_price",
    "mean_conductance",
    "parse_policy",
    "program_cost",
    "stated_load",
    "step_timing",
    "total",
    "total_band",
    "widths",
    "write_parts",
]
