from .adc_models import AdcOpinion, adc_area_um2, adc_energy_pj, adc_opinions, further_opinions
from .chip import LEVELS, ChipCost, FullLoad, chip_cost, stated_load
from .converters import Widths, converter_widths
from .counting import conversions_made, reading_widths, vector_counts
from .counts import WIDTHS, Counts, Histogram, full_steps, widths
from .critical import PathPart
from .device import Estimate, clipping, device_estimates, mean_conductance
from .duplicate import Policy, parse_policy
from .hardware import cells_of_array, chip_arrays, full_chip
from .laws import (
    CostLaw,
    LawCosts,
    law_of_costs,
    law_origin,
    load_law,
    priced,
    reported_settings,
    with_law,
    without_law,
)
from .mesh import Item, Link, MeshPlacement, distances
from .operands import operand_energy
from .parts import CostPart, area_parts, energy_parts, total, total_band, write_parts
from .program import LayerCost, LeftOut, ProgramCost, input_vectors, program_cost
from .schedule import LayerSchedule, Schedule
from .single_layer import Price, layer_price
from .timing import Timing, step_timing
from .traffic import program_items, program_links

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
    "clipping",
    "conversions_made",
    "converter_widths",
    "device_estimates",
    "distances",
    "energy_parts",
    "full_chip",
    "full_steps",
    "further_opinions",
    "input_vectors",
    "law_of_costs",
    "law_origin",
    "layer_price",
    "load_law",
    "mean_conductance",
    "operand_energy",
    "parse_policy",
    "priced",
    "program_cost",
    "program_items",
    "program_links",
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
