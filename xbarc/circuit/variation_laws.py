"""Laws of variation: the distribution of a cell's conductance after programming, in level units.

The level's conductance is the mean of all three and the target's sigma their standard deviation,
but for the clipped law near zero, where the mean is higher and the deviation lower.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from xbarc.numerics import Float64Array
from xbarc.target import VariationLaw


def vary(
    real: Float64Array, sigma: Float64Array, drawn: Float64Array, floor: float, law: VariationLaw
) -> Float64Array:
    """Cells after programming, in level units.

    Args:
        real: what they were to hold; any axes.
        sigma: one standard deviation of each; axes as `real`.
        drawn: standard normal numbers; axes as `real`.
        floor: conductance of level 0, so that `real + floor` is a conductance.
        law: of the target.
    """
    match law:
        case "clipped-normal":
            varied: Float64Array = np.maximum(real + sigma * drawn, -floor)
            return varied
        case "normal":
            return real + sigma * drawn
        case "log-normal":
            return _log_normal(real + floor, sigma, drawn) - floor
    assert_never(law)


def _log_normal(cells: Float64Array, sigma: Float64Array, drawn: Float64Array) -> Float64Array:
    """Conductances whose logarithm is normal, with these means and deviations; 0 stays 0."""
    share = np.divide(sigma, cells, out=np.zeros_like(cells), where=cells > 0)
    width = np.sqrt(np.log1p(share * share))
    # Half the width is subtracted, so that the mean is that of the level.
    spread: Float64Array = cells * np.exp(width * (drawn - width / 2))
    return spread
