"""Fitting: from real weights to integers that the cells of an encoding can hold.

`fit_layer` is pure: a layer, the chip, options and, where there is calibration data, second moments
give a layer with integer weights, scales and biases. What a row of cells can hold is a `RowGrid`;
to add one, write it in `grids.py` and let `_grid` in `search.py` choose it.
"""

from xbarc.mapping.fitting.adjust import adjust_result, real_steps
from xbarc.mapping.fitting.fit import Fitted, fit_layer, integer_weight
from xbarc.mapping.fitting.search import make_task, output_channels
from xbarc.mapping.fitting.written import write_fed_back

__all__ = [
    "Fitted",
    "adjust_result",
    "fit_layer",
    "integer_weight",
    "make_task",
    "output_channels",
    "real_steps",
    "write_fed_back",
]
