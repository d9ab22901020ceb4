"""The walk over calibration data: the compiled prefix, and the exact network beside it.

Layer by layer, in execution order: what the next layer's methods ask for is gathered from values
that the steps compiled so far have made, rounding included, and from those of the exact network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xbarc.errors import InputError
from xbarc.executor import StepRunner, check_feeds
from xbarc.executor.exact import ExactLayer
from xbarc.executor.moments import Feed, second_moments
from xbarc.executor.run import Values
from xbarc.ir.labels import label_name, split_labels
from xbarc.ir.network import MatrixLayer, Network, Value, layer_inputs
from xbarc.ir.program import DigitalStep, Program, Step
from xbarc.ir.quantize import Quantizer
from xbarc.ir.statistics import RangeStatistics, SecondMoments
from xbarc.numerics.types import AnyArray
from xbarc.passes import widen_binary

CALIBRATION_BATCH = 64
_BINS = 2048


class Walk:
    """Values of the network on calibration data, as far as it is compiled.

    Args:
        network: what is compiled.
        batches: calibration data; empty where there is none, and then nothing is executed.
        exact: whether the exact network is executed too, for error feedback.
        runner: executes the compiled prefix; None takes the fast engine.
    """

    def __init__(
        self,
        network: Network,
        batches: list[Values],
        *,
        exact: bool,
        runner: StepRunner | None = None,
    ) -> None:
        self.network = network
        self.batches = batches
        self.exact = [dict(values) for values in batches] if exact else []
        self._runner = runner or StepRunner()

    def ranges(self, layer: MatrixLayer) -> RangeStatistics | None:
        """Histogram of a layer's input; None without data."""
        if not self.batches:
            return None
        return range_statistics([values[layer.input] for values in self.batches])

    def moments(
        self, layer: MatrixLayer, quantizer: Quantizer
    ) -> tuple[SecondMoments, SecondMoments] | None:
        """Second moments of the samples to fit and of those to judge by; None without data.

        Args:
            layer: with the model's own weights.
            quantizer: how the compiled layer takes its input.
        """
        if not self.exact:
            return None
        feeds = [
            Feed(np.asarray(own[layer.input]), np.asarray(exact[layer.input]), own, exact)
            for own, exact in zip(self.batches, self.exact, strict=True)
        ]
        pair = second_moments(ExactLayer(widen_binary(layer)), quantizer, feeds)
        return pair if min(part.count for part in pair) > 1 else None

    def advance(self, number: int, step: Step) -> None:
        """Execute a step and its layer, then drop what no later layer reads."""
        if not self.batches:
            return
        layer = self.network.layers[number]
        for values in self.batches:
            self._runner.run(step, values)
        exact = None
        if isinstance(layer, MatrixLayer) and self.exact:
            exact = ExactLayer(widen_binary(layer))
        for values in self.exact:
            if isinstance(step, DigitalStep):
                self._runner.run(step, values)
            elif exact is not None:
                values[step.output] = exact.run(np.asarray(values[step.input]), values)
        self._runner.forget(step)
        self._forget(number)

    def _forget(self, number: int) -> None:
        later = self.network.layers[number + 1 :]
        needed = {name for layer in later for name in layer_inputs(layer)}
        for values in [*self.batches, *self.exact]:
            for name in [name for name in values if name not in needed]:
                del values[name]


def labelled_batches(
    program: Program, data: Mapping[str, AnyArray]
) -> list[tuple[dict[str, AnyArray], AnyArray | None, int]]:
    """Feeds, labels and sample count of each batch.

    Raises:
        InputError: unknown arrays, or labels that do not match the samples.
    """
    feeds, labels = split_labels(program.inputs, data)
    batches = split_batches(program.inputs, feeds)
    first = program.inputs[0].name if program.inputs else None
    sizes = [len(b[first]) if first in b and np.ndim(b[first]) else 1 for b in batches]
    if labels is not None and (labels.shape != (sum(sizes),) or labels.dtype.kind not in "iu"):
        name = label_name(value.name for value in program.inputs)
        raise InputError(
            f"{name} are {labels.dtype}{list(labels.shape)}, expected int64[{sum(sizes)}]",
            where="data",
            hint="one class number a sample",
        )
    ends = np.cumsum(sizes)
    return [
        (batch, None if labels is None else labels[end - size : end], size)
        for batch, size, end in zip(batches, sizes, ends.tolist(), strict=True)
    ]


def calibration_batches(
    inputs: Sequence[Value], data: Mapping[str, AnyArray], least: int = 1
) -> list[Values]:
    """Cut calibration data into batches that the model takes; labels are left out.

    Args:
        inputs: of the model.
        data: arrays by name.
        least: batches to make at least, where the model and the samples allow it.

    Raises:
        InputError: an input is missing, or shapes and types do not fit.
    """
    feeds, _ = split_labels(inputs, data)
    empty = [v.name for v in inputs if _is_batched(v, feeds) and not len(feeds[v.name])]
    if empty:
        raise InputError(f"input '{empty[0]}' has no samples", where="calibration data")
    try:
        samples = max((len(feeds[v.name]) for v in inputs if _is_batched(v, feeds)), default=1)
        most = max(1, min(CALIBRATION_BATCH, samples // least))
        return [check_feeds(inputs, batch) for batch in split_batches(inputs, feeds, most)]
    except InputError as error:
        raise InputError(error.message, where="calibration data", hint=error.hint) from error


def split_batches(
    inputs: Sequence[Value], feeds: Mapping[str, AnyArray], most: int = CALIBRATION_BATCH
) -> list[Values]:
    """Cut feeds along their first axis: by the model's own batch where it is fixed, else by `most`.

    Inputs without axes, and inputs that already have the model's fixed shape while others have
    more samples, go into every batch as they are.

    Raises:
        InputError: the samples of the inputs differ in number, or leave a batch half full.
    """
    size = _batch_size(inputs) or most
    counts = {len(feeds[v.name]) for v in inputs if v.name in feeds and _is_batched(v, feeds)}
    if len(counts) > 1:
        raise InputError(
            f"inputs have {', '.join(map(str, sorted(counts)))} samples, expected alike"
        )
    total = counts.pop() if counts else 0
    if total <= size:
        return [dict(feeds)]
    if _batch_size(inputs) and total % size:
        raise InputError(
            f"{total} samples are no multiple of the model's fixed batch of {size}",
            hint="cut the data, or export the model with a dynamic batch",
        )
    batched = {v.name for v in inputs if _is_batched(v, feeds)}
    return [
        {n: a[at : at + size] if n in batched else a for n, a in feeds.items()}
        for at in range(0, total, size)
    ]


def _batch_size(inputs: Sequence[Value]) -> int | None:
    """The first axis where the model fixes it, and all inputs agree."""
    firsts = {v.shape[0] for v in inputs if v.shape}
    only = firsts.pop() if len(firsts) == 1 else None
    return only if isinstance(only, int) and only > 0 else None


def _is_batched(value: Value, feeds: Mapping[str, AnyArray]) -> bool:
    fed = feeds.get(value.name)
    return fed is not None and value.dtype != "other" and bool(value.shape) and np.ndim(fed) > 0


def range_statistics(tensors: Sequence[Any]) -> RangeStatistics:
    """Histogram over several arrays; exact zeros are not counted."""
    arrays = [np.asarray(tensor, dtype=np.float32) for tensor in tensors]
    arrays = [array[np.isfinite(array)] for array in arrays]
    low = min((float(a.min(initial=0.0)) for a in arrays), default=0.0)
    high = max((float(a.max(initial=0.0)) for a in arrays), default=0.0)
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    counts = np.zeros(_BINS, dtype=np.int64)
    for array in arrays:
        counts += np.histogram(array[array != 0], bins=edges)[0]
    return RangeStatistics(low, high, counts, edges, sum(array.size > 0 for array in arrays))
