"""Calibration data in the compiled prefix of a network, and in the exact network beside it.

Layer by layer, in execution order: what the next layer's methods ask for is gathered from values
that the steps compiled so far have made, rounding included, and from those of the exact network.
"""

from __future__ import annotations

import numpy as np

from xbarc.executor import ExactLayer, StepRunner, Values, Walk
from xbarc.instruments import Feed, range_statistics, second_moments
from xbarc.ir import (
    DigitalFragment,
    Layer,
    MatrixLayer,
    Quantizer,
    RangeStatistics,
    SecondMoments,
    Step,
)
from xbarc.passes import widen_binary


class Prefix:
    """Values of the network on calibration data, as far as it is compiled.

    Args:
        walk: over the layers of what is compiled.
        batches: calibration data; empty where there is none, and then nothing is executed.
        exact: whether the exact network is executed too, for error feedback.
        runner: executes the compiled prefix; None takes the fast engine.
    """

    def __init__(
        self,
        walk: Walk[Layer],
        batches: list[Values],
        *,
        exact: bool,
        runner: StepRunner | None = None,
    ) -> None:
        self.batches = batches
        self.exact = [dict(values) for values in batches] if exact else []
        self._walk, self._runner = walk, runner or StepRunner()

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
        # One vector has no variance to fit or to judge by.
        return pair if min(part.count for part in pair) > 1 else None

    def advance(self, layer: Layer, step: Step) -> None:
        """Execute the step and the layer of this place; what no later layer reads is dropped."""
        if not self.batches:
            return
        self._walk.run(self._runner, step, self.batches)
        exact = None
        if isinstance(layer, MatrixLayer) and self.exact:
            exact = ExactLayer(widen_binary(layer))
        for values in self.exact:
            # Fragments are floats in both networks, and one session serves both.
            if isinstance(step, DigitalFragment):
                self._runner.run(step, values)
            elif exact is not None:
                values[step.output] = exact.run(np.asarray(values[step.input]), values)
            self._walk.forget(values)
        self._runner.forget(step)
