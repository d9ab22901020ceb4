"""Cells packed at their own width, so that a 2-bit cell takes two bits on disk and in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from xbarc.numerics.types import UInt8Array

_ALIGNED = (1, 2, 4, 8)


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
        raise ValueError(f"level {int(cells.max())} does not fit a cell of {bits} bits")
    columns = cells.shape[-1]
    pack = _pack_aligned if bits in _ALIGNED else _pack_bits
    data = np.ascontiguousarray(pack(cells, bits))
    data.flags.writeable = False
    return PackedCells(data, bits, columns)


def unpack_cells(data: UInt8Array, bits: int, columns: int) -> UInt8Array:
    """Undo `pack_cells`; the last axis becomes `columns` long."""
    if bits == 8:
        return data[..., :columns]
    if bits not in _ALIGNED:
        return _unpack_bits(data, bits, columns)
    per_byte = 8 // bits
    out = np.empty((*data.shape, per_byte), dtype=np.uint8)
    mask = (1 << bits) - 1
    for place in range(per_byte):
        out[..., place] = (data >> (bits * place)) & mask
    return out.reshape(*data.shape[:-1], data.shape[-1] * per_byte)[..., :columns]


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
