"""From integer weights to packed cells by a table, where a weight's cells depend on it alone.

No cell is ever held unpacked: beside the weights and the packed cells there is one table. Offset
encoding comes this way too: what it does to whole columns is one mask for each row block.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from xbarc.mapping.encodings import ByWeight, Offset
from xbarc.mapping.job import Job
from xbarc.numerics import (
    Int64Array,
    IntArray,
    PackedCells,
    UInt8Array,
    WeightCodes,
    pack_cells,
    sum_columns,
)
from xbarc.plugins import is_foreign


def pack_by_weight(job: Job, packed: UInt8Array) -> list[Int64Array] | None:
    """Write the cells of a layer, and give the entries of `R` of each part.

    Args:
        job: the layer.
        packed: is filled; axes: group, row, byte.

    Returns:
        None, and nothing is written, where some part has no table of its weights.
    """
    # All tables before anything is written, so that a layer is packed in one way or in the other.
    tables = _tables(job)
    if tables is None:
        return None
    # Where a unit column begins a byte nothing else would have written its other bits.
    if any(encoding.shared() for encoding, _ in tables):
        packed[:] = 0
    entries, start, column = [], 0, 0
    for part, (encoding, codes) in zip(job.cut.parts, tables, strict=True):
        outputs = part.blocks * part.outputs
        chosen = job.weights[:, :, start : start + outputs]
        if isinstance(encoding, Offset):
            entries.append(
                _pack_offset(job, (encoding, codes), part.blocks, chosen, column, packed)
            )
        else:
            codes.pack(chosen, column * job.cell_bits, packed)
            blocks = chosen.reshape(*chosen.shape[:2], part.blocks, part.outputs)
            entries.append(encoding.entries(blocks, job.bounds, job.cell_bits, job.slices))
        start += outputs
        column += part.blocks * encoding.width(part.outputs, job.slices)
    return entries


def _pack_offset(
    job: Job,
    table: tuple[Offset, WeightCodes],
    blocks: int,
    weights: IntArray,
    column: int,
    packed: UInt8Array,
) -> Int64Array:
    """Write blocks from a column on; gives their entries of `R`."""
    encoding, codes = table
    outputs = weights.shape[2] // blocks
    width = encoding.width(outputs, job.slices)
    for block in range(blocks):
        chosen = weights[:, :, block * outputs : (block + 1) * outputs]
        codes.pack(chosen, (column + block * width) * job.cell_bits, packed)
    columns, shape = int(job.cut.column_bounds[-1]), (len(packed), len(job.bounds) - 1)
    sums = sum_columns(PackedCells(packed, job.cell_bits, columns), job.bounds)
    own = slice(column, column + blocks * width)
    levels = sums[:, :, own].reshape(*shape, blocks, width)[..., :-1]
    flips = encoding.flips(levels, job.bounds, job.cell_bits)
    # A complement turns all bits of a level, and a unit cell is the lowest bit of a zero turned.
    turned = np.ones((*shape, blocks, width), dtype=np.uint8)
    turned[..., :-1] = flips * np.uint8((1 << job.cell_bits) - 1)
    mask = np.zeros((*shape, columns), dtype=np.uint8)
    mask[:, :, own] = turned.reshape(*shape, -1)
    bits = pack_cells(mask, job.cell_bits).data
    for run, (first, last) in enumerate(pairwise(job.bounds.tolist())):
        packed[:, first:last] ^= bits[:, run, None]
    return encoding.entries(flips, job.weight_bits, job.cell_bits, job.slices)


def _tables(job: Job) -> list[tuple[ByWeight | Offset, WeightCodes]] | None:
    """Encoding and codes of each part; None where one has none, or came from elsewhere."""
    low, high = int(job.weights.min(initial=0)), int(job.weights.max(initial=0))
    found = []
    for part in job.cut.parts:
        encoding = part.encoding
        # An encoding from elsewhere takes the way on which every piece is checked.
        if not isinstance(encoding, ByWeight | Offset) or is_foreign(encoding):
            return None
        codes = encoding.codes(low, high, job.weight_bits, job.cell_bits, job.slices)
        if codes is None:
            return None
        found.append((encoding, codes))
    return found
