"""Watching the operands of a program while it runs: an engine around the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xbarc.executor.fast import FastLayer
from xbarc.executor.layer import LayerFrame, run_layer
from xbarc.executor.run import StepRunner, check_feeds, layer_frame
from xbarc.executor.vectors import DEFAULT_BUDGET
from xbarc.executor.walk import Values
from xbarc.ir.geometry import Window
from xbarc.ir.operands import OperandStatistics
from xbarc.ir.program import CrossbarStep, DigitalStep, Program
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import Float64Array, IntArray


@dataclass(eq=False)
class WatchedLayer:
    """Gives what the fast engine gives, and sums up the slices of every vector.

    Attributes:
        sums: of levels, of their squares, and counts of those above zero; axes: which of the three,
            input slice, group, input.
    """

    step: CrossbarStep
    engine: FastLayer
    vectors: int = 0
    sums: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        shape = (3, self.step.input_slices, self.step.groups, self.step.inputs)
        self.sums = np.zeros(shape)

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """Codes to accumulators; axes as in `xbarc.executor.layer.Accumulate`."""
        self.vectors += len(vectors)
        for index in range(self.step.input_slices):
            shift = index * self.step.dac_bits
            width = min(self.step.dac_bits, self.step.input_bits - shift)
            level = (vectors >> vectors.dtype.type(shift)) & vectors.dtype.type((1 << width) - 1)
            share = level / ((1 << width) - 1)
            self.sums[0, index] += share.sum(axis=0)
            self.sums[1, index] += (share**2).sum(axis=0)
            self.sums[2, index] += (level > 0).sum(axis=0)
        return self.engine.accumulate(vectors, trace)

    def convolve(
        self,
        padded: IntArray,  # noqa: ARG002  # an engine's interface
        geometry: Window,  # noqa: ARG002
        trace: LayerTrace | None = None,  # noqa: ARG002
    ) -> IntArray | None:
        """No way: each vector has to pass `accumulate`."""
        return None

    def statistics(self) -> OperandStatistics:
        """Means over all vectors; zero where there were none."""
        level, square, driven = self.sums / max(1, self.vectors)
        return OperandStatistics(self.vectors, level, square, driven)


class OperandWatcher:
    """Runs a program batch by batch and keeps what its wordlines carried.

    Args:
        program: what runs.
        threads: 0 takes all.
    """

    def __init__(self, program: Program, threads: int = 0) -> None:
        self.program = program
        self._runner = StepRunner(threads=threads)
        self._layers: dict[str, tuple[LayerFrame, WatchedLayer]] = {
            step.name: (layer_frame(step), WatchedLayer(step, FastLayer(step, threads)))
            for step in program.crossbar_steps
        }

    def run(self, feeds: Values) -> None:
        """Run one batch.

        Raises:
            InputError: inputs with wrong names, shapes or types.
        """
        values = check_feeds(self.program.inputs, feeds)
        for step in self.program.steps:
            if isinstance(step, DigitalStep):
                self._runner.run(step, values)
                continue
            frame, layer = self._layers[step.name]
            tensor = np.asarray(values[step.input])
            result = run_layer(frame, layer, tensor, values, None, DEFAULT_BUDGET)
            values[step.output] = result

    def statistics(self) -> dict[str, OperandStatistics]:
        """What was seen so far, by the name of the layer."""
        return {name: layer.statistics() for name, (_, layer) in self._layers.items()}
