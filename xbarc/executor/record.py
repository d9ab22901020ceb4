"""Watching a layer: the moments of what goes onto its wordlines."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from xbarc.executor.layer import Accumulate
from xbarc.ir.geometry import Window
from xbarc.ir.trace import LayerTrace
from xbarc.numerics.types import Float64Array, IntArray

WIDEST = 2048
"""Inputs up to which all second moments are kept; above, only those of each input itself."""


@dataclass(eq=False)
class Moments:
    """Sums over input vectors of a layer, of codes as they go onto the wordlines.

    Attributes:
        count: vectors.
        total: axes: group, input.
        square: axes: group, input, input; or group, input where a layer is wide.
    """

    groups: int
    inputs: int
    count: int = 0
    total: Float64Array = field(init=False)
    square: Float64Array = field(init=False)

    def __post_init__(self) -> None:
        shape = (self.groups, self.inputs)
        self.total = np.zeros(shape)
        self.square = np.zeros((*shape, self.inputs) if self.inputs <= WIDEST else shape)

    def add(self, vectors: IntArray) -> None:
        """Axes: vector, group, input."""
        x = np.ascontiguousarray(vectors.transpose(1, 0, 2), dtype=np.float32)
        self.count += x.shape[1]
        self.total += x.sum(axis=1, dtype=np.float64)
        if self.square.ndim == 3:
            self.square += x.transpose(0, 2, 1) @ x
        else:
            self.square += np.square(x, dtype=np.float64).sum(axis=1)

    @property
    def second(self) -> Float64Array:
        """Mean square of each input; axes: group, input."""
        found = self.square
        diagonal = np.diagonal(found, axis1=1, axis2=2) if found.ndim == 3 else found
        return np.asarray(diagonal / max(1, self.count))

    @property
    def matrix(self) -> Float64Array:
        """Mean of `x x^T`; diagonal where a layer is wide; axes: group, input, input."""
        if self.square.ndim == 3:
            return self.square / max(1, self.count)
        eye = np.eye(self.inputs)
        return self.second[:, :, None] * eye


class Recorder:
    """An engine that hands on to another one and keeps the moments of what passes.

    Args:
        inner: does the work.
        moments: are added to.
    """

    def __init__(self, inner: Accumulate, moments: Moments) -> None:
        self.inner = inner
        self.moments = moments

    def accumulate(self, vectors: IntArray, trace: LayerTrace | None = None) -> IntArray:
        """As the inner engine."""
        self.moments.add(vectors)
        return self.inner.accumulate(vectors, trace)

    def convolve(
        self, padded: IntArray, geometry: Window, trace: LayerTrace | None = None
    ) -> IntArray | None:
        """Windows are gathered, so that they can be seen."""
        del padded, geometry, trace
        return None
