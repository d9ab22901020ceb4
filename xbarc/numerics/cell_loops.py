# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Loops over packed cells: the compiled part. `packing.py` is the typed face."""

from __future__ import annotations

import numpy as np

from xbarc.numerics.compiling import compiled

# Bytes of a row that are summed before the next rows are read: the 16-bit sums of 1,024 bytes of
# 1-bit cells take 16 KiB, half of a first-level cache.
_TILE = 1024


@compiled()
def sum_columns(data, bounds, bits, nonzero, sums):
    """Sum levels, or count cells that are not zero, down each column of each run of rows.

    Args:
        data: packed cells of 1, 2, 4 or 8 bits; axes: group, row, byte.
        bounds: first row of each run, and the end.
        bits: width of a cell.
        nonzero: whether cells are counted in place of summed.
        sums: is filled; axes: group, run, column.
    """
    most = 65535 // ((1 << bits) - 1)  # rows whose sum fits 16 bits
    acc = np.zeros((8 // bits, _TILE), dtype=np.uint16)
    for group in range(data.shape[0]):
        for run in range(len(bounds) - 1):
            for left in range(0, data.shape[2], _TILE):
                width = min(_TILE, data.shape[2] - left)
                for first in range(bounds[run], bounds[run + 1], most):
                    last = min(first + most, bounds[run + 1])
                    acc[:] = 0
                    for row in range(first, last):
                        _add_row(data[group, row, left : left + width], bits, nonzero, acc)
                    _hand_over(acc, width, left * len(acc), sums[group, run])


@compiled()
def _add_row(row, bits, nonzero, acc):
    """Add the levels of one row; a loop a place in the byte, so that each is one vector loop."""
    mask = np.uint8((1 << bits) - 1)
    for place in range(acc.shape[0]):
        shift = np.uint8(place * bits)
        if nonzero:
            for byte in range(len(row)):
                acc[place, byte] += np.uint16(((row[byte] >> shift) & mask) != 0)
        else:
            for byte in range(len(row)):
                acc[place, byte] += np.uint16((row[byte] >> shift) & mask)


@compiled()
def _hand_over(acc, width, first, sums):
    """Add the sums of a tile to those of its columns; padding at the end of a row has none."""
    per = len(acc)
    for byte in range(width):
        for place in range(per):
            column = first + byte * per + place
            if column < len(sums):
                sums[column] += acc[place, byte]


@compiled()
def count_bytes(flat):
    """How often each byte occurs; four tables, so that equal neighbours do not wait for another."""
    counts = np.zeros((4, 256), dtype=np.int64)
    whole = len(flat) - len(flat) % 4
    for at in range(0, whole, 4):
        counts[0, flat[at]] += 1
        counts[1, flat[at + 1]] += 1
        counts[2, flat[at + 2]] += 1
        counts[3, flat[at + 3]] += 1
    for at in range(whole, len(flat)):
        counts[0, flat[at]] += 1
    # A loop: numba takes two seconds for the code of a sum along an axis.
    for value in range(256):
        counts[0, value] += counts[1, value] + counts[2, value] + counts[3, value]
    return counts[0]


@compiled()
def look_up(weights, low, codes, first, out):
    """Write the code of each weight from some place of each row on.

    Args:
        weights: axes: row, output.
        low: weight of the first code.
        codes: of the type of `out`.
        first: place of the first code in a row.
        out: axes: row, code.
    """
    for row in range(weights.shape[0]):
        for output in range(weights.shape[1]):
            out[row, first + output] = codes[weights[row, output] - low]


@compiled()
def append_codes(weights, low, codes, width, first, out):
    """Write the code of each weight from some bit of each row on, least significant bits first.

    Args:
        weights: axes: row, output.
        low: weight of the first code.
        codes: uint64.
        width: bits of a code, at most 56, so that a code and 7 bits before it fit 64.
        first: bit of the row at which the first code begins; those before it are kept.
        out: axes: row, byte.
    """
    for row in range(weights.shape[0]):
        at, held = first >> 3, first & 7
        word = np.uint64(out[row, at]) if held else np.uint64(0)
        for output in range(weights.shape[1]):
            word |= codes[weights[row, output] - low] << np.uint64(held)
            held += width
            while held >= 8:
                out[row, at] = np.uint8(word & np.uint64(255))
                word >>= np.uint64(8)
                held -= 8
                at += 1
        if held:
            out[row, at] = np.uint8(word)


@compiled()
def join_rows(data, byte, output, kind, tables, places, joined):
    """Add to each output what the tables give for the bytes of a row.

    Args:
        data: packed cells; axes: row, byte.
        byte: of each entry, the byte of a row that it looks up.
        output: of each entry, the output that it adds to.
        kind: of each entry, its table.
        tables: int32, wrapping as the result does; axes: kind, value of the byte.
        places: row of the result for each row.
        joined: int32, is added to; axes: row, output.
    """
    for row in range(data.shape[0]):
        cells, sums = data[row], joined[places[row]]
        for entry in range(len(byte)):
            sums[output[entry]] += tables[kind[entry], cells[byte[entry]]]
