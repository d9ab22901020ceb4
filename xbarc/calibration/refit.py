"""Digital numbers that compensate what converters lose: a gain, an offset, a share of inputs.

Converters that round and saturate shift what they read, shrink or stretch it, and where a slice is
not converted at all its mean share is missing. Each output's accumulator is fitted to the one it
stands for, on calibration vectors: by the factor and the constant that its result is scaled with
anyway, and by `beta` times the sum of the inputs where that is worth an addition a row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.executor import Accumulate, FastLayer, layer_frame
from xbarc.ir import (
    CrossbarStep,
    FloatResult,
    RequantizedResult,
    Result,
    Scatter,
    known_zero,
    read_only,
)
from xbarc.numerics import AnyArray, BoolArray, Float32Array, Float64Array, Int64Array, IntArray

_WORTH = 0.9
"""Share of the error that must be left at most for a sum of inputs to be made."""

_DOUBT = 16.0
"""Vectors that speak for no change, so that few samples change little."""


@dataclass(frozen=True, eq=False)
class _Line:
    """Numbers of one output each, over the vectors; axis: output of all groups.

    Attributes:
        gain: factor of the accumulator.
        beta: factor of the input sum, before the gain.
        offset: what is left to add, after the gain.
        error: mean squared error with all three.
    """

    gain: Float64Array
    beta: Float64Array
    offset: Float64Array
    error: Float64Array


def refit_step(step: CrossbarStep, vectors: IntArray, wanted: AnyArray) -> CrossbarStep:
    """The layer with digital numbers that bring its accumulators near others.

    Args:
        step: a layer with converters.
        vectors: some of its input vectors; axes: vector, group, input.
        wanted: what each should give, before constants; axes: vector, group, output.
    """
    return Fitting(step, vectors, wanted).fit_step()


class Fitting:
    """A layer's accumulators beside those they stand for, to be fitted on all vectors or on some.

    Args:
        step, vectors, wanted: as `refit_step` takes them.
        engine: executes the layer; None takes the fast one.
    """

    def __init__(
        self,
        step: CrossbarStep,
        vectors: IntArray,
        wanted: AnyArray,
        engine: Accumulate | None = None,
    ) -> None:
        self.engine = engine or FastLayer(step)
        self._step = step
        self._fits = bool(len(vectors)) and not isinstance(step.geometry, Scatter)
        if not self._fits:
            return
        found = self.engine.accumulate(vectors).reshape(len(vectors), -1)
        self._found = found.astype(np.float64)
        self._wanted = np.asarray(wanted, dtype=np.float64).reshape(found.shape)
        self._inputs = np.repeat(vectors.sum(axis=2, dtype=np.float64), step.outputs, axis=1)

    def fit_step(self, among: BoolArray | None = None) -> CrossbarStep:
        """The layer with numbers that suit these vectors, or all.

        Where the input's scale or zero point is only known at run time, the mean error is
        subtracted and nothing else. Transposed convolutions have no constant, and stay as they are.

        Args:
            among: whether each vector counts.
        """
        step = self._step
        if not self._fits or (among is not None and not among.any()):
            return step
        parts = (self._found, self._inputs, self._wanted)
        found, inputs, wanted = parts if among is None else (part[among] for part in parts)
        known = known_zero(step.quantizer)
        if known is None or not takes_gain(step.result, found.shape[1]):
            return _fold_line(step, 0 if known is None else known[0], _without_gain(found, wanted))
        plain = _fit_line(found, np.zeros_like(inputs), wanted)
        helped = _fit_line(found, inputs, wanted)
        # A sum of inputs costs an addition a row in every inference.
        worth = helped.error.sum() < _WORTH * plain.error.sum()
        return _fold_line(step, known[0], helped if worth else plain)


def takes_gain(result: Result, outputs: int) -> bool:
    """Whether a result has a scale for each of so many outputs of all groups."""
    match result:
        case FloatResult():
            return len(result.scale) == outputs
        case RequantizedResult():
            return len(result.multiplier) == outputs
        case _:
            return False


def _without_gain(found: Float64Array, wanted: Float64Array) -> _Line:
    none = np.zeros(found.shape[1])
    off = wanted - found
    return _Line(none + 1, none, off.mean(axis=0), off.var(axis=0))


def _fit_line(found: Float64Array, inputs: Float64Array, wanted: Float64Array) -> _Line:
    """Least squares of each output on what was found and on the sum of its inputs.

    What is fitted is the difference of `wanted` and `found`, so that doubt means no change.
    """
    f, s = found - found.mean(axis=0), inputs - inputs.mean(axis=0)
    off = wanted - found
    doubt = 1 + _DOUBT / len(found)
    a, b, c = (f * f).mean(axis=0) * doubt, (f * s).mean(axis=0), (s * s).mean(axis=0) * doubt
    u, v = (f * off).mean(axis=0), (s * off).mean(axis=0)
    alone = np.where(a > 0, u / np.where(a > 0, a, 1.0), 0.0)
    determinant = a * c - b * b
    # Accumulators that follow the sum of inputs to nine digits cannot be told from it.
    both = determinant > 1e-9 * a * c
    safe = np.where(both, determinant, 1.0)
    gain = 1 + np.where(both, (u * c - v * b) / safe, alone)
    silent = np.where((a == 0) & (c > 0), v / np.where(c > 0, c, 1.0), 0.0)
    share = np.where(both, (v * a - u * b) / safe, silent)
    # Beyond this the accumulator says next to nothing of what it stands for, and a gain would
    # amplify its errors.
    gain = np.where((gain > 0.25) & (gain < 4), gain, 1.0)
    # The periphery adds integers; what rounding leaves goes into the offset.
    beta = np.rint(share / gain)
    left = wanted - gain * (found + beta * inputs)
    return _Line(gain, beta, left.mean(axis=0), left.var(axis=0))


def _fold_line(step: CrossbarStep, zero: int, fit: _Line) -> CrossbarStep:
    """The numbers in the periphery and in the result's scale.

    The constant is added before the gain, so it is the one that comes out right behind it.
    """
    frame = layer_frame(step)
    before = frame.constant - zero * frame.weight_sums.reshape(-1)
    after = before - zero * step.inputs * fit.beta
    shift = np.rint((fit.offset + before) / fit.gain - after).astype(np.int64)
    periphery = replace(
        step.periphery,
        constant=step.periphery.constant + shift,
        input_sum=step.periphery.input_sum + _integers(fit.beta),
    )
    return replace(step, periphery=periphery, result=scale_result(step.result, fit.gain))


def _integers(values: Float64Array) -> Int64Array:
    return values.astype(np.int64)


def scale_result(result: Result, gain: Float64Array) -> Result:
    """The result of accumulators times `gain`; axis: output of all groups."""
    if (gain == 1).all():
        return result
    match result:
        case FloatResult():
            return replace(result, scale=_times(result.scale, gain))
        case RequantizedResult():
            return replace(result, multiplier=_times(result.multiplier, gain))
        case _:
            return result


def _times(scale: Float32Array, gain: Float64Array) -> Float32Array:
    return read_only((scale * gain).astype(np.float32))
