"""What the wordlines of a program carry: how often each is driven, and how high."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from xbarc.executor import StepRunner, Values, check_feeds, run_steps
from xbarc.ir import CrossbarStep, OperandStatistics, Program
from xbarc.numerics import IntArray


class OperandSums:
    """Sums over the slices of every input vector of a layer.

    Args:
        step: the layer.
    """

    def __init__(self, step: CrossbarStep) -> None:
        self._step, self._vectors = step, 0
        # of levels, of their squares, counts of those above zero; each: slice, group, input
        self._sums = np.zeros((3, step.input_slices, step.groups, step.inputs))

    def add(self, vectors: IntArray) -> None:
        """Add vectors; axes: vector, group, input."""
        self._vectors += len(vectors)
        for index in range(self._step.input_slices):
            shift = index * self._step.dac_bits
            width = min(self._step.dac_bits, self._step.input_bits - shift)
            # In the type of the codes: numpy would widen bytes to 64 bits.
            level = (vectors >> vectors.dtype.type(shift)) & vectors.dtype.type((1 << width) - 1)
            share = level / ((1 << width) - 1)
            self._sums[0, index] += share.sum(axis=0)
            self._sums[1, index] += (share**2).sum(axis=0)
            self._sums[2, index] += (level > 0).sum(axis=0)

    def statistics(self) -> OperandStatistics:
        """Means over all vectors; zero where there were none."""
        level, square, driven = self._sums / max(1, self._vectors)
        return OperandStatistics(self._vectors, level, square, driven)


def operand_statistics(
    program: Program, batches: Iterable[Values], threads: int = 0
) -> dict[str, OperandStatistics]:
    """Run a program and keep what its wordlines carried; by the name of the layer.

    Args:
        program: what runs.
        batches: its inputs.
        threads: 0 takes all.

    Raises:
        InputError: inputs with wrong names, shapes or types.
    """
    sums = {step.name: OperandSums(step) for step in program.crossbar_steps}
    runner = StepRunner(threads=threads, taps={name: own.add for name, own in sums.items()})
    for feeds in batches:
        run_steps(program.steps, check_feeds(program.inputs, feeds), runner)
    return {name: own.statistics() for name, own in sums.items()}
