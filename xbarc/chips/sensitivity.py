"""Measure what layers receive and how much their outputs matter, on data.

A sensitivity is the effect of a finite perturbation: one output channel of a layer loses a tenth,
and everything after the layer runs again. Each image loses another channel, so that one run serves
many channels. This needs no gradients and allows any operators in between. With labels the change
of the loss is measured too, otherwise the change of the scores alone. A channel of a binary layer
cannot lose a tenth, so its sign is reversed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.chips.perturbation import PERTURBATION, change_channels, channel_axis
from xbarc.chips.responses import run_from
from xbarc.circuit import Importance, real_weights
from xbarc.executor import StepRunner, Values, Walk, labelled_batches, run_steps
from xbarc.instruments import InputMoments
from xbarc.ir import CrossbarStep, Program, SignResult
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_module("scipy.special")

# Images that lose each channel: its mean change is then known to a quarter of the spread over
# images. Our choice, not tuned.
_EACH = 16
# Every layer runs all that follows it on them, once for each eight of its channels.
_MOST_IMAGES = 128


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Of a layer's outputs, each losing a share `PERTURBATION`; axis: output of all groups.

    Attributes:
        scores: mean squared change of the network's output, over the perturbation squared.
        loss: mean rise of the cross-entropy over the perturbation; None without labels.
        fisher: mean square of the same; None without labels.
    """

    scores: Float64Array
    loss: Float64Array | None
    fisher: Float64Array | None

    @property
    def price(self) -> Float64Array:
        """Fisher where there are labels, else the label-free proxy."""
        return self.scores if self.fisher is None else self.fisher


def gather_moments(
    program: Program, data: Mapping[str, AnyArray], images: int = _MOST_IMAGES
) -> dict[str, InputMoments]:
    """Moments of every layer's input codes, on the program itself; by layer name."""
    moments = {s.name: InputMoments(s.groups, s.inputs) for s in program.crossbar_steps}
    runner = StepRunner(taps={name: own.add for name, own in moments.items()})
    for feeds, _, _ in labelled_batches(program, _first(data, images)):
        run_steps(program.steps, dict(feeds), runner)
    return moments


def _first(data: Mapping[str, AnyArray], images: int) -> dict[str, AnyArray]:
    return {name: array[:images] for name, array in data.items()}


def layer_sensitivity(
    program: Program,
    name: str,
    data: Mapping[str, AnyArray],
    runner: StepRunner,
    images: int = _MOST_IMAGES,
) -> Sensitivity:
    """Sensitivity of one layer's outputs.

    Args:
        program: what runs.
        name: the layer.
        data: inputs, and `labels` where there are any.
        runner: executes steps; with a chip, on its wires.
        images: of the data that are used.
    """
    index = next(i for i, step in enumerate(program.steps) if step.name == name)
    step = program.steps[index]
    if not isinstance(step, CrossbarStep):
        raise TypeError(f"{name} is not a crossbar layer")
    tallies: list[_Changes] = []
    for feeds, labels, count in labelled_batches(program, _first(data, images)):
        values: Values = dict(feeds)
        walk = Walk(program.steps, keep=[program.outputs[0].name])
        for earlier in walk:
            runner.run(earlier, values)
            if earlier is step:
                break
            walk.forget(values)
        plain = run_from(program, index + 1, dict(values), runner)
        size = _channel_count(step, values[step.output])
        tally = _Changes(size, labels is not None)
        for turn in range(-(-size * _EACH // max(1, count))):
            # Every image loses another channel, so that one run serves as many channels as the
            # batch has images.
            lost = (np.arange(count) + turn * count) % size
            changed = dict(values)
            changed[step.output] = _weaken_channels(step, np.asarray(values[step.output]), lost)
            tally.add(lost, plain, run_from(program, index + 1, changed, runner), labels)
        tallies.append(tally)
    return _average(tallies)


class _Changes:
    def __init__(self, channels: int, labelled: bool) -> None:
        self.count = np.zeros(channels)
        self.scores = np.zeros(channels)
        self.loss = np.zeros(channels) if labelled else None
        self.fisher = np.zeros(channels) if labelled else None

    def add(
        self, lost: AnyArray, plain: AnyArray, found: AnyArray, labels: AnyArray | None
    ) -> None:
        """One run: the channel that each image lost, and scores before and after."""
        np.add.at(self.count, lost, 1.0)
        np.add.at(self.scores, lost, np.square(found - plain).sum(axis=1) / PERTURBATION**2)
        if self.loss is None or self.fisher is None or labels is None:
            return
        change = (_loss(found, labels) - _loss(plain, labels)) / PERTURBATION
        np.add.at(self.loss, lost, change)
        np.add.at(self.fisher, lost, np.square(change))


def _average(tallies: list[_Changes]) -> Sensitivity:
    count = np.maximum(1, sum(t.count for t in tallies))

    def mean(name: str) -> Float64Array | None:
        parts = [getattr(t, name) for t in tallies]
        return None if any(p is None for p in parts) else np.asarray(sum(parts) / count)

    scores = mean("scores")
    return Sensitivity(np.zeros(0) if scores is None else scores, mean("loss"), mean("fisher"))


def _channel_count(step: CrossbarStep, output: Any) -> int:
    return int(np.shape(output)[channel_axis(step)])


def _weaken_channels(step: CrossbarStep, output: AnyArray, lost: AnyArray) -> AnyArray:
    """Another channel of each image a little weaker, or its sign reversed where it is binary."""
    result = step.result

    def less(part: AnyArray) -> AnyArray:
        if isinstance(result, SignResult):
            return result.low + result.high - part
        weaker: AnyArray = part.astype(np.float64) * (1 - PERTURBATION)
        return weaker

    return change_channels(step, output, lost, less)


def _loss(scores: Float64Array, labels: AnyArray) -> Float64Array:
    """Cross-entropy of each image."""
    wanted: Float64Array = -special.log_softmax(scores, axis=1)[np.arange(len(labels)), labels]
    return wanted


def importance_of(
    step: CrossbarStep, moments: InputMoments, sensitivity: Sensitivity | None
) -> Importance:
    """Price of errors in a layer; without sensitivities each output counts by its own energy."""
    matrix = moments.matrix
    weights = real_weights(step, step.cells.unpack((slice(None),)))
    energy = np.einsum("gio,gio->go", weights, matrix @ weights)
    # An output that carries nothing would have any price.
    floor = max(float(energy.mean()) * 1e-6, 1e-30)
    wanted = np.ones_like(energy)
    if sensitivity is not None and sensitivity.price.size == energy.size:
        wanted = sensitivity.price.reshape(energy.shape)
    return Importance(matrix, moments.mean, wanted / np.maximum(energy, floor))
