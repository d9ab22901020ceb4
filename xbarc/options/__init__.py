"""Options: each written once, as a field of a frozen model, for every way to give it.

`compiling.py` holds the options of a compilation, `values.py` what they are read into, `base.py`
what an option is, `keywords.py` their types for `xbarc.compile`, `files.py` the TOML file. Nothing
here loads numpy, for `xbarc --help` reads it. To add an option, see `compiling.py`.
"""

from xbarc.options.base import Option, Options, about, option
from xbarc.options.compiling import (
    AUTO,
    PANELS,
    CompileOptions,
    Feedback,
    InputFacts,
    MapOptions,
    Pack,
    PlacementName,
    RangeMethod,
    SenseOptions,
    Share,
    Tile,
    Wires,
)
from xbarc.options.values import (
    ADC_POLICIES,
    BY_BUDGET,
    CORRECTIONS,
    LEVERS,
    Budget,
    ColumnRule,
    ColumnShares,
    Correction,
    InputGroups,
    Lever,
    Method,
    Pruning,
    column_rule,
    parse_budget,
    parse_law,
    parse_levers,
    parse_pruning,
)

__all__ = [
    "ADC_POLICIES",
    "AUTO",
    "BY_BUDGET",
    "CORRECTIONS",
    "LEVERS",
    "PANELS",
    "Budget",
    "ColumnRule",
    "ColumnShares",
    "CompileOptions",
    "Correction",
    "Feedback",
    "InputFacts",
    "InputGroups",
    "Lever",
    "MapOptions",
    "Method",
    "Option",
    "Options",
    "Pack",
    "PlacementName",
    "Pruning",
    "RangeMethod",
    "SenseOptions",
    "Share",
    "Tile",
    "Wires",
    "about",
    "column_rule",
    "option",
    "parse_budget",
    "parse_law",
    "parse_levers",
    "parse_pruning",
]
