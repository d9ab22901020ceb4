"""Whose sums converters are set on: those of ideal cells, or of a chip with its wires."""

from __future__ import annotations

from typing import Protocol

from xbarc.circuit import Chip
from xbarc.executor import Accumulate, AnalogLayer, FastLayer, StepRunner, UnconvertedLayer
from xbarc.instruments import ChipSums, SumCounter
from xbarc.ir import CrossbarStep
from xbarc.numerics import Float64Array


class CalibrationCells(Protocol):
    """The cells of a program while its converters are set."""

    def counter(self, step: CrossbarStep) -> SumCounter:
        """Counts the sums of a layer."""

    def converted_layer(self, step: CrossbarStep) -> Accumulate:
        """Executes a layer with its converters."""

    def prepare(self, runner: StepRunner, step: CrossbarStep, *, converters: bool) -> None:
        """Let a runner execute a layer on these cells, with its converters or without any."""


class IdealCells:
    """Whole levels; without converters a layer is what its lossless settings make it."""

    def counter(self, step: CrossbarStep) -> SumCounter:
        """Counts the sums of a layer."""
        return SumCounter(step)

    def converted_layer(self, step: CrossbarStep) -> Accumulate:
        """The fast engine."""
        return FastLayer(step)

    def prepare(self, runner: StepRunner, step: CrossbarStep, *, converters: bool) -> None:
        """Runners do that on their own."""
        del runner, step, converters


class ChipCells:
    """What cells contribute on a chip.

    Args:
        chip: of a program that differs from the layers in converters and digital numbers only.
    """

    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._levels: dict[str, Float64Array] = {}

    def counter(self, step: CrossbarStep) -> SumCounter:
        """Counts the sums of a layer."""
        return SumCounter(step, ChipSums(step, self._of(step)))

    def converted_layer(self, step: CrossbarStep) -> Accumulate:
        """The analog engine."""
        return AnalogLayer(step, self._of(step))

    def prepare(self, runner: StepRunner, step: CrossbarStep, *, converters: bool) -> None:
        """Let a runner execute a layer on the chip, with its converters or without any."""
        engine = AnalogLayer if converters else UnconvertedLayer
        runner.prepare(step, engine(step, self._of(step)))

    def _of(self, step: CrossbarStep) -> Float64Array:
        if step.name not in self._levels:
            self._levels[step.name] = self._chip.levels(step)
        return self._levels[step.name]
