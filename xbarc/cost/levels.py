"""How many cells stand at each level, counted on packed bytes."""

from __future__ import annotations

import numpy as np

from xbarc.numerics import Int64Array, PackedCells, unpack_cells

_CHUNK = 1 << 22


def level_counts(cells: PackedCells) -> Int64Array:
    """Cells at each level; axis: level."""
    levels = 1 << cells.bits
    if 8 % cells.bits:
        return _unpacked_counts(cells, levels)
    bytes_seen = np.zeros(256, dtype=np.int64)
    flat = cells.data.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        bytes_seen += np.bincount(flat[start : start + _CHUNK], minlength=256)
    counts = bytes_seen @ _levels_of_byte(cells.bits)
    padding = cells.data.size * (8 // cells.bits) - cells.count
    counts[0] -= padding
    return counts


def _levels_of_byte(bits: int) -> Int64Array:
    """Cells of each level in each byte; axes: byte, level."""
    every = np.arange(256, dtype=np.uint8)[:, None]
    places = unpack_cells(every, bits, 8 // bits)
    hits: Int64Array = (places[:, :, None] == np.arange(1 << bits)).sum(axis=1, dtype=np.int64)
    return hits


def _unpacked_counts(cells: PackedCells, levels: int) -> Int64Array:
    counts = np.zeros(levels, dtype=np.int64)
    rows = cells.data.reshape(-1, cells.data.shape[-1])
    chunk = max(1, _CHUNK // max(1, cells.columns))
    for start in range(0, len(rows), chunk):
        part = unpack_cells(rows[start : start + chunk], cells.bits, cells.columns)
        counts += np.bincount(part.reshape(-1), minlength=levels)
    return counts
