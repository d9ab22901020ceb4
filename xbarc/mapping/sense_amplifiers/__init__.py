"""Binary layers on arrays that are read by sense amplifiers.

`deal` deals inputs over groups that fit an array, `split` gives them wordlines, `layer` lays out
cells, `search` chooses thresholds from sums that were seen, `refit` fits the classifier behind.
"""

from xbarc.mapping.sense_amplifiers.deal import read_groups
from xbarc.mapping.sense_amplifiers.layer import (
    can_be_fitted,
    map_senses,
    mean_start,
    with_counts,
    with_thresholds,
)
from xbarc.mapping.sense_amplifiers.refit import Refit, refit_classifier
from xbarc.mapping.sense_amplifiers.retune import retune_program
from xbarc.mapping.sense_amplifiers.search import (
    SplitSums,
    ThresholdFit,
    fit_counts,
    fit_thresholds,
)

__all__ = [
    "Refit",
    "SplitSums",
    "ThresholdFit",
    "can_be_fitted",
    "fit_counts",
    "fit_thresholds",
    "map_senses",
    "mean_start",
    "read_groups",
    "refit_classifier",
    "retune_program",
    "with_counts",
    "with_thresholds",
]
