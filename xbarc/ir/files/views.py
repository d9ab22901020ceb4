"""Arrays of a safetensors file as views of a memory map: nothing is read before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from xbarc.errors import ProgramError
from xbarc.numerics import AnyArray

_DTYPES = {"U8": "u1", "I8": "i1", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}


def open_arrays(path: Path) -> dict[str, AnyArray]:
    """Map all arrays of a file into memory, by name and read-only.

    Raises:
        ProgramError: it is no such file.
    """
    try:
        # The library checks header and offsets; only then are bytes mapped by hand, since it
        # copies.
        with safe_open(path, framework="numpy") as checked:
            names = set(checked.keys())
        data = np.memmap(path, dtype=np.uint8, mode="r")
        length = int(data[:8].view("<u8")[0])
        header = json.loads(bytes(data[8 : 8 + length]))
        body = data[8 + length :]
        return {name: _view(body, header[name]) for name in sorted(names)}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ProgramError(f"is not an array file: {error}", where=str(path)) from error


def _view(body: AnyArray, entry: Mapping[str, Any]) -> AnyArray:
    first, last = entry["data_offsets"]
    raw = np.asarray(body[first:last])
    dtype = np.dtype(_DTYPES[entry["dtype"]])
    # Offsets of a file need not be multiples of the item; compiled loops ask for alignment.
    if raw.ctypes.data % dtype.itemsize:
        raw = raw.copy()
    array = raw.view(dtype).reshape(entry["shape"])
    array.flags.writeable = False
    return array
