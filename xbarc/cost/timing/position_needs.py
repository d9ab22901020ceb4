"""Which positions of its input an output position needs: windows of convolutions, pools and such.

Positions are the places of a tensor apart from its channels, in the order of memory. A `Reach` says
how far the need of output position `o` extends along one axis: from `o stride - before` to
`o stride + after`. `None` in place of reaches means that all is needed before anything comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from xbarc.ir import Window, window_pads


@dataclass(frozen=True)
class Reach:
    """What one output position needs along one axis."""

    stride: int = 1
    before: int = 0
    after: int = 0


Windows: TypeAlias = tuple[Reach, ...]
"""A reach for each spatial axis; empty: position by position, whatever the axes."""

Reaches: TypeAlias = Windows | None

POINT: Windows = ()


def window_reach(geometry: Window, spatial: tuple[int, ...]) -> tuple[Reach, ...]:
    """The need of a convolution's output positions."""
    pads = window_pads(geometry, spatial)
    axes = zip(geometry.kernel, geometry.strides, geometry.dilations, pads, strict=True)
    return tuple(
        Reach(stride, begin, dilation * (kernel - 1) - begin)
        for kernel, stride, dilation, (begin, _) in axes
    )
