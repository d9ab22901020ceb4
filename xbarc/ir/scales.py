"""Which channels of a network may be scaled without changing what it computes.

Output channel c of a layer may be multiplied by any s > 0 when every reader of that channel can
divide by it again. A *free scale* is one such s: channels that must have the same factor, as
where they meet in an addition, share its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xbarc.numerics import Float64Array, Int64Array


@dataclass(frozen=True, eq=False)
class LayerScales:
    """Numbers of the free scales around one matrix layer; 0 stands for a channel that has none.

    Attributes:
        inputs: axis: input channel of all groups (input of a matrix product).
        outputs: axis: output channel of all groups.
    """

    inputs: Int64Array
    outputs: Int64Array


@dataclass(frozen=True, eq=False)
class FreeScales:
    """All free scales of a network.

    Attributes:
        count: they are numbered 1 to `count`.
        layers: by the layer's name; a layer that is not here takes part in none.
    """

    count: int = 0
    layers: Mapping[str, LayerScales] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class ChannelStatistics:
    """What the float network's values around one matrix layer look like on calibration data.

    Attributes:
        power: mean of the squared input; axis: input channel of all groups.
        samples: inputs at equally spaced quantiles; axes: input channel, quantile.
        variance: of the outputs; axis: output channel of all groups.
        output_power: mean of the squared output without its bias; axis as `variance`.
    """

    power: Float64Array
    samples: Float64Array
    variance: Float64Array
    output_power: Float64Array
