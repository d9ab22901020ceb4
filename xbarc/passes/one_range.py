"""From a network and what data says about it to the numbers that the prediction of errors takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from xbarc.ir import (
    ChannelStatistics,
    FloatResult,
    FreeScales,
    MatrixLayer,
    Network,
    Scatter,
    Window,
)
from xbarc.numerics import Float32Array, Float64Array, Int64Array
from xbarc.options import Share
from xbarc.passes.equalise import balance_weights
from xbarc.passes.given_steps import LayerSteps
from xbarc.passes.prediction import CodeLevels, LayerFacts, least_error

# Of the descent: as many from each start, and at most as many more from the best, unless it settles
# before (`_CONVERGED` of `prediction`). Our choice, not tuned.
_FIRST_ROUNDS, _ROUNDS = 25, 200


@dataclass(frozen=True)
class Bits:
    """Widths: of weights with their sign, of activations, of converters (0: no error of theirs)."""

    weights: int
    activations: int
    converters: int = 0

    @property
    def weight_top(self) -> int:
        """The largest magnitude of a weight."""
        return (1 << (self.weights - 1)) - 1

    @property
    def input_top(self) -> int:
        """The largest code of an input."""
        return (1 << self.activations) - 1

    @property
    def converter_top(self) -> int:
        """The largest code of a converter."""
        return (1 << self.converters) - 1


@dataclass(frozen=True, eq=False)
class OneRange:
    """Scales of channels, and the one range that all layers share.

    Attributes:
        scales: one a free scale; entry 0 is one.
        layers: steps of each layer; they differ only by digital factors at the network's borders.
        error: predicted error, relative to the signal, summed over layers.
        weight_step: real value of one step of the scaled weights.
        input_step: real value of one step of the scaled inputs.
    """

    scales: Float64Array
    layers: Mapping[str, LayerSteps]
    error: float
    weight_step: float
    input_step: float


@dataclass(eq=False)
class _Entries:
    """Logarithms that are looked for: scales first, then those of borders, then steps.

    Attributes:
        variables: which variable moves each entry; 0 holds it fast.
        values: where each entry starts.
    """

    variables: list[int]
    values: list[float]

    def add(self, count: int = 1) -> Int64Array:
        """More entries, each with a variable of its own; gives their numbers."""
        first, variable = len(self.variables), max(self.variables) + 1
        self.variables.extend(range(variable, variable + count))
        self.values.extend([0.0] * count)
        return np.arange(first, first + count)


@dataclass(frozen=True)
class _CommonSettings:
    """What the layers have in common; fields as the arguments of `choose_one_range`."""

    bits: Bits
    active_rows: int
    share: Share
    own: bool


def choose_one_range(
    network: Network,
    statistics: Mapping[str, ChannelStatistics],
    bits: Bits,
    active_rows: int,
    share: Share = "channel",
    *,
    own: bool = False,
) -> OneRange:
    """Scales and steps of least predicted error.

    Args:
        network: with `scales`.
        statistics: of the float network.
        bits: of weights, activations and converters.
        active_rows: wordlines driven together.
        share: what has a scale of its own: nothing, a layer, or a channel.
        own: every output has its own step of weights, every layer its own step of inputs; then
            only the scales are of use, and the steps of layers mean nothing.
    """
    free = network.scales or FreeScales()
    layers = [layer for layer in network.matrix_layers if layer.name in free.layers]
    entries = _Entries([0, *_variables(free, layers, share)], [0.0] * (free.count + 1))
    frame = _CommonSettings(bits, active_rows, share, own)
    facts = _facts(layers, free, statistics, entries, frame)
    levels = CodeLevels(bits.weight_top, bits.converter_top)
    variables = np.array(entries.variables)
    tries = []
    for scales in _starts(network, layers, statistics, share):
        start = _starting_point(entries, facts, scales, bits, own=own)
        tries.append(least_error(start, facts, levels, variables, _FIRST_ROUNDS))
    # The descent finds the nearest valley: a few rounds from each start tell which one is worth
    # many.
    best = min(tries, key=lambda found: found[1])[0]
    point, error = least_error(best, facts, levels, variables, _ROUNDS)
    steps = {
        layer.name: _steps(fact, point, free.count)
        for layer, fact in zip(layers, facts, strict=True)
    }
    shared = (facts[0].weight_step[0], facts[0].input_step) if facts else (0, 0)
    return OneRange(
        np.exp(point[: free.count + 1]), steps, error, *(float(np.exp(point[i])) for i in shared)
    )


def _steps(fact: LayerFacts, point: Float64Array, scales: int) -> LayerSteps:
    """Steps in the layer's own units: a border's own scale is no part of the network."""
    into = point[fact.inputs[0]] if fact.inputs[0] > scales else 0.0
    out = point[fact.outputs[0]] if fact.outputs[0] > scales else 0.0
    weight = point[fact.weight_step[0]] + into - out
    step = point[fact.input_step] - into
    return LayerSteps(float(np.exp(weight)), float(np.exp(step)), fact.signed)


def _variables(free: FreeScales, layers: list[MatrixLayer], share: Share) -> list[int]:
    """The variable of each free scale: none, one for all that a layer writes, or its own."""
    if share == "channel":
        return list(range(1, free.count + 1))
    if share == "none":
        return [0] * free.count
    group = np.arange(free.count + 1)
    for layer in layers:
        written = np.unique(group[free.layers[layer.name].outputs])
        written = written[written > 0]
        if written.size:
            group[np.isin(group, written)] = written[0]
    return [int(number) for number in np.unique(group, return_inverse=True)[1][1:]]


def _starts(
    network: Network,
    layers: list[MatrixLayer],
    statistics: Mapping[str, ChannelStatistics],
    share: Share,
) -> list[Float64Array]:
    """Where the descent begins: as the model is, with balanced weights, with equal powers."""
    free = network.scales or FreeScales()
    ones = np.ones(free.count + 1)
    if share != "channel":
        return [ones]
    power, count = np.zeros_like(ones), np.zeros_like(ones)
    for layer in layers:
        link = free.layers[layer.name].inputs
        np.add.at(power, link, statistics[layer.name].power)
        np.add.at(count, link, 1.0)
    alive = (power > 0) & (np.arange(ones.size) > 0)
    equal_power = np.where(alive, np.sqrt(count / np.where(alive, power, 1.0)), 1.0)
    return [ones, balance_weights(network), equal_power]


def _facts(
    layers: list[MatrixLayer],
    free: FreeScales,
    statistics: Mapping[str, ChannelStatistics],
    entries: _Entries,
    frame: _CommonSettings,
) -> list[LayerFacts]:
    """Facts of each layer; borders without a free scale get one of their own."""
    weights = [_matrix(layer) for layer in layers]
    gains = _gains(layers, free, statistics, weights)
    weight_step, input_step = entries.add(), entries.add()
    facts = []
    own = frame.own
    for layer, matrix, (gain, passed) in zip(layers, weights, gains, strict=True):
        link, seen = free.layers[layer.name], statistics[layer.name]
        signed, outputs = bool((seen.samples < 0).any()), link.outputs.size
        facts.append(
            LayerFacts(
                weights=matrix,
                power=seen.power.reshape(layer.groups, -1),
                sensitivity=passed,
                samples=seen.samples,
                output_power=seen.output_power,
                gain=gain,
                blocks=-(-layer.rows // frame.active_rows),
                inputs=_border(link.inputs, entries, frame),
                outputs=_border(link.outputs, entries, frame),
                weight_step=entries.add(outputs) if own else np.repeat(weight_step, outputs),
                input_step=int((entries.add() if own else input_step)[0]),
                # A signed code spends one of its bits on the sign.
                input_top=frame.bits.input_top >> signed,
                signed=signed,
            )
        )
    return facts


def _border(link: Int64Array, entries: _Entries, frame: _CommonSettings) -> Int64Array:
    """Numbers of scales; a border that has none is scaled as a whole, digitally."""
    if link.any() or frame.own or frame.share == "none":
        return link
    return np.repeat(entries.add(), link.size)


def _starting_point(
    entries: _Entries, facts: list[LayerFacts], scales: Float64Array, bits: Bits, *, own: bool
) -> Float64Array:
    """A starting point: steps that would just hold the largest numbers, of the middle layer."""
    point = np.array(entries.values)
    point[: scales.size] = np.log(scales)
    weights, inputs = [], []
    for fact in facts:
        groups = fact.weights.shape[0]
        into = np.exp(point[fact.inputs])
        largest = np.abs(fact.weights).max(axis=2, initial=0)
        largest = largest / into.reshape(groups, -1, 1)
        largest = largest * np.exp(point[fact.outputs]).reshape(groups, 1, -1)
        weights.append(largest.max(initial=1e-30) / bits.weight_top)
        held = np.abs(fact.samples).max(axis=1, initial=0) * into
        inputs.append(held.max(initial=1e-30) / fact.input_top)
    for number, fact in enumerate(facts):
        # The largest step of all would leave narrow layers a code or two; the descent would start
        # flat.
        point[fact.weight_step] = np.log(weights[number] if own else np.median(weights))
        point[fact.input_step] = np.log(inputs[number] if own else np.median(inputs))
    return point


def _matrix(layer: MatrixLayer) -> Float32Array:
    """Weights with what the model multiplies beside them; axes as `LayerFacts.weights`."""
    values = layer.weight.tensor.load()
    groups, rows, outputs = values.shape
    kernel = prod(layer.geometry.kernel) if isinstance(layer.geometry, Window | Scatter) else 1
    if isinstance(layer.geometry, Scatter):
        split = values.reshape(groups, rows, outputs // kernel, kernel).swapaxes(2, 3)
    else:
        split = values.reshape(groups, rows // kernel if kernel else 0, kernel, outputs)
    scale = layer.result.scale if isinstance(layer.result, FloatResult) else np.ones(1)
    return np.asarray(split * scale.astype(np.float32).reshape(groups, 1, 1, -1))


def _gains(
    layers: list[MatrixLayer],
    free: FreeScales,
    statistics: Mapping[str, ChannelStatistics],
    weights: list[Float32Array],
) -> list[tuple[Float64Array, Float64Array]]:
    """How much a squared error counts at each output and at each input, by its layer's signal.

    An error is carried towards the outputs of the network as if every layer between were linear.
    """
    known = np.zeros(free.count + 1)
    gains: list[tuple[Float64Array, Float64Array]] = []
    # From the outputs to the inputs: the gain of a layer needs those of its readers.
    for layer, matrix in zip(reversed(layers), reversed(weights), strict=True):
        link = free.layers[layer.name]
        gain = np.where(link.outputs > 0, known[link.outputs], 1.0)
        signal = float((gain * statistics[layer.name].variance).sum())
        gain = gain / signal if signal > 0 else np.zeros_like(gain)
        squares = np.einsum("gcko,gcko->gco", matrix, matrix, dtype=np.float64)
        passed = (squares * gain.reshape(layer.groups, 1, -1)).sum(axis=2).reshape(-1)
        gains.append((gain, passed))
        np.add.at(known, link.inputs, passed)
        # Entry 0 stands for all channels without a scale, which have nothing in common.
        known[0] = 0.0
    return gains[::-1]
