"""A short run by the definition: the same bits, and no compiled loops to load."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xbarc.executor.adc import conversions_of_vector
from xbarc.executor.fast import FastLayer
from xbarc.executor.layer import Accumulate
from xbarc.executor.reference import ReferenceLayer
from xbarc.ir import CrossbarStep, LayerTrace, Window
from xbarc.lazy import is_loaded, lazy_module
from xbarc.numerics import IntArray

if TYPE_CHECKING:
    from xbarc.executor import byte_loop, lookup
else:
    lookup = lazy_module("xbarc.executor.lookup")
    byte_loop = lazy_module("xbarc.executor.byte_loop")

# Conversions of a layer that the reference executes before compiled loops are loaded. It does 200
# million a CPU second and loading takes .5 to .9, so this is a tenth of what is saved, in each of
# the layers that find the loops not loaded yet.
_BEFORE_LOOPS = 1 << 24

# What one turn of the reference's Python loop costs, as conversions: some 50 microseconds.
_TURN = 10_000


class ShortRunLayer(Accumulate):
    """The reference while there is little to do and nobody has loaded the loops; then `FastLayer`.

    Args:
        fast: the engine that takes over.
    """

    def __init__(self, fast: FastLayer) -> None:
        self._fast = fast
        self._reference = ReferenceLayer(fast.step)
        self._turns = _turns(fast.step)
        self._spent = 0

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As `ReferenceLayer.accumulate`."""
        self._spent += len(vectors) * conversions_of_vector(self._fast.step) + self._turns
        # Once loops are loaded, by whichever layer, the fast engine costs nothing more.
        engine = self._reference if self._is_short() else self._fast
        return engine.accumulate(vectors, trace)

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """As `FastLayer.convolve`; the reference has no such way."""
        return None if self._is_short() else self._fast.convolve(padded, geometry, trace)

    def _is_short(self) -> bool:
        return self._spent < _BEFORE_LOOPS and not (is_loaded(lookup) or is_loaded(byte_loop))


def _turns(step: CrossbarStep) -> int:
    segments = len(step.tiling.segment_bounds) - 1
    return step.groups * segments * step.input_slices * _TURN
