"""Digital gain and offset of a mapped layer, for cells that hold something else than planned."""

from __future__ import annotations

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import (
    CrossbarStep,
    FloatResult,
    IntegerResult,
    MatrixLayer,
    RequantizedResult,
    Result,
    Scatter,
    SecondMoments,
    SignResult,
)
from xbarc.mapping.fitting.grids import Alone
from xbarc.mapping.fitting.quality import product_sums
from xbarc.mapping.fitting.rescale import rescale_result
from xbarc.mapping.fitting.search import Found, output_channels
from xbarc.numerics import Float64Array, Int64Array


def real_steps(layer: MatrixLayer, step: CrossbarStep) -> Float64Array:
    """Real value of one integer of a mapped layer, gain included; axes: group, output.

    Args:
        layer: with the model's own weights.
        step: the same layer as mapped.
    """
    match layer.result, step.result:
        case FloatResult(scale=own), FloatResult(scale=found):
            ratio = found.astype(np.float64) / own
        case RequantizedResult(multiplier=own), RequantizedResult(multiplier=found):
            ratio = found.astype(np.float64) / own
        case (IntegerResult(), IntegerResult()) | (SignResult(), SignResult()):
            ratio = np.ones(layer.groups * layer.outputs)
        case _:
            raise MappingError("is not the layer that was mapped", where=layer.name)
    by_output = ratio[output_channels(layer)] if isinstance(layer.geometry, Scatter) else ratio
    return by_output.reshape(layer.groups, layer.outputs)


def adjust_result(
    layer: MatrixLayer,
    moments: SecondMoments,
    weights: Float64Array,
    steps: Float64Array,
    shift: Float64Array,
) -> tuple[Result, Int64Array, tuple[float, float]]:
    """Result and integer constant of a layer whose cells hold these weights.

    Args:
        layer: with the model's own weights.
        moments: over the vectors to fit.
        weights: in units of `steps`; axes: group, input, output.
        steps: real value of one unit; axes: group, output.
        shift: what each product is off beside that, in real units; axes as `steps`.

    Returns:
        Result, constant, and the relative squared error with gain 1 and the best offset of the
        planned weights (none), and with gain and offset fitted.
    """
    sums = product_sums(moments, weights * steps[:, None])
    gain, offset = sums.line()
    energy = float(sums.energy.sum())
    plain = float(sums.error(np.ones_like(gain), shift).sum())
    best = float(sums.error(gain, offset).sum())
    found = Found(weights, steps * gain, offset - gain * shift, Alone(0, 0))
    result, constant = rescale_result(layer, found)
    share = 1 / energy if energy > 0 else 0.0
    return result, constant, (plain * share, best * share)
