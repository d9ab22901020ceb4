"""What an array full of weights does, as the encoding says: for the roll-up of a whole chip."""

from __future__ import annotations

import numpy as np

from xbarc.cost import FullLoad
from xbarc.mapping.encodings import Encoding, find_encoding
from xbarc.mapping.tiling import most_outputs
from xbarc.options import AUTO
from xbarc.target import Target


def full_load(target: Target) -> FullLoad | None:
    """Weights and conversions of a full array at the target's own precision and encoding.

    Weights are those of a float layer quantised here: symmetric, `2**(bits - 1) - 1` at most. Along
    chains of columns real weights may need a slice more. None where the encoding is chosen layer by
    layer, so that there is no one answer.

    Raises:
        MappingError: there is no such encoding.
    """
    if target.precision.encoding == AUTO:
        return None
    encoding, bits = find_encoding(target.precision.encoding), target.precision.weight_bits
    top = (1 << (bits - 1)) - 1
    slices = _slices(encoding, top, bits, target.cell.bits)
    columns = target.array.columns
    usable = columns + min(target.array.spare_columns, encoding.shared())
    outputs = most_outputs(usable, slices, encoding, usable)
    width = encoding.width(outputs, slices)
    conversions = encoding.pattern(outputs, slices).conversions
    if width <= usable:
        return FullLoad(outputs, conversions, width / conversions)
    share = usable / width  # one weight takes several arrays
    return FullLoad(share, max(1, int(conversions * share)), width / conversions)


def _slices(encoding: Encoding, top: int, bits: int, cell_bits: int) -> int:
    """Cells of one sign that neighbours at both ends of the range need."""
    slices = encoding.slices(-top, top, bits, cell_bits)
    ends = np.array([[[[-top, top]]]])
    while not encoding.holds(ends, cell_bits, slices):
        slices += 1
    return slices
