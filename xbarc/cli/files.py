"""Reading and writing npz and text files for the commands."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from xbarc.errors import InputError
from xbarc.numerics.types import AnyArray

_LARGEST = 1 << 36


def read_npz(path: Path) -> dict[str, AnyArray]:
    """Arrays of an npz file; sizes are checked before anything is allocated, nothing is unpickled.

    Raises:
        InputError: the file is missing, damaged, or holds something else than arrays.
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                _check_member(archive, member, where)
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except FileNotFoundError as error:
        raise InputError("no such file", where=where) from error
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise InputError(
            f"cannot be read as npz: {error}", where=where, hint="numpy.savez writes such files"
        ) from error


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> None:
    """Refuse an array whose declared size is not the size of its data."""
    if not member.filename.endswith(".npy"):
        raise InputError(f"holds '{member.filename}', expected arrays only", where=where)
    with archive.open(member) as file:
        version = npy.read_magic(file)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.hasobject:
            raise InputError(f"'{member.filename}' holds Python objects", where=where)
        need = prod(shape) * dtype.itemsize
        have = member.file_size - file.tell()
    if need != have or need > _LARGEST:
        raise InputError(f"'{member.filename}' declares {need} bytes and holds {have}", where=where)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays; the file is whole or absent.

    Raises:
        InputError: an output is no array, or the path cannot be written.
    """
    wrong = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
    if wrong:
        raise InputError(f"output '{wrong[0]}' is no tensor and cannot be written to npz")
    with whole_file(path, "wb") as file:
        np.savez(file, **arrays)


def write_text(path: Path, text: str) -> None:
    """Write text; the file is whole or absent."""
    with whole_file(path, "w") as file:
        file.write(text)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes; the file is whole or absent."""
    with whole_file(path, "wb") as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: Path, mode: str) -> Iterator[IO[Any]]:
    """A temporary file beside `path` that takes its place when the block ends well.

    Raises:
        InputError: the path cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.resolve().parent)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    try:
        encoding = None if "b" in mode else "utf-8"
        with os.fdopen(handle, mode, encoding=encoding) as file:
            yield file
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(path)) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
