"""The D.U.B. rule: converters sized by the densest column of a tile, in powers of two.

Rule and weighting are those of the code and logs published with arXiv 2403.13082: a tile of `T`
rows whose densest column holds at most `T / 2**k` non-zero weights has level `k` and converts with
`log2 T - k` bits; energy is linear in bits, all tiles have the same weight, and a tile that is
empty, or has at most one survivor a column, needs no converter.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.numerics import Int64Array, IntArray, sum_columns


def sparsity_level(nonzeros: int, rows: int) -> int:
    """The largest `k` with `nonzeros <= rows / 2**k`; one beyond `log2 rows` for an empty tile.

    Raises:
        ValueError: `rows` is no power of two, or there are more non-zeros than rows.
    """
    if rows < 1 or rows & (rows - 1) or not 0 <= nonzeros <= rows:
        raise ValueError(f"{nonzeros} non-zeros of {rows} rows: expected a power of two of rows")
    if not nonzeros:
        # One level beyond that of a single survivor.
        return rows.bit_length()
    return (rows // nonzeros).bit_length() - 1


def tile_bits(level: int, rows: int) -> int:
    """Bits of a tile's converters by its level."""
    return max(0, rows.bit_length() - 1 - level)


def energy_ratio(levels: Mapping[int, int], rows: int) -> Fraction:
    """Converter energy of dense tiles over that of tiles sized by the rule.

    Args:
        levels: how many tiles have each level.
        rows: rows of a tile, a power of two.
    """
    dense = sum(levels.values()) * tile_bits(0, rows)
    sized = sum(count * tile_bits(level, rows) for level, count in levels.items())
    if not sized:
        raise ValueError("every tile is empty")
    return Fraction(dense, sized)


def block_bits(step: CrossbarStep) -> Int64Array:
    """Bits of each block's converters by the rule, on cells and input slices of any width.

    What the rule saves, `k` bits, is subtracted from the width that the block needs when it is
    full of top levels. Nothing saturates: a column with at most `rows / 2**k` cells that are not
    zero reaches at most that share of the full sum.

    Returns:
        Axes: group, segment, column block.
    """
    bounds = step.tiling.segment_bounds
    shape = (step.groups, len(bounds) - 1, len(step.tiling.column_bounds) - 1)
    bits = np.zeros(shape, dtype=np.int64)
    starts = np.asarray(step.tiling.column_bounds[:-1], dtype=np.int64)
    top = (1 << min(step.dac_bits, step.input_bits)) - 1
    signed = step.periphery.a_sign.size > 0
    for segment in range(shape[1]):
        first, last = int(bounds[segment]), int(bounds[segment + 1])
        columns = sum_columns(step.cells, bounds[segment : segment + 2], nonzero=True)[:, 0]
        densest = np.maximum.reduceat(columns, starts, axis=1)
        most = (last - first) * top * ((1 << step.cells.bits) - 1) * (2 if signed else 1)
        bits[:, segment] = np.where(
            densest > 0, most.bit_length() - _halvings(densest, last - first), 0
        )
    return np.maximum(bits, 0)


def _halvings(densest: IntArray, rows: int) -> Int64Array:
    """Largest `k` with `densest <= rows / 2**k`."""
    # Whole division: frexp of a quotient that is rounded up to a power of two would give one level
    # too many.
    ratio = rows // np.maximum(1, densest).astype(np.int64)
    halvings: Int64Array = np.frexp(ratio.astype(np.float64))[1].astype(np.int64) - 1
    return halvings
