from .carrying import law_of
from .costs import AdcCosts, Component, Costs, Peak
from .description import describe
from .explain import field_unit
from .figure_tree import Figure, FigureList, Provenance
from .files import TargetName
from .growth import TERMS, Geometry, Law
from .laws import LAWS
from .load import load_target, parse_target, target_folder, target_names
from .model import (
    Adc,
    Array,
    Cell,
    Hierarchy,
    Input,
    Precision,
    SourceEntry,
    Target,
    Variation,
    VariationLaw,
    Wires,
    figures,
)
from .nodes import area_factor, energy_factor
from .strict import Strict
from .writing import new_target

__all__ = [
    "LAWS",
    "TERMS",
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
    "SourceEntry",
    "Strict",
    "Target",
    "TargetName",
    "Variation",
    "VariationLaw",
    "Wires",
    "area_factor",
    "describe",
    "energy_factor",
    "field_unit",
    "figures",
    "law_of",
    "load_target",
    "new_target",
    "parse_target",
    "target_folder",
    "target_names",
]
