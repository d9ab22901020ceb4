from .chip import LEVELS, ChipCost, FullLoad, chip_cost, stated_load
from .converters.adc_models import (
    AdcOpinion,
    adc_area_um2,
    adc_energy_pj,
    adc_opinions,
    further_opinions,
)
from .converters.cost_law import (
    CostLaw,
    LawCosts,
    law_of_costs,
    law_origin,
    load_law,
    price_program,
    reported_settings,
    with_law,
    without_law,
)
from .converters.sizing_rules import Widths, converter_widths
from .counts import WIDTHS, Counts, Histogram, full_steps, widths
from .device import Estimate, device_estimates, level_zero_clipping, mean_conductance
from .hardware import cells_of_array, chip_arrays, full_chip
from .mesh.places import MeshPlacement, distances
from .mesh.tile_traffic import Item, Link
from .mesh.traffic import program_items, program_links
from .operands import operand_energy
from .parts import CostPart, area_parts, digital_part, energy_parts, total, total_band, write_parts
from .program import (
    LayerCost,
    LeftOut,
    ProgramCost,
    input_vectors,
    program_cost,
    program_runs,
)
from .single_layer import Price, layer_price
from .step_counts import conversions_made, reading_widths, vector_counts
from .timing.critical_path import PathPart
from .timing.duplication import Policy, parse_policy
from .timing.layer_schedule import LayerRun, LayerSchedule, Schedule
from .timing.vector_timing import Timing, step_timing

__all__ = [
    "LEVELS",
    "WIDTHS",
    "AdcOpinion",
    "ChipCost",
    "CostLaw",
    "CostPart",
    "Counts",
    "Estimate",
    "FullLoad",
    "Histogram",
    "Item",
    "LawCosts",
    "LayerCost",
    "LayerRun",
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
    "Widths",
    "adc_area_um2",
    "adc_energy_pj",
    "adc_opinions",
    "area_parts",
    "cells_of_array",
    "chip_arrays",
    "chip_cost",
    "conversions_made",
    "converter_widths",
    "device_estimates",
    "digital_part",
    "distances",
    "energy_parts",
    "full_chip",
    "full_steps",
    "further_opinions",
    "input_vectors",
    "law_of_costs",
    "law_origin",
    "layer_price",
    "level_zero_clipping",
    "load_law",
    "mean_conductance",
    "operand_energy",
    "parse_policy",
    "price_program",
    "program_cost",
    "program_items",
    "program_links",
    "program_runs",
    "reading_widths",
    "reported_settings",
    "stated_load",
    "step_timing",
    "total",
    "total_band",
    "vector_counts",
    "widths",
    "with_law",
    "without_law",
    "write_parts",
]
