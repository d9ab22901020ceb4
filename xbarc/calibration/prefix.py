"""Calibration data in the compiled prefix of a network, and in the exact network beside it.

Layer by layer, in execution order: what the next layer's methods ask for is gathered from values
that the steps compiled so far have made, rounding included, and from those of the exact network.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

import numpy as np

from xbarc.executor import ExactLayer, StepRunner, Values, Walk
from xbarc.instruments import Feed, range_statistics, second_moments
from xbarc.ir import (
    DigitalFragment,
    Layer,
    MatrixLayer,
    Network,
    Quantizer,
    RangeStatistics,
    SecondMoments,
    Step,
    step_meaning,
)
from xbarc.memo import Memo
from xbarc.numerics import digest_of
from xbarc.passes import widen_binary

_Value = TypeVar("_Value")


class Prefix:
    """Values of the network on calibration data, as far as it is compiled.

    Args:
        network: what is compiled.
        batches: calibration data; empty where there is none, and then nothing is executed.
        exact: whether the exact network is executed too, for error feedback.
        runner: executes the compiled prefix; None takes the fast engine.
        memo: of this network and these data, keeps what was gathered behind prefixes that compute
            the same; steps then run only once somebody asks for what is not there.
    """

    def __init__(
        self,
        network: Network,
        batches: list[Values],
        *,
        exact: bool,
        runner: StepRunner | None = None,
        memo: Memo | None = None,
    ) -> None:
        self.batches = batches
        self.exact = [dict(values) for values in batches] if exact else []
        self._walk, self._runner = Walk(network.layers), runner or StepRunner()
        self._places = iter(self._walk)
        self.memo, self._chain = memo or Memo(), ""
        self._left: list[tuple[Layer, Step]] = []

    def recall(
        self,
        key: Hashable,
        make: Callable[[], _Value],
        size: Callable[[_Value], int] = lambda _: 0,
    ) -> _Value:
        """What was made behind an equal prefix, or `make()` where nothing was.

        Args:
            key: of everything that `make` reads beside the network, the data and the steps so far.
            make: gives the value.
            size: bytes that it takes; only asked for where it is kept.
        """
        return self.memo.recall((self._chain, key), make, size)

    def ranges(self, layer: MatrixLayer) -> RangeStatistics | None:
        """Histogram of a layer's input; None without data."""
        if not self.batches:
            return None
        return self.recall(("ranges", layer.input), lambda: self._count_ranges(layer))

    def _count_ranges(self, layer: MatrixLayer) -> RangeStatistics:
        self._catch_up()
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
        # Two matrices of float64, inputs by inputs.
        size = 16 * layer.groups * layer.rows**2
        key = ("moments", layer.name, digest_of(quantizer)) if self.memo.keeps else ()
        return self.recall(key, lambda: self._gather_moments(layer, quantizer), lambda _: size)

    def _gather_moments(
        self, layer: MatrixLayer, quantizer: Quantizer
    ) -> tuple[SecondMoments, SecondMoments] | None:
        self._catch_up()
        feeds = [
            Feed(np.asarray(own[layer.input]), np.asarray(exact[layer.input]), own, exact)
            for own, exact in zip(self.batches, self.exact, strict=True)
        ]
        pair = second_moments(ExactLayer(widen_binary(layer)), quantizer, feeds)
        # One vector has no variance to fit or to judge by.
        return pair if min(part.count for part in pair) > 1 else None

    def advance(self, layer: Layer, step: Step) -> None:
        """Go on behind the step and the layer of this place."""
        self._left.append((layer, step))
        if not self.memo.keeps:
            self._catch_up()
            return
        # The layer is that of the network, which the memo is of.
        self._chain = digest_of(self._chain, step_meaning(step, self.memo.root).digest)

    def _catch_up(self) -> None:
        """Execute what was passed by; what no later layer reads is dropped."""
        for layer, step in self._left:
            next(self._places)
            if self.batches:
                self._run(layer, step)
        self._left.clear()

    def _run(self, layer: Layer, step: Step) -> None:
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
