"""Sense amplifiers over the real sums of one chip.

A comparison is `S + offset >= threshold - 1/2`: the sum is rounded as a converter with steps of 1
would round it, so whole numbers give the bits of the reference engine. The reference of an
amplifier lies half a cell below its threshold, as far from the last sum that must not reach it as
from the first that must.

An amplifier's offset is its own and stays; it is the same for all levels that it compares one after
another, which differ by what every read draws anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from xbarc.executor.analog import AnalogLayer, Segment
from xbarc.executor.noise import Noise
from xbarc.executor.senses import driven_rows
from xbarc.ir import CrossbarStep
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Float64Array, Int64Array, IntArray

if TYPE_CHECKING:
    from xbarc.executor import analog_loop
else:
    analog_loop = lazy_module("xbarc.executor.analog_loop")


class AnalogSenses(AnalogLayer):
    """One binary layer on one chip, read by sense amplifiers.

    Args:
        step: the layer.
        levels: as for `AnalogLayer`.
        offsets: what amplifiers add to sums, in level units; axes: group, row block, conversion.
        noise: of reads and comparisons.
        threads: 0 takes all; the results do not depend on it.

    Raises:
        ValueError: the layer has no comparisons.
    """

    def __init__(
        self,
        step: CrossbarStep,
        levels: Float64Array,
        offsets: Float64Array | None = None,
        noise: Noise | None = None,
        threads: int = 0,
    ) -> None:
        if step.sense is None:
            raise ValueError(f"{step.name}: no comparisons")
        super().__init__(step, levels, noise, threads)
        self._sense = step.sense
        self._bounds = self._sense.thresholds.astype(np.float64) - 0.5
        if offsets is not None:
            self._bounds = self._bounds - offsets[:, step.tiling.segment_block, :, None]

    def _planes(self, segment: Segment, vectors: IntArray, span: slice) -> AnyArray:
        group, number = segment.place
        first, last = self.step.tiling.segment_bounds[number : number + 2]
        rows = slice(int(first), int(last))
        driven = driven_rows(self.step, self._sense, vectors[span, group], rows)
        return np.ascontiguousarray(driven.T, dtype=segment.seen.dtype)[:, None]

    def _add_noise(self, segment: Segment, power: AnyArray, sums: AnyArray, span: slice) -> None:
        levels = np.repeat(power, self._sense.levels, axis=0)
        super()._add_noise(segment, levels, sums, span)

    def _sums(self, segment: Segment, vectors: IntArray, span: slice) -> AnyArray:
        """Sums; with noise one for each level that they are compared with."""
        planes = self._planes(segment, vectors, span)
        sums: AnyArray = (segment.seen @ planes[:, 0])[:, None]
        if self.noise:
            sums = np.repeat(sums, self._sense.levels, axis=1)
            self._add_noise(segment, planes.sum(axis=0, dtype=np.float64), sums, span)
        return sums

    def _read(self, segment: Segment, sums: AnyArray, acc: Int64Array, missed: Int64Array) -> None:
        del missed  # a comparison does not saturate
        bounds = self._bounds[segment.place]
        analog_loop.compare_and_add(sums, bounds, segment.entries, segment.starts, acc)

    def _codes(self, segment: Segment, sums: AnyArray) -> Int64Array:
        bounds = self._bounds[segment.place][:, :, None]
        codes: Int64Array = (sums >= bounds).sum(axis=1, dtype=np.int64)
        return codes.T[:, None]
