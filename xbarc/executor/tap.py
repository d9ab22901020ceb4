"""Looking at a layer while it runs: at the vectors on its wordlines, or at what it sums up."""

from __future__ import annotations

from collections.abc import Callable

from xbarc.executor.layer import Accumulate
from xbarc.ir import LayerTrace, Window
from xbarc.numerics import IntArray

Look = Callable[[IntArray], object]
"""Takes an array and keeps of it what it wants; it must not change the array."""


class Tap(Accumulate):
    """An engine around an engine; it gives what that one gives.

    Args:
        engine: does the work.
        vectors: is shown input codes; axes: vector, group, input.
        sums: is shown accumulators; axes: vector, group, output.
        looking: whether anything is left to see. Windows are gathered while there is.
    """

    def __init__(
        self,
        engine: Accumulate,
        vectors: Look | None = None,
        sums: Look | None = None,
        looking: Callable[[], bool] = lambda: True,
    ) -> None:
        self.engine, self._vectors, self._sums, self._looking = engine, vectors, sums, looking

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As the engine does."""
        if self._vectors is not None:
            self._vectors(vectors)
        found = self.engine.accumulate(vectors, trace)
        if self._sums is not None:
            self._sums(found)
        return found

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """No way past `accumulate` while somebody looks."""
        # A convolution that is not gathered has no vectors to show.
        return None if self._looking() else self.engine.convolve(padded, geometry, trace)
