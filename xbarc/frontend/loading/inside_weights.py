"""Weights inside a model file: left there and mapped, as weights beside it are.

Protobuf parses a message whole, and a model would be held twice before anything is known of it. The
file's outer fields are walked instead, and every large initialiser becomes a reference to the bytes
that it has in the file. Anything unusual is left to protobuf, and so is every message about damage.

Field numbers: onnx.proto of the ONNX project; wire format: the encoding page of protobuf.dev.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import StringStringEntryProto, TensorProto

# Bytes of a file, and of an initialiser, from which it is worth the walk: smaller ones are parsed
# in milliseconds, and constants that decide shapes are far smaller.
_LARGE_FILE = 1 << 24
_LARGE_TENSOR = 1 << 20

# Fields of one message: a node each in a graph, and the largest that are known have 10^5. A file of
# empty fields would take minutes to walk, which protobuf skips in a second.
_MOST_FIELDS = 1 << 20

_GRAPH, _INITIALIZER = 7, 5
_DATA_TYPE, _RAW_DATA, _LOCATION = 2, 9, 14
_PLAIN = frozenset({1, _DATA_TYPE, 8, _RAW_DATA, 12, _LOCATION, 16})
"""Fields of a tensor that is taken: dims, name, doc_string, metadata_props and those above."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Bytes of a number: 64 bits in groups of 7, as the wire format has them.
_LONGEST_VARINT = 10

_Piece = bytes | memoryview


class _UnusualError(ValueError):
    """Bytes that are no protobuf message, or one that nobody writes."""


@dataclass(frozen=True)
class _Field:
    """One field of a message: where it begins, where its content begins, and where it ends."""

    number: int
    wire: int
    start: int
    body: int
    end: int


def shrink_model(path: Path) -> bytes | None:
    """The model without its large initialisers, which are references into the file itself.

    None where that saves nothing, or the file is unusual in any way.

    Raises:
        OSError: the file cannot be read.
    """
    if path.stat().st_size < _LARGE_FILE or not _is_plain(path):
        return None
    data = np.memmap(path, np.uint8, "r").data
    try:
        pieces = _shrink_fields(data, _Field(0, _BYTES, 0, 0, len(data)), _GRAPH, path.name)
    except _UnusualError:
        return None
    return b"".join(pieces) if pieces else None


def _is_plain(path: Path) -> bool:
    """Whether a reference to the file's name finds it, and stays inside its folder."""
    try:
        path.name.encode()
    except UnicodeEncodeError:  # bytes that are no text cannot stand in a message
        return False
    return not path.is_symlink()


def _shrink_fields(data: memoryview, message: _Field, inside: int, location: str) -> list[_Piece]:
    """A model or a graph whose large initialisers are references; nothing where it has none.

    Args:
        data: the file.
        message: the model or the graph.
        inside: number of the field that is looked into; all others stay.
        location: the file's name.
    """
    pieces: list[_Piece] = []
    kept = message.body
    for field in _fields(data, message):
        if field.number != inside or field.wire != _BYTES:
            continue
        body = (
            _shrink_fields(data, field, _INITIALIZER, location)
            if inside == _GRAPH
            else _shrink_tensor(data, field, location)
        )
        if not body:
            continue
        head = _write_varint(inside << 3 | _BYTES) + _write_varint(sum(map(len, body)))
        pieces += [data[kept : field.start], head, *body]
        kept = field.end
    return [*pieces, data[kept : message.end]] if pieces else []


def _shrink_tensor(data: memoryview, message: _Field, location: str) -> list[_Piece]:
    """An initialiser as a reference to its raw data; nothing where it is small or unusual."""
    if message.end - message.body < _LARGE_TENSOR:
        return []
    fields = list(_fields(data, message))
    raw = [field for field in fields if field.number == _RAW_DATA]
    kinds = _read_numbers(data, fields, _DATA_TYPE)
    # Of a field that stands twice the last one counts: nobody writes that, and it is left alone.
    if len(raw) != 1 or len(kinds) != 1 or any(field.number not in _PLAIN for field in fields):
        return []
    size, elsewhere = raw[0].end - raw[0].body, any(_read_numbers(data, fields, _LOCATION))
    if raw[0].wire != _BYTES or size < _LARGE_TENSOR or elsewhere or kinds[0] == TensorProto.STRING:
        return []
    where = {"location": location, "offset": str(raw[0].body), "length": str(size)}
    reference = TensorProto(
        data_location=TensorProto.EXTERNAL,
        external_data=[StringStringEntryProto(key=k, value=v) for k, v in where.items()],
    )
    # Messages that follow each other are one message.
    kept = [data[field.start : field.end] for field in fields if field.number != _RAW_DATA]
    return [*kept, reference.SerializeToString()]


def _read_numbers(data: memoryview, fields: list[_Field], number: int) -> list[int]:
    """The values of a field that holds a number; every time that it stands there."""
    found = [field for field in fields if field.number == number]
    if any(field.wire != _VARINT for field in found):
        raise _UnusualError(f"field {number} holds no number")
    return [_read_varint(data, field.body, field.end)[0] for field in found]


def _fields(data: memoryview, message: _Field) -> Iterator[_Field]:
    at = message.body
    for _ in range(_MOST_FIELDS):
        if at == message.end:
            return
        key, body = _read_varint(data, at, message.end)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            end = _read_varint(data, body, message.end)[1]
        elif wire == _BYTES:
            size, body = _read_varint(data, body, message.end)
            end = body + size
        elif wire in (_FIXED32, _FIXED64):
            end = body + (8 if wire == _FIXED64 else 4)
        else:
            raise _UnusualError(f"wire type {wire}")
        if not number or end > message.end:
            raise _UnusualError(f"field {number} ends at {end} of {message.end}")
        yield _Field(number, wire, at, body, end)
        at = end
    raise _UnusualError(f"more than {_MOST_FIELDS} fields")


def _read_varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """A number in groups of 7 bits, the lowest first, and where it ends."""
    value = 0
    for index, byte in enumerate(data[at : min(end, at + _LONGEST_VARINT)]):
        value |= (byte & 127) << (7 * index)
        if byte < 128:
            return value, at + index + 1
    raise _UnusualError(f"no number at {at}")


def _write_varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)
