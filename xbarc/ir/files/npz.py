"""Reading npz files: sizes are checked before memory is taken, and nothing is pickled."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections import Counter
from math import prod
from pathlib import Path
from typing import IO

from numpy.lib import format as npy

from xbarc.errors import InputError
from xbarc.ir.file_arrays import FileArrays
from xbarc.numerics import ANOTHER_LIMIT, AnyArray, limit_in_words, memory_limit, show_size

_ADDRESSES = (1 << 63) - 1  # numpy counts strides of empty arrays too
_STRONGEST = 1032  # deflate never packs more bytes than this into one
_MADE = "numpy.savez writes such files"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    ArithmeticError,  # sizes beyond 64 bits
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,  # an encrypted member; RecursionError and NotImplementedError are among these
    SyntaxError,
    UnicodeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_npz(path: Path) -> FileArrays:
    """Read the arrays of an npz file, by name.

    Raises:
        InputError: the file is missing, damaged, or holds something else than arrays.
    """
    where = str(path)
    if not path.exists():
        raise InputError("no such file", where=where)
    if path.is_dir():
        raise InputError("is a folder, expected an npz file", where=where, hint=_MADE)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_names([member.filename for member in members], where)
            _check_sizes(members, where)
            arrays = {
                member.filename.removesuffix(".npy"): _read(archive, member, where)
                for member in members
            }
            return FileArrays(arrays, where)
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot be read as npz: {reason}", where=where, hint=_MADE) from error


def read_samples(path: Path) -> FileArrays:
    """Read arrays that all hold the same number of samples, one or more.

    Raises:
        InputError: the file cannot be read, or its arrays hold different numbers of samples.
    """
    arrays = read_npz(path)
    sizes = {name: len(array) if array.ndim else 0 for name, array in arrays.items()}
    if len(set(sizes.values())) != 1 or not min(sizes.values()):
        found = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise InputError(
            f"arrays hold different numbers of samples, or none: {found or 'no array'}",
            where=str(path),
            hint="the first axis of every array counts the samples",
        )
    return arrays


def _check_names(names: list[str], where: str) -> None:
    for name, count in Counter(names).items():
        if not name.endswith(".npy"):
            raise InputError(f"holds '{name}', expected arrays only", where=where, hint=_MADE)
        if count > 1:
            raise InputError(f"holds '{name}' {count} times", where=where)


def _check_sizes(members: list[zipfile.ZipInfo], where: str) -> None:
    """Refuse what claims more than its bytes can hold, or more than there is memory for."""
    for member in members:
        name = member.filename.removesuffix(".npy")
        # One more round: short members carry headers that weigh more than what they pack.
        packed = member.compress_size * (_STRONGEST if member.compress_type else 1) + _STRONGEST
        if member.compress_type not in _METHODS or member.file_size > packed:
            raise InputError(
                f"'{name}' claims {member.file_size} bytes from {member.compress_size}",
                where=where,
                hint=_MADE,
            )
    total = sum(member.file_size for member in members)
    if total > memory_limit():
        raise InputError(
            f"holds {show_size(total)}, {limit_in_words()}",
            where=where,
            hint=f"fewer samples at a time, or {ANOTHER_LIMIT}",
        )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> AnyArray:
    """Read one array, once its header was found to declare just the size of its data."""
    name = member.filename.removesuffix(".npy")
    # Opened twice: a deflated stream goes back to its header by starting again.
    with archive.open(member) as file:
        _check_header(file, member.file_size, name, where)
    with archive.open(member) as file:
        array: AnyArray = npy.read_array(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int, name: str, where: str) -> None:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise InputError(
            f"'{name}' holds Python objects, which are never unpickled",
            where=where,
            hint="save it as an array of numbers or of fixed-width text",
        )
    need, have = prod(shape) * dtype.itemsize, size - file.tell()
    addressed = prod(max(1, extent) for extent in shape) * max(1, dtype.itemsize)
    plain = all(type(extent) is int and extent >= 0 for extent in shape)  # True is an int too
    if not plain or need != have or addressed > _ADDRESSES:
        raise InputError(
            f"'{name}' declares shape {list(shape)} of {dtype}, {need} bytes, and holds {have}",
            where=where,
            hint=_MADE,
        )
