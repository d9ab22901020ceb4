"""Cells packed at their own width, so that a 2-bit cell takes two bits on disk and in memory."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.errors import say_count
from xbarc.lazy import is_loaded, lazy_module
from xbarc.numerics.types import AnyArray, Int64Array, IntArray, UInt8Array

if TYPE_CHECKING:
    from xbarc.numerics import cell_loops
else:
    cell_loops = lazy_module("xbarc.numerics.cell_loops")

ALIGNED = (1, 2, 4, 8)
"""Widths of which a byte holds whole cells: only these have compiled loops."""

_WORTH_LOADING = 1 << 20
"""Bytes of cells from which the compiled loops load: that takes .4 CPU seconds, for which numpy
handles some 30 MiB. Both give the same bits."""

WIDEST_CODE = 56
"""Bits: a code and the 7 bits at most that precede it in a byte fit a 64-bit word."""

# Cells that are unpacked at a time where no compiled loop serves: 4 MiB, which fits the last cache.
_CHUNK = 1 << 22
# Weights that are copied at a time for the compiled loops: 256 KiB as int16, which a second-level
# cache holds.
_COPIED = 1 << 17


@dataclass(frozen=True, eq=False)
class PackedCells:
    """Cell levels packed along their last axis.

    Attributes:
        data: bytes; axes: those of the cells, the last one packed.
        bits: width of a cell, 1 to 8.
        columns: length of the last axis before packing.
    """

    data: UInt8Array
    bits: int
    columns: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the unpacked cells."""
        return (*self.data.shape[:-1], self.columns)

    @property
    def count(self) -> int:
        """How many cells there are."""
        return math.prod(self.shape)

    def unpack(self, index: tuple[slice | int, ...] = ()) -> UInt8Array:
        """Cell levels as bytes; `index` picks from the leading axes."""
        return unpack_cells(self.data[index], self.bits, self.columns)

    def unpack_as(self, dtype: type[np.number[Any]], index: tuple[slice | int, ...]) -> AnyArray:
        """Cell levels as numbers of a type; `index` picks from the leading axes."""
        data = self.data[index]
        if self.bits not in ALIGNED or self.bits == 8:
            return unpack_cells(data, self.bits, self.columns).astype(dtype)
        return _look_up_levels(data, levels_of_bytes(self.bits).astype(dtype), self.columns)


def sum_columns(cells: PackedCells, bounds: IntArray, *, nonzero: bool = False) -> Int64Array:
    """Sum the levels of each column over each run of rows.

    Args:
        cells: axes: group, row, column.
        bounds: first row of each run, and the end.
        nonzero: count the cells that are not at level 0 in place of summing levels.

    Returns:
        Axes: group, run, column.
    """
    groups, _, columns = cells.shape
    sums = np.zeros((groups, len(bounds) - 1, columns), dtype=np.int64)
    if cells.bits in ALIGNED and is_worth_loops(cells.data):
        runs = np.asarray(bounds, dtype=np.int64)
        cell_loops.sum_columns(protect(cells.data), runs, cells.bits, nonzero, sums)
        return sums
    for run in range(sums.shape[1]):
        levels = cells.unpack((slice(None), slice(int(bounds[run]), int(bounds[run + 1]))))
        counted = np.minimum(levels, 1) if nonzero else levels
        counted.sum(axis=1, dtype=np.int64, out=sums[:, run])
    return sums


def count_levels(cells: PackedCells) -> Int64Array:
    """Cells at each level; axis: level."""
    if cells.bits not in ALIGNED or not is_worth_loops(cells.data):
        return _count_unpacked(cells)
    counts = cell_loops.count_bytes(protect(cells.data.reshape(-1))) @ _levels_of_byte(cells.bits)
    padding = cells.data.size * (8 // cells.bits) - cells.count
    counts[0] -= padding
    return np.asarray(counts, dtype=np.int64)


def is_worth_loops(data: AnyArray) -> bool:
    """Whether compiled loops serve; once they are loaded they always do."""
    return data.nbytes >= _WORTH_LOADING or is_loaded(cell_loops)


def protect(data: AnyArray) -> AnyArray:
    """A read-only view: loops are compiled for these alone, as arrays of files are so."""
    view = data.view()
    view.flags.writeable = False
    return view


def _levels_of_byte(bits: int) -> Int64Array:
    """Cells of each level in each byte; axes: byte, level."""
    places = levels_of_bytes(bits)
    hits: Int64Array = (places[:, :, None] == np.arange(1 << bits)).sum(axis=1, dtype=np.int64)
    return hits


def _count_unpacked(cells: PackedCells) -> Int64Array:
    counts = np.zeros(1 << cells.bits, dtype=np.int64)
    rows = cells.data.reshape(-1, cells.data.shape[-1])
    chunk = max(1, _CHUNK // max(1, cells.columns))
    for start in range(0, len(rows), chunk):
        part = unpack_cells(rows[start : start + chunk], cells.bits, cells.columns)
        counts += np.bincount(part.reshape(-1), minlength=len(counts))
    return counts


def packed_bytes(columns: int, bits: int) -> int:
    """Bytes that a row of `columns` cells of `bits` bits takes."""
    return -(-columns * bits // 8)


def pack_cells(cells: UInt8Array, bits: int) -> PackedCells:
    """Pack cell levels along the last axis, least significant bits first.

    Raises:
        ValueError: a level does not fit, or `bits` is not 1 to 8.
    """
    if not 1 <= bits <= 8:
        raise ValueError(f"a cell has 1 to 8 bits, not {bits}")
    if cells.size and int(cells.max()) >> bits:
        raise ValueError(
            f"level {int(cells.max())} does not fit a cell of {say_count(bits, 'bit')}"
        )
    columns = cells.shape[-1]
    pack = _pack_aligned if bits in ALIGNED else _pack_bits
    data = np.ascontiguousarray(pack(cells, bits))
    data.flags.writeable = False
    return PackedCells(data, bits, columns)


@dataclass(frozen=True, eq=False)
class WeightCodes:
    """The packed cells of every weight of a range.

    Attributes:
        low: the least weight.
        codes: cells of the weights from `low` on, those of the first column in the lowest bits.
        width: bits of a code.
    """

    low: int
    codes: IntArray
    width: int

    @classmethod
    def of(cls, low: int, cells: UInt8Array, bits: int) -> WeightCodes | None:
        """From the cells of each weight, axes weight and column; None where they are too many."""
        width = cells.shape[1] * bits
        if width > WIDEST_CODE:
            return None
        shifts = (bits * np.arange(cells.shape[1])).astype(np.uint64)
        codes = (cells.astype(np.uint64) << shifts).sum(axis=1, dtype=np.uint64)
        return cls(low, codes, width)

    def pack(self, weights: IntArray, first: int, out: UInt8Array) -> None:
        """Write the cells of weights into rows of packed cells.

        Args:
            weights: within the range; axes: group, row, output.
            first: bit of a row at which they begin; what lies after them in a row is written later.
            out: axes: group, row, byte.
        """
        size = self.width // 8
        whole = self.width in (8, 16, 32) and not first % self.width and not out.shape[2] % size
        if not whole or sys.byteorder != "little":
            if is_worth_loops(weights):
                for some, rows in self._cut_rows(weights, out):
                    cell_loops.append_codes(some, self.low, self.codes, self.width, first, rows)
            else:
                self._pack_bits(weights, first, out)
            return
        words, place = out.view(f"u{size}"), first // self.width
        narrow = self.codes.astype(words.dtype)
        if is_worth_loops(weights):
            for some, rows in self._cut_rows(weights, words):
                cell_loops.look_up(some, self.low, narrow, place, rows)
        else:
            own = words[:, :, place : place + weights.shape[2]]
            own[:] = narrow[weights.astype(np.int64) - self.low]

    def _cut_rows(self, weights: IntArray, out: AnyArray) -> Iterator[tuple[IntArray, AnyArray]]:
        """Some rows of weights at a time, with their rows of `out`; axes: row, output.

        Loops are compiled for few types: with those of all weights that there are, and each layout
        of them, packing had 36 loops that took a fifth of a second each. A copy into one type costs
        nothing beside the loop.
        """
        groups, rows, outputs = weights.shape
        flat = weights.reshape(groups * rows, outputs)
        written = np.reshape(out, (groups * rows, out.shape[2]), copy=False)
        small = self.low >= -(1 << 15) and self.low + len(self.codes) <= 1 << 15
        step = max(1, _COPIED // max(1, outputs))
        for start in range(0, len(flat), step):
            some = np.asarray(
                flat[start : start + step], np.int16 if small else np.int64, order="C"
            )
            yield protect(some), written[start : start + step]

    def _pack_bits(self, weights: IntArray, first: int, out: UInt8Array) -> None:
        """As `pack`, a byte a bit at a time."""
        codes = self.codes[weights.astype(np.int64) - self.low]
        places = np.arange(self.width, dtype=np.uint64)
        new = ((codes[..., None] >> places) & np.uint64(1)).astype(np.uint8)
        planes = np.unpackbits(out, axis=2, bitorder="little")
        last = first + weights.shape[2] * self.width
        planes[:, :, first:last] = new.reshape(*weights.shape[:2], -1)
        planes[:, :, last:] = 0
        out[:] = np.packbits(planes, axis=2, bitorder="little")


def unpack_cells(data: UInt8Array, bits: int, columns: int) -> UInt8Array:
    """Undo `pack_cells`; the last axis becomes `columns` long."""
    if bits == 8:
        return data[..., :columns]
    if bits not in ALIGNED:
        return _unpack_bits(data, bits, columns)
    return _look_up_levels(data, levels_of_bytes(bits), columns)


@cache
def levels_of_bytes(bits: int) -> UInt8Array:
    """Levels of the cells of each byte, the lowest bits first; axes: byte, cell."""
    every = np.arange(256, dtype=np.uint8)[:, None]
    mask = np.uint8((1 << bits) - 1)
    levels: UInt8Array = (every >> np.arange(0, 8, bits, dtype=np.uint8)) & mask
    levels.flags.writeable = False
    return levels


def _look_up_levels(data: UInt8Array, levels: AnyArray, columns: int) -> AnyArray:
    """Cells of whole bytes: one copy of a table's row a byte takes half of shifts and masks."""
    # A byte is always inside the table; the check of the default mode goes by way of a buffer.
    cells = np.take(levels, data, axis=0, mode="clip")
    return cells.reshape(*data.shape[:-1], -1)[..., :columns]


def _pack_aligned(cells: UInt8Array, bits: int) -> UInt8Array:
    per_byte = 8 // bits
    if per_byte == 1:
        return cells
    columns = cells.shape[-1]
    packed = np.zeros((*cells.shape[:-1], packed_bytes(columns, bits)), dtype=np.uint8)
    for place in range(per_byte):
        part = cells[..., place::per_byte]
        packed[..., : part.shape[-1]] |= part << (bits * place)
    return packed


def _pack_bits(cells: UInt8Array, bits: int) -> UInt8Array:
    planes = (cells[..., None] >> np.arange(bits, dtype=np.uint8)) & 1
    flat = planes.reshape(*cells.shape[:-1], cells.shape[-1] * bits)
    return np.packbits(flat, axis=-1, bitorder="little")


def _unpack_bits(data: UInt8Array, bits: int, columns: int) -> UInt8Array:
    flat = np.unpackbits(data, axis=-1, count=columns * bits, bitorder="little")
    planes = flat.reshape(*data.shape[:-1], columns, bits)
    weights = (1 << np.arange(bits)).astype(np.uint8)
    joined: UInt8Array = (planes * weights).sum(axis=-1, dtype=np.uint8)
    return joined
