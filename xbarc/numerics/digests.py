"""Digests of values: equal ones have the same, in every process and on every machine."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

# The first that fits: a truth value is an int to Python. Floats by their bits and not as text: -0.0
# and 0.0 are different numbers to a program.
_SCALARS: tuple[tuple[Any, str, Callable[[Any], bytes]], ...] = (
    (bool | None, "truth", lambda value: repr(value).encode()),
    (int, "int", lambda value: str(value).encode()),
    (float, "float", lambda value: struct.pack("<d", value)),
    (str, "text", lambda value: value.encode("utf-8", "surrogatepass")),
    (bytes, "bytes", bytes),
    (Path, "text", lambda value: str(value).encode()),
)


class Digest:
    """A SHA-256 of values that are written one after the other, each with its kind and length."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, value: Any) -> None:
        """Add a value.

        Raises:
            TypeError: nobody has said how a value of this type is written.
        """
        if isinstance(value, np.ndarray):
            self._add_array(value)
        elif isinstance(value, Mapping):
            self._open("mapping", len(value))
            for key in sorted(value, key=str):
                self.add(key)
                self.add(value[key])
        elif isinstance(value, list | tuple):
            self._open("sequence", len(value))
            for item in value:
                self.add(item)
        elif is_dataclass(value) and not isinstance(value, type):
            self._open(type(value).__name__, len(fields(value)))
            for item in fields(value):
                self.add(item.name)
                self.add(getattr(value, item.name))
        else:
            self._add_scalar(value)

    def _add_scalar(self, value: Any) -> None:
        if isinstance(value, np.generic):
            value = value.item()
        for kinds, name, write in _SCALARS:
            if isinstance(value, kinds):
                self._write(name, write(value))
                return
        raise TypeError(f"no digest of {type(value).__name__}")

    def _add_array(self, value: np.ndarray[Any, Any]) -> None:
        self._open("array", value.ndim)
        for size in value.shape:
            self._hash.update(struct.pack("<q", size))
        if value.dtype.kind in "OSUT":
            self._write("dtype", b"text")
            self.add(value.ravel().tolist())
            return
        ordered = value.dtype.newbyteorder("<")
        self._write("dtype", ordered.str.encode())
        plain = np.ascontiguousarray(value.astype(ordered, copy=False))
        self._hash.update(plain.reshape(-1).view(np.uint8).data)

    def _open(self, kind: str, size: int) -> None:
        self._hash.update(f"{kind}:{size}:".encode())

    def _write(self, kind: str, data: bytes) -> None:
        self._open(kind, len(data))
        self._hash.update(data)

    def text(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._hash.hexdigest()


def digest_of(*values: Any) -> str:
    """The digest of some values, in hexadecimal."""
    digest = Digest()
    digest.add(values)
    return digest.text()
