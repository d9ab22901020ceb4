"""Responses of the scores to weaker layer outputs, and the divergence of two sets of scores.

Wires make outputs of a layer smaller, never larger. So their effects on the scores add up or cancel
according to sign. `Responses` keep that sign, image by image, where a sensitivity keeps only the
mean square.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.chips.perturbation import PERTURBATION, change_channels, channel_axis
from xbarc.executor import StepRunner, Values, Walk, labelled_batches, run_steps
from xbarc.ir import LABELS, CrossbarStep, FloatResult, Program, label_name
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array

if TYPE_CHECKING:
    from scipy import special
else:
    special = lazy_module("scipy.special")

# Images that outputs are weakened on. Each output runs all that follows its layer once for every
# image, so wide layers are seen by fewer: 8192 runs a layer, up to 1024 outputs.
_FEWEST, _MOST = 8, 64
_RUNS = 8192  # as above
# Scores up to which an output is a classifier's. Of more (maps of classes, boxes) so many are
# taken, evenly spread, and compared by squares: 64 images of 256 scores and 512 outputs are 64 MiB.
_MOST_SCORES = 256
# A step at most halves or doubles the factor, so 12 reach a factor of 4096; near the solution each
# doubles the digits that are right.
_NEWTON_STEPS = 12


@dataclass(frozen=True, eq=False)
class Responses:
    """First-order changes of the scores, in units in which their squares are divergences.

    Attributes:
        layers: by layer; axes: image and score (joined), output of all groups.
    """

    layers: Mapping[str, Float64Array]


def _weaken_channel(step: CrossbarStep, output: AnyArray, channel: int) -> AnyArray:
    """The output with a channel a little weaker in all images; its bias is digital, and stays."""
    result, channels = step.result, output.shape[channel_axis(step)]
    known = isinstance(result, FloatResult) and result.bias.size == channels
    bias = result.bias.reshape(-1)[channel] if known else 0.0  # type: ignore[union-attr]  # known
    lost = np.array([channel])
    return change_channels(step, output, lost, lambda y: y - PERTURBATION * (y - bias))


def some_images(
    data: Mapping[str, AnyArray], first: int, count: int, labels: str = LABELS
) -> dict[str, AnyArray]:
    """Part of the data, labels left out; what lies beyond its end is taken from the beginning."""
    fed = {name: array for name, array in data.items() if name != labels}
    size = min((len(array) for array in fed.values()), default=0)
    # Few images are used twice rather than judged by fewer.
    start = first if first + count <= size else max(0, size - count)
    return {name: array[start : start + count] for name, array in fed.items()}


def run_from(program: Program, index: int, values: Values, runner: StepRunner) -> Float64Array:
    """Scores of the steps from `index` on; axes: image, score; `values` are used up."""
    found = np.asarray(first_output(program, index, values, runner), dtype=np.float64)
    return found.reshape(len(found), -1)


def first_output(program: Program, index: int, values: Values, runner: StepRunner) -> Any:
    """The first output by the steps from `index` on; `values` are used up."""
    name = program.outputs[0].name
    run_steps(program.steps[index:], values, runner, keep=[name])
    return values[name]


class _Units:
    """Half the squared norm is the divergence to second order.

    Several scores of an image are taken for those of a classifier: the divergence is that of the
    probabilities. A single score counts by its square, in units of the scores.
    """

    def __init__(self, plain: Float64Array) -> None:
        images, scores = plain.shape
        chosen = np.linspace(0, scores - 1, min(scores, _MOST_SCORES)).astype(np.int64)
        self._chosen = np.unique(chosen)
        self._plain = plain
        self._is_class = 1 < scores <= _MOST_SCORES
        self._share = probabilities(plain) if self._is_class else None
        self._scale = 1 / np.sqrt(max(1, images))
        if not self._is_class:
            self._scale /= float(np.sqrt(np.square(plain).mean() * len(self._chosen))) or 1.0

    def without_scale(self, changes: Float64Array) -> Float64Array:
        """Changes less what one factor on all scores would do; axes: image and score, change."""
        if self._share is None:
            return changes
        along = self(self._plain).reshape(-1)
        energy = float(along @ along)
        if energy <= 0:
            return changes
        return changes - np.outer(along / energy, along @ changes)

    def __call__(self, change: Float64Array) -> Float64Array:
        part: Float64Array = change[:, self._chosen] * self._scale
        if self._share is None:
            return part
        # To second order the divergence of two softmaxes is half the variance of the change of the
        # scores under the first.
        centred = part - (self._share * part).sum(axis=1, keepdims=True)
        scaled: Float64Array = np.sqrt(self._share) * centred
        return scaled


def responses(program: Program, data: Mapping[str, AnyArray]) -> Responses:
    """Responses of all layers, each output on every one of the first images.

    Args:
        program: what runs, on ideal cells.
        data: inputs by name; labels are not needed.
    """
    channels = [step.groups * step.outputs for step in program.crossbar_steps]
    count = int(np.clip(_RUNS // max(1, *channels), _FEWEST, _MOST))
    runner, parts = StepRunner(), []
    labels = label_name(value.name for value in program.inputs)
    for feeds, _, _ in labelled_batches(program, some_images(data, 0, count, labels)):
        parts.append(_respond_to_batch(program, dict(feeds), runner))
    return Responses(
        {
            # Each batch is in units of its own mean; over batches it is squares that average.
            step.name: np.concatenate([part[step.name] for part in parts]) / np.sqrt(len(parts))
            for step in program.crossbar_steps
        }
    )


def _respond_to_batch(
    program: Program, values: Values, runner: StepRunner
) -> dict[str, Float64Array]:
    plain = run_from(program, 0, dict(values), runner)
    units = _Units(plain)
    found = {}
    walk = Walk(program.steps, keep=[program.outputs[0].name])
    for index, step in enumerate(walk):
        runner.run(step, values)
        if isinstance(step, CrossbarStep):
            output, columns = np.asarray(values[step.output]), []
            for channel in range(step.groups * step.outputs):
                changed = {**values, step.output: _weaken_channel(step, output, channel)}
                moved = run_from(program, index + 1, changed, runner) - plain
                columns.append(units(moved / PERTURBATION).reshape(-1))
            found[step.name] = units.without_scale(np.stack(columns, axis=1))
        walk.forget(values)
    return found


def probabilities(scores: Float64Array) -> Float64Array:
    """Softmax; axes: image, score."""
    found: Float64Array = special.softmax(scores, axis=1)
    return found


def divergence(plain: Float64Array, found: Float64Array) -> float:
    """How far scores lie from those of the plain program: mean over images."""
    return float(divergences(plain, found).mean())


def divergences(plain: Float64Array, found: Float64Array) -> Float64Array:
    """How far the scores of each image lie from those of the plain program.

    Kullback and Leibler's where there are several scores, after one factor on all of them, which
    changes no answer; else half the relative squared error.

    Args:
        plain: scores of the plain program; axes: image, score.
        found: the same on a chip.
    """
    if not 1 < plain.shape[1] <= _MOST_SCORES:
        scale = float(np.square(plain).mean())
        errors: Float64Array = np.square(found - plain).mean(axis=1)
        return errors / (2 * scale) if scale > 0 else np.zeros(len(plain))
    share = probabilities(plain)
    tiny = np.finfo(np.float64).tiny
    scaled = probabilities(_best_scale(share, found) * found)
    ratio = np.log(np.maximum(share, tiny)) - np.log(np.maximum(scaled, tiny))
    each: Float64Array = (share * ratio).sum(axis=1)
    return each


def _best_scale(share: Float64Array, scores: Float64Array) -> float:
    """The factor on all scores that comes nearest to probabilities; a convex problem, by Newton."""
    scale = 1.0
    for _ in range(_NEWTON_STEPS):
        now = probabilities(scale * scores)
        slope = float(((now - share) * scores).sum(axis=1).mean())
        mean = (now * scores).sum(axis=1, keepdims=True)
        bend = float((now * np.square(scores - mean)).sum(axis=1).mean())
        if bend <= 0:
            break
        scale = float(np.clip(scale - slope / bend, scale / 2, scale * 2))
    return scale
