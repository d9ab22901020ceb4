"""Mapping: a layer's integer weights onto arrays of non-negative cells.

`map_layer` is a plain function from a `MatrixLayer` and a `Target` to a `CrossbarStep`. Encodings
live in `encodings/`, cutting in `tiling.py`, physical places in `pack.py`, converters in `adc.py`.
"""

from xbarc.mapping.encodings import encoding_names
from xbarc.mapping.layer import map_layer
from xbarc.mapping.pack import ArrayPool
from xbarc.mapping.sense_amplifiers import (
    Fit,
    Refit,
    SplitSums,
    fit_counts,
    fit_thresholds,
    fitted,
    map_senses,
    mean_start,
    read_groups,
    refit_classifier,
    retuned,
    with_counts,
    with_thresholds,
)

__all__ = [
    "ArrayPool",
    "Fit",
    "Refit",
    "SplitSums",
    "encoding_names",
    "fit_counts",
    "fit_thresholds",
    "fitted",
    "map_layer",
    "map_senses",
    "mean_start",
    "read_groups",
    "refit_classifier",
    "retuned",
    "with_counts",
    "with_thresholds",
]
