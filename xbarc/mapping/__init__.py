"""Mapping: a layer's integer weights onto arrays of non-negative cells.

`map_layer` is a plain function from a `MatrixLayer` and a `Target` to a `CrossbarStep`. Encodings
live in `encodings/`, cutting in `tiling.py`, physical places in `pack.py`, converters in `adc.py`.
"""

from xbarc.mapping.choices import LEVERS, column_rule, parse_levers
from xbarc.mapping.encodings import encoding_names
from xbarc.mapping.layer import map_layer
from xbarc.mapping.options import ADC_POLICIES, AUTO, PLACEMENTS, MapOptions, Pack, Tile
from xbarc.mapping.pack import ArrayPool

__all__ = [
    "ADC_POLICIES",
    "AUTO",
    "LEVERS",
    "PLACEMENTS",
    "ArrayPool",
    "MapOptions",
    "Pack",
    "Tile",
    "column_rule",
    "encoding_names",
    "map_layer",
    "parse_levers",
]
