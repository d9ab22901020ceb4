"""Reading and writing npz files: sizes are checked before memory is taken, nothing is pickled."""

from __future__ import annotations

import re
import sys
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from xbarc.cli.files import whole_file
from xbarc.errors import InputError, visible
from xbarc.numerics.memory import MEMORY, memory_limit, show_size
from xbarc.numerics.types import AnyArray

_DRIVE = re.compile("^[A-Za-z]:")  # the root of a disk on some systems
_LONGEST = 1 << 12  # bytes of a path; a zip member's name has at most 65,535
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


def read_npz(path: Path) -> dict[str, AnyArray]:
    """Arrays of an npz file by name.

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
            return {
                member.filename.removesuffix(".npy"): _read(archive, member, where)
                for member in members
            }
    except _DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot be read as npz: {reason}", where=where, hint=_MADE) from error


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
        packed = member.compress_size * (_STRONGEST if member.compress_type else 1) + _STRONGEST
        if member.compress_type not in _METHODS or member.file_size > packed:
            raise InputError(
                f"'{name}' claims {member.file_size} bytes from {member.compress_size}",
                where=where,
                hint=_MADE,
            )
    total, most = sum(member.file_size for member in members), memory_limit()
    if total > most:
        raise InputError(
            f"holds {show_size(total)}, this machine has {show_size(most)}",
            where=where,
            hint=f"fewer samples at a time, or another limit with {MEMORY}=SIZE or --memory SIZE",
        )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> AnyArray:
    """One array, after its header was found to declare the size of its data."""
    name = member.filename.removesuffix(".npy")
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
    if min(shape, default=0) < 0 or need != have or addressed > _ADDRESSES:
        raise InputError(
            f"'{name}' declares shape {list(shape)} of {dtype}, {need} bytes, and holds {have}",
            where=where,
            hint=_MADE,
        )


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name; the file is whole or absent, and its bytes hold no clock.

    Raises:
        InputError: an output is no array, or the path cannot be written.
    """
    plain = {name: _plain(name, value) for name, value in arrays.items()}
    names = member_names(plain)
    for name, safe in names.items():
        if name != safe:
            print(f"note: '{visible(name)}' is written as '{safe}'", file=sys.stderr)
    with whole_file(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in plain.items():
            member = zipfile.ZipInfo(f"{names[name]}.npy")  # dated 1980, as numpy does
            with archive.open(member, "w", force_zip64=True) as part:
                npy.write_array(part, array, allow_pickle=False)


def member_names(names: Iterable[str]) -> dict[str, str]:
    """Names of the members of an archive, by the names of arrays; unpacked, none leaves its folder.

    A name keeps as it is unless a part of it would climb or start at a root, or cannot be shown.
    """
    found: dict[str, str] = {}
    for name in names:
        safe = _inside(name)
        while safe in found.values():
            safe += "_"
        found[name] = safe
    return found


def _inside(name: str) -> str:
    """A name that stays inside the folder that an archive is unpacked to."""
    parts = _DRIVE.sub("_", visible(name)).replace("\\", "_").split("/")
    kept = ["_" * len(part) if not part.strip(". ") and part != "." else part for part in parts]
    while len(kept) > 1 and not kept[0]:
        kept.pop(0)
    return "/".join(kept)[:_LONGEST] or "_"


def _plain(name: str, value: Any) -> AnyArray:
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value
    if isinstance(value, np.ndarray) and all(isinstance(item, str) for item in value.flat):
        return value.astype(np.str_)
    raise InputError(
        f"output '{name}' is no tensor and cannot be written to npz",
        hint="xbarc.InferenceSession gives it as a Python value",
    )
