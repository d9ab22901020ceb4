"""From real weights to integers an encoding can hold, with the digital gain and offset that fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import (
    FitRecord,
    FloatResult,
    IntWeight,
    LazyTensor,
    MatrixLayer,
    Scatter,
    SecondMoments,
)
from xbarc.mapping.chains import Arrangement
from xbarc.mapping.fitting.grids import Alone
from xbarc.mapping.fitting.quality import product_sums
from xbarc.mapping.fitting.rescale import rescale_result
from xbarc.mapping.fitting.search import (
    Found,
    Task,
    fit_with_feedback,
    make_task,
    output_channels,
    plain_fit,
    refine,
)
from xbarc.mapping.job import make_job
from xbarc.numerics import Float64Array, IntFormat
from xbarc.options import MapOptions
from xbarc.target import Target

# More than 256 levels hold the integers of 8 bits that plain rounding gives.
_FINE_BITS = 8


@dataclass(frozen=True, eq=False)
class Fitted:
    """A layer whose integers the encoding holds.

    Attributes:
        arrangement: order and sign of the outputs that they were fitted for; None if they matter
            not.
    """

    layer: MatrixLayer
    arrangement: Arrangement | None
    record: FitRecord


def fit_layer(
    layer: MatrixLayer,
    target: Target,
    options: MapOptions,
    plain: MatrixLayer,
    moments: tuple[SecondMoments, SecondMoments] | None,
    step: float | None = None,
) -> Fitted:
    """Choose integers for a layer.

    Args:
        layer: with the model's own weights.
        target: the chip.
        options: the encoding, and the cells of a weight where they are given.
        plain: the layer with plainly rounded integer weights.
        moments: of the vectors to fit and of those to judge by; None without calibration data.
        step: real value of one step of all weights, where it is given: then an offset for each
            output is all that is fitted beside the integers.

    Raises:
        MappingError: the layer cannot be fitted to so few cells.
    """
    if _is_ample(layer, plain, target, options):
        wide = fit_layer(layer, target, options.changed(weight_slices=None), plain, moments)
        exact = Fitted(plain, None, FitRecord("rounding"))
        return wide if _holds(wide.layer, target, options) else exact
    if options.weight_slices is None and (moments is None or isinstance(layer.weight, IntWeight)):
        return Fitted(plain, None, FitRecord("rounding"))
    task = make_task(layer, plain, target, options, None if moments is None else moments[0])
    task = replace(task, step=step)
    first = (
        plain_fit(task) if options.weight_slices is not None else _rounded_candidate(layer, plain)
    )
    if moments is None or isinstance(layer.geometry, Scatter):
        return _finish(layer, plain, task, first, FitRecord("rounding", _misfit(task, first)))
    better = fit_with_feedback(task, moments[0])
    errors = [relative_error(moments[1], found) for found in (first, better)]
    # Judged on vectors that the fit has not seen: feedback on few samples can be worse than
    # rounding.
    if options.feedback == "auto" and errors[1] >= errors[0]:
        record = FitRecord("rounding", _misfit(task, first), errors[0], errors[0])
        return _finish(layer, plain, task, first, record)
    # The decision is made, so that all data may now serve.
    better = refine(task, moments[0] + moments[1], better)
    record = FitRecord("feedback", _misfit(task, better), errors[0], errors[1])
    return _finish(layer, plain, task, better, record)


def _is_ample(layer: MatrixLayer, plain: MatrixLayer, target: Target, options: MapOptions) -> bool:
    """Whether the given cells hold the integers as they are, so that none needs fitting.

    Float weights are rounded to the levels there are, unless these are more than 256.
    """
    if options.weight_slices is None:
        return False
    fine = target.cell.bits * options.weight_slices > _FINE_BITS
    return (fine or isinstance(layer.weight, IntWeight)) and _holds(plain, target, options)


def _holds(layer: MatrixLayer, target: Target, options: MapOptions) -> bool:
    try:
        make_job(layer, target, options, None)
    except MappingError:
        return False
    return True


def _rounded_candidate(layer: MatrixLayer, plain: MatrixLayer) -> Found:
    """The plainly rounded layer as a candidate."""
    integers = np.asarray(plain.weight.tensor.load(), dtype=np.float64)
    if not (isinstance(plain.result, FloatResult) and isinstance(layer.result, FloatResult)):
        raise MappingError("real weights with an integer result", where=layer.name)
    ratio = plain.result.scale.astype(np.float64) / layer.result.scale
    steps = ratio[output_channels(layer)].reshape(layer.groups, layer.outputs)
    return Found(
        integers,
        steps,
        np.zeros_like(steps),
        Alone(int(integers.min(initial=0)), int(integers.max(initial=0))),
    )


def relative_error(moments: SecondMoments, found: Found) -> float:
    """Squared error of the products over their variance, offset included."""
    sums = product_sums(moments, found.weights)
    energy = float(sums.energy.sum())
    error = float(sums.error(np.ones_like(found.offset), found.offset).sum())
    return error / energy if energy > 0 else 0.0


def _misfit(task: Task, found: Found) -> float:
    """Relative root of the mean square error of the weights."""
    energy = float((task.weights**2).sum())
    error = float(((task.weights - found.weights) ** 2).sum())
    return float(np.sqrt(error / energy)) if energy > 0 else 0.0


def integer_weight(integers: Float64Array) -> IntWeight:
    """Whole numbers as weights of the least width that holds them."""
    low, high = int(integers.min(initial=0)), int(integers.max(initial=0))
    bits = max(high, -1 - low).bit_length() + 1
    values = integers.astype(np.int8 if bits <= 8 else np.int16 if bits <= 16 else np.int32)
    values.flags.writeable = False
    return IntWeight(LazyTensor(values.shape, lambda: values), IntFormat(bits, signed=True))


def _finish(
    layer: MatrixLayer, plain: MatrixLayer, task: Task, found: Found, record: FitRecord
) -> Fitted:
    """Integers, steps and offsets into the layer."""
    weight = integer_weight(found.integers)
    result, constant = rescale_result(layer, found)
    fitted = replace(plain, weight=weight, result=result, constant=constant)
    return Fitted(fitted, task.places, record)
