"""Scales of channels, and the ranges that go with them, from what the data says.

The error that quantisation adds is predicted from weights and statistics, and its sum over layers
is made small over the logarithms of all scales and steps together. Every step may be shared by
the whole network (one range for all layers) or belong to one layer or output.

Layer with inputs x[c], weights W[c, o], scales s[c] and s[o], steps D of weights and d of inputs,
in units of the unscaled network:

    weights      sum_c E[x[c]^2] (s[c]/s[o])^2 D^2 rho(W[c,o] s[o] / (s[c] D))
    inputs       sum_c W[c,o]^2 (d/s[c])^2 E[tau(x[c] s[c] / d)]
    converters   blocks (e/s[o])^2 / 12,  e in proportion to the largest sums of the network

rho and tau are the squared error of rounding and of clipping, in steps. An error at output o
counts with its gain to the outputs of the network, linearised, and relative to the signal of its
layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from xbarc.lazy import lazy_module
from xbarc.numerics import Float32Array, Float64Array, FloatArray, Int64Array

if TYPE_CHECKING:
    from scipy import optimize
else:
    optimize = lazy_module("scipy.optimize")

# A power mean that stands for the largest sum and has a gradient: with power 16 the mean of 1000
# outputs is at least 1000^(-1/16), 65 %, of the largest.
_NORM = 16
_LEAST_ERROR = 1e-300  # its logarithm is finite
# L-BFGS-B stops where a step lowers the logarithm of the error by less than this share of it.
_CONVERGED = 1e-5
# A clipped value counts four times its square. Our model: clipped values of one sign err together,
# which the sum of squares of independent errors leaves out.
_CLIPPED = 4.0
# e^20 = 5e8 in either direction, more than channels of a network differ by; exp stays far from
# overflow of float32 while the descent tries long steps.
_FARTHEST = 20.0
# Entries a buffer: 8 MiB of float32, of which a handful live at a time.
_BUFFER = 1 << 21
# A converter's range is eight standard deviations of its sums, four of either sign: of normal
# sums one in 16,000 lies beyond.
_SUMS_IN_RANGE = 8.0


@dataclass(frozen=True, eq=False)
class LayerFacts:
    """One matrix layer as the prediction sees it.

    Attributes:
        weights: axes: group, input channel, kernel position, output.
        power: mean squared input; axes: group, input channel.
        sensitivity: what a squared error of each input counts; axis: group times input channel.
        samples: quantiles of the input; axes: group times input channel, quantile.
        output_power: mean squared output without bias; axis: output of all groups.
        gain: weight of an error at each output, signal of the layer included; axis as above.
        blocks: conversions that one output adds up.
        inputs: number of the scale of each input channel; axis: channel of all groups.
        outputs: number of the scale of each output; axis: output of all groups.
        weight_step: number of the step of each output; axis as above.
        input_step: number of the step of the inputs.
        input_top: largest code of either side of zero.
        signed: whether inputs go below zero.
    """

    weights: Float32Array
    power: Float64Array
    sensitivity: Float64Array
    samples: Float64Array
    output_power: Float64Array
    gain: Float64Array
    blocks: int
    inputs: Int64Array
    outputs: Int64Array
    weight_step: Int64Array
    input_step: int
    input_top: int
    signed: bool


@dataclass(frozen=True, eq=False)
class CodeLevels:
    """What codes can hold: largest weight magnitude, and codes of a converter (0: no error)."""

    weight: int
    adc: int


def rounding_error(values: FloatArray, top: float) -> tuple[FloatArray, FloatArray]:
    """Squared error in steps, of rounding and of clipping, and its slope times the value.

    Rounding: 1/12 on average, but never more than the value itself: v^2 / (1 + 12 v^2). What is
    clipped counts more than its square: all clipped values err towards zero, so that their errors
    add up where inputs rise and fall together.
    """
    square = values * values
    share = 1 / (1 + 12 * square)
    size = np.abs(values)
    beyond = np.maximum(size - np.float32(top), 0)
    square *= share
    clipped = np.float32(_CLIPPED) * beyond
    return square + clipped * beyond, 2 * (square * share + clipped * size)


def predict_error(
    point: Float64Array, facts: Sequence[LayerFacts], levels: CodeLevels
) -> tuple[float, Float64Array]:
    """Predicted error and its gradient.

    Args:
        point: logarithms of all scales and steps; entry 0 is not used.
        facts: the layers.
        levels: what codes can hold.
    """
    total, gradient = 0.0, np.zeros_like(point)
    for fact in facts:
        total += _weight_error(point, fact, levels.weight, gradient)
        total += _input_error(point, fact, gradient)
    if levels.adc:
        total += _converter_error(point, facts, levels.adc, gradient)
    return total, gradient


def _weight_error(point: Float64Array, fact: LayerFacts, top: int, gradient: Float64Array) -> float:
    """Adds to the gradient; a buffer's worth of input channels at a time."""
    groups, channels, kernel, outputs = fact.weights.shape
    into = point[fact.inputs].reshape(groups, -1, 1)
    shift = (point[fact.outputs] - point[fact.weight_step]).reshape(groups, 1, -1)
    size = max(1, _BUFFER // max(1, groups * kernel * outputs))
    total, by_output = 0.0, np.zeros((groups, outputs))
    by_input = np.zeros((groups, channels))
    for first in range(0, channels, size):
        part = slice(first, first + size)
        move = shift - into[:, part]
        factor = np.exp(move).astype(np.float32)[:, :, None, :]
        error, slope = rounding_error(fact.weights[:, part] * factor, top)
        share = np.exp(-2 * move) * fact.power[:, part, None] * fact.gain.reshape(groups, 1, -1)
        errors = error.sum(axis=2, dtype=np.float64)
        change = share * (slope.sum(axis=2, dtype=np.float64) - 2 * errors)
        total += float((share * errors).sum())
        by_output += change.sum(axis=1)
        by_input[:, part] = change.sum(axis=2)
    np.add.at(gradient, fact.outputs, by_output.reshape(-1))
    np.add.at(gradient, fact.weight_step, -by_output.reshape(-1))
    np.add.at(gradient, fact.inputs, -by_input.reshape(-1))
    return total


def _input_error(point: Float64Array, fact: LayerFacts, gradient: Float64Array) -> float:
    move = point[fact.inputs] - point[fact.input_step]
    error, slope = rounding_error(fact.samples * np.exp(move)[:, None], fact.input_top)
    share = fact.sensitivity * np.exp(-2 * move)
    change = share * (slope - 2 * error).mean(axis=1)
    np.add.at(gradient, fact.inputs, change)
    gradient[fact.input_step] -= change.sum()
    return float((share * error.mean(axis=1)).sum())


def _converter_error(
    point: Float64Array, facts: Sequence[LayerFacts], codes: int, gradient: Float64Array
) -> float:
    """One step for all, in proportion to a high norm of all outputs' sums."""
    sums = [0.5 * np.log(np.maximum(f.output_power, 1e-30)) + point[f.outputs] for f in facts]
    flat = np.concatenate(sums)
    highest = flat.max()
    powers = np.exp(_NORM * (flat - highest))
    norm = highest + np.log(powers.mean()) / _NORM
    step = (_SUMS_IN_RANGE / codes) ** 2 / 12
    parts = [f.gain * f.blocks * step * np.exp(2 * (norm - point[f.outputs])) for f in facts]
    total = sum(float(part.sum()) for part in parts)
    weights = 2 * total * powers / powers.sum()
    start = 0
    for fact, part in zip(facts, parts, strict=True):
        end = start + part.size
        np.add.at(gradient, fact.outputs, weights[start:end] - 2 * part)
        start = end
    return total


def least_error(
    start: Float64Array,
    facts: Sequence[LayerFacts],
    levels: CodeLevels,
    free: Int64Array,
    rounds: int = 300,
) -> tuple[Float64Array, float]:
    """Scales and steps of least predicted error, from a starting point.

    Args:
        start: logarithms; entry 0 stays 0.
        facts: the layers.
        levels: what codes can hold.
        free: number of the variable that moves each entry; 0 holds an entry fast, and entries of
            one number move together.
        rounds: of the descent, at most.

    Returns:
        Logarithms at the end, and the predicted error there.
    """

    def shift_point(shift: Float64Array) -> Float64Array:
        full = np.concatenate([[0.0], np.clip(shift, -_FARTHEST, _FARTHEST)])
        found: Float64Array = start + full[free]
        return found

    def value(shift: Float64Array) -> tuple[float, Float64Array]:
        error, gradient = predict_error(shift_point(shift), facts, levels)
        summed = np.bincount(free, weights=gradient, minlength=int(free.max()) + 1)
        held = max(error, _LEAST_ERROR)
        return float(np.log(held)), summed[1:] / held

    count = int(free.max())
    if predict_error(shift_point(np.zeros(count)), facts, levels)[0] == 0:
        return start, 0.0  # layers that nothing ever reaches have no error to lessen
    found = optimize.minimize(
        value,
        np.zeros(count),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": rounds, "ftol": _CONVERGED},
    )
    return shift_point(np.asarray(found.x)), float(np.exp(found.fun))
