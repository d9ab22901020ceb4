"""Targets: pydantic models of a chip, and the TOML files that fill them.

A target is data only, and every published number in it names its source. To add one, run
`xbarc targets new NAME --from rram128`, put new sources into `targets/sources.toml`, and run
`xbarc targets validate FILE`. `laws` says what each cost figure is given per and how it grows with
the array; `carrying` is the only place that applies those laws.
"""

from xbarc.target.carrying import law_of
from xbarc.target.costs import AdcCosts, Component, Costs, Peak
from xbarc.target.describe import describe
from xbarc.target.figures import Figure, FigureList, Provenance
from xbarc.target.growth import Geometry, Law
from xbarc.target.load import load_target, parse_target, target_folder, target_names
from xbarc.target.model import (
    Adc,
    Array,
    Cell,
    Hierarchy,
    Input,
    Precision,
    Source,
    Target,
    Variation,
    VariationLaw,
    Wires,
    figures,
)
from xbarc.target.nodes import area_factor, energy_factor
from xbarc.target.writing import new_target

__all__ = [
    "Adc",
    "AdcCosts",
    "Array",
    "Cell",
    "Component",
    "Costs",
    "Figure",
    "FigureList",
    "Geometry",
    "Hierarchy",
    "Input",
    "Law",
    "Peak",
    "Precision",
    "Provenance",
    "Source",
    "Target",
    "Variation",
    "VariationLaw",
    "Wires",
    "area_factor",
    "describe",
    "energy_factor",
    "figures",
    "law_of",
    "load_target",
    "new_target",
    "parse_target",
    "target_folder",
    "target_names",
]
