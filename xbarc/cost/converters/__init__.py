"""What converters cost: laws for one converter, and rules for the width that a layer needs."""

from xbarc.cost.converters.adc_models import (
    AdcOpinion,
    adc_area_um2,
    adc_energy_pj,
    adc_opinions,
    area_band,
    converter_figure,
    energy_band,
    further_opinions,
    step_energy_pj,
)
from xbarc.cost.converters.cost_law import (
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
from xbarc.cost.converters.sizing_rules import Widths, converter_widths

__all__ = [
    "AdcOpinion",
    "CostLaw",
    "LawCosts",
    "Widths",
    "adc_area_um2",
    "adc_energy_pj",
    "adc_opinions",
    "area_band",
    "converter_figure",
    "converter_widths",
    "energy_band",
    "further_opinions",
    "law_of_costs",
    "law_origin",
    "load_law",
    "price_program",
    "reported_settings",
    "step_energy_pj",
    "with_law",
    "without_law",
]
