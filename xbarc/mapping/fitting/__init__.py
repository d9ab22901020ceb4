"""Fitting: from real weights to integers that the cells of an encoding can hold.

`fit_layer` is pure: a layer, the chip, options and, where there is calibration data, second moments
give a layer with integer weights, scales and biases. What a row of cells can hold is a `Grid`; to
add one, write it in `grids.py` and let `make_grid` choose it.
"""

from xbarc.mapping.fitting.fit import Fitted, fit_layer

__all__ = ["Fitted", "fit_layer"]
