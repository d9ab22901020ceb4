"""Targets: pydantic models of a chip, and the TOML files that fill them.

A target is data only, and every published number in it names its source. To add one, write a TOML
file in `targets/` (copy `rram128.toml`), put new sources into `targets/sources.toml`, and run
`xbarc targets validate FILE`.
"""

from xbarc.target.figures import Figure, FigureList, Provenance
from xbarc.target.load import load_target, parse_target, target_folder, target_names
from xbarc.target.model import (
    Adc,
    AdcCosts,
    Array,
    Cell,
    Component,
    Costs,
    Hierarchy,
    Input,
    Peak,
    Precision,
    Source,
    Target,
    Variation,
    Wires,
    figures,
)
from xbarc.target.nodes import area_factor, energy_factor

__all__ = [
    "Adc",
    "AdcCosts",
    "Array",
    "Cell",
    "Component",
    "Costs",
    "Figure",
    "FigureList",
    "Hierarchy",
    "Input",
    "Peak",
    "Precision",
    "Provenance",
    "Source",
    "Target",
    "Variation",
    "Wires",
    "area_factor",
    "energy_factor",
    "figures",
    "load_target",
    "parse_target",
    "target_folder",
    "target_names",
]
