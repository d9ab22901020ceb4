"""The walk that sets converters from data: each layer sees the outputs of those already set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from xbarc.executor import FastLayer, StepRunner, layer_frame, run_layer
from xbarc.executor.observer import ObservingLayer
from xbarc.executor.run import Values
from xbarc.ir.geometry import Scatter
from xbarc.ir.program import CrossbarStep, Step, step_inputs
from xbarc.mapping.calibrated import (
    Table,
    needed_bits,
    setting_table,
    settings_of,
    with_settings,
)
from xbarc.numerics.types import Int64Array
from xbarc.target import Target

MOST_CONVERSIONS = 1 << 26
"""Conversions that are counted for a layer; more say little that is new."""

_SAMPLES = 4096
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
    values = [dict(batch) for batch in batches]
    runner, done = StepRunner(), list[Step]()
    for number, step in enumerate(steps):
        if progress is not None:
            progress(step.name, number, len(steps))
        changed: Step = step
        if isinstance(step, CrossbarStep):
            observer = observe(step, values, samples=_SAMPLES)
            table = setting_table(step, target, observer.statistics, most)
            settings = settings_of(step, table, choose(step, table), policy)
            changed = centre_errors(with_settings(step, settings), observer)
        for batch in values:
            runner.run(changed, batch)
        runner.forget(changed)
        _forget(values, steps[number + 1 :])
        done.append(changed)
    return tuple(done)


def observe(step: CrossbarStep, values: Sequence[Values], samples: int = 0) -> ObservingLayer:
    """Count the column sums of a layer on its inputs among the values."""
    observer = ObservingLayer(step)
    frame = layer_frame(step)
    share = max(1, samples // max(1, len(values)))
    for batch in values:
        observer.take(MOST_CONVERSIONS // max(1, len(values)), share)
        run_layer(frame, observer, np.asarray(batch[step.input]), batch)
    return observer


def centre_errors(step: CrossbarStep, observer: ObservingLayer) -> CrossbarStep:
    """Take the mean error of each output's accumulator into its constant.

    Converters that round and saturate shift what they read; a constant costs nothing, and the mean
    over calibration vectors is what the outputs would be off by on the whole. Transposed
    convolutions have no such constant.
    """
    vectors = observer.vectors
    if isinstance(step.geometry, Scatter) or not len(vectors):
        return step
    found = FastLayer(step).accumulate(vectors).astype(np.int64)
    wanted = observer.product(vectors).astype(np.int64)
    shift = np.rint((found - wanted).mean(axis=0)).astype(np.int64).reshape(-1)
    constant = step.periphery.constant - shift
    return replace(step, periphery=replace(step.periphery, constant=constant))


def uniform(bits: int | None) -> ChooseBits:
    """The same bits for all, less where the data needs less; None takes what the data needs."""

    def choose(step: CrossbarStep, table: Table) -> Int64Array:
        del step
        needed = needed_bits(table)
        return needed if bits is None else np.minimum(needed, bits)

    return choose


def _forget(values: Sequence[Values], rest: Sequence[Step]) -> None:
    """Drop what no later step reads."""
    needed = {name for step in rest for name in step_inputs(step)}
    for batch in values:
        for name in [name for name in batch if name not in needed]:
            del batch[name]
