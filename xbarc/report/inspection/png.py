"""PNG files, without a drawing library."""

from __future__ import annotations

import struct
import zlib

import numpy as np

from xbarc.numerics import UInt8Array


def png_bytes(pixels: UInt8Array) -> bytes:
    """A PNG file of red, green and blue bytes; axes: y, x, colour."""
    height, width = pixels.shape[:2]
    if not height or not width:
        pixels = np.full((1, 1, 3), 255, dtype=np.uint8)
        height = width = 1
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # byte 0 of a line: no filter
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    # Eight bits a channel, kind 2: red, green, blue (PNG specification, 11.2.2).
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(lines.tobytes(), 9)
    body = _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def _chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
