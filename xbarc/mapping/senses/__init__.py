"""Binary layers on arrays that are read by sense amplifiers.

`options` says what a user may choose, `split` deals inputs over groups that fit an array, `layer`
lays out wordlines and cells, `search` chooses thresholds from sums that were seen.
"""

from xbarc.mapping.sense_options import SenseOptions, read_groups
from xbarc.mapping.senses.layer import fitted, map_senses, mean_start, with_counts, with_thresholds
from xbarc.mapping.senses.retune import retuned
from xbarc.mapping.senses.search import Fit, SplitSums, fit_counts, fit_thresholds

__all__ = [
    "Fit",
    "SenseOptions",
    "SplitSums",
    "fit_counts",
    "fit_thresholds",
    "fitted",
    "map_senses",
    "mean_start",
    "read_groups",
    "retuned",
    "with_counts",
    "with_thresholds",
]
