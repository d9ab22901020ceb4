"""The walk that sets converters from data.

Ranges come from what the lossless program sees. The same data goes through the layers whose
converters are set already, so that each layer compensates what it and those before it lose.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from xbarc.calibration.refit import Fitting
from xbarc.executor import StepRunner, layer_frame, run_layer, sample_vectors
from xbarc.executor.observer import ObservingLayer
from xbarc.executor.run import Values
from xbarc.ir.program import CrossbarStep, Step, step_inputs
from xbarc.ir.quantize import known_zero
from xbarc.ir.statistics import SumStatistics
from xbarc.mapping.calibrated import (
    Table,
    needed_bits,
    setting_table,
    settings_of,
    with_settings,
)
from xbarc.numerics.types import Int64Array, IntArray
from xbarc.target import Target

MOST_CONVERSIONS = 1 << 26
"""Conversions that are counted for a layer; more say little that is new."""

SAMPLES = 4096
"""Input vectors of a layer that digital numbers are fitted to."""

_BATCHES = 32
Progress = Callable[[str, int, int], None]
ChooseBits = Callable[[CrossbarStep, Table], Int64Array]


def calibrate_converters(
    steps: Sequence[Step],
    target: Target,
    batches: Sequence[Values],
    choose: ChooseBits,
    policy: str,
    *,
    most: int,
    progress: Progress | None = None,
) -> tuple[Step, ...]:
    """Range and step of every converter from calibration data, layer by layer.

    Args:
        steps: of a program whose converters are lossless as far as the target's width allows.
        target: the chip.
        batches: values of the program's inputs; they are not changed.
        choose: bits for each setting group of a layer.
        policy: what the settings will be called.
        most: bits that `choose` may pick at most.
        progress: called with the layer's name, its number and the count of layers.
    """
    lossless = [dict(batch) for batch in batches]
    converted = [dict(batch) for batch in batches]
    runners, done = (StepRunner(), StepRunner()), list[Step]()
    for number, step in enumerate(steps):
        if progress is not None:
            progress(step.name, number, len(steps))
        changed: Step = step
        if isinstance(step, CrossbarStep):
            seen = observe(step, lossless)
            table = setting_table(step, target, seen.statistics, most)
            settings = settings_of(step, table, choose(step, table), policy)
            changed = seen.fitting(with_settings(step, settings), converted).fitted()
        for runner, values, own in zip(
            runners, (lossless, converted), (step, changed), strict=True
        ):
            advance(runner, own, values, steps[number + 1 :])
        done.append(changed)
    return tuple(done)


@dataclass(frozen=True, eq=False)
class Seen:
    """What a layer of the lossless program met on data.

    Attributes:
        statistics: its column sums.
        vectors: some of its input vectors; axes: vector, group, input.
        product: their lossless products; axes: vector, group, output.
        origin: batch of each vector.
    """

    statistics: SumStatistics
    vectors: IntArray
    product: IntArray
    origin: Int64Array

    def fitting(self, step: CrossbarStep, values: Sequence[Values]) -> Fitting:
        """The layer beside what it should give, for numbers that suit it and those before it.

        Args:
            step: the layer with converters.
            values: those of the network on the same data, through converters so far.
        """
        if known_zero(step.quantizer) is None:
            return Fitting(step, self.vectors, self.product)
        return Fitting(step, _sampled(step, values)[0], self.product)


def observe(step: CrossbarStep, values: Sequence[Values]) -> Seen:
    """Count the column sums of a layer on its inputs among the values, and keep some inputs."""
    observer = ObservingLayer(step)
    frame = layer_frame(step)
    for batch in values:
        observer.take(MOST_CONVERSIONS // max(1, len(values)))
        run_layer(frame, observer, np.asarray(batch[step.input]), batch)
    vectors, origin = _sampled(step, values)
    return Seen(observer.statistics, vectors, observer.product(vectors), origin)


def _sampled(step: CrossbarStep, values: Sequence[Values]) -> tuple[IntArray, Int64Array]:
    """Some input vectors of a layer, and the batch that each is from."""
    chosen = range(0, len(values), -(-len(values) // _BATCHES))
    share = -(-SAMPLES // max(1, len(chosen)))
    parts = [sample_vectors(step, [values[number]], share) for number in chosen]
    origin = np.repeat(np.array(chosen, dtype=np.int64), [len(part) for part in parts])
    return np.concatenate(parts), origin


def advance(
    runner: StepRunner, step: Step, values: Sequence[Values], rest: Sequence[Step], keep: str = ""
) -> None:
    """Execute a step on all batches, and drop what no later step reads; `keep` stays."""
    for batch in values:
        runner.run(step, batch)
    runner.forget(step)
    forget(values, rest, keep)


def forget(values: Sequence[Values], rest: Sequence[Step], keep: str = "") -> None:
    """Drop what no later step reads; `keep` stays."""
    needed = {name for later in rest for name in step_inputs(later)} | {keep}
    for batch in values:
        for name in [name for name in batch if name not in needed]:
            del batch[name]


def uniform(bits: int | None) -> ChooseBits:
    """The same bits for all, less where the data needs less; None takes what the data needs."""

    def choose(step: CrossbarStep, table: Table) -> Int64Array:
        del step
        needed = needed_bits(table)
        return needed if bits is None else np.minimum(needed, bits)

    return choose
