"""Writing npz files: whole or not at all, and the same bytes at any time."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from xbarc.cli.messages import tell
from xbarc.errors import InputError, visible
from xbarc.ir import whole_file
from xbarc.numerics import AnyArray

_DRIVE = re.compile("^[A-Za-z]:")  # the root of a disk on some systems
_LONGEST = 1 << 12  # bytes of a path; a zip member's name has at most 65,535


def write_outputs(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write npz, or the one array of a path that ends in .npy.

    Raises:
        InputError: as `write_npz`, or a .npy file would hold several arrays.
    """
    if path.suffix != ".npy":
        write_npz(path, arrays)
        return
    if len(arrays) != 1:
        raise InputError(
            f"holds one array, the model has {len(arrays)} outputs",
            where=str(path),
            hint=f"{path.with_suffix('.npz')} holds them all",
        )
    [(name, value)] = arrays.items()
    plain = _plain(name, value)
    with whole_file(path) as file:
        npy.write_array(file, plain, allow_pickle=False)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name; the file is whole or absent, and its bytes hold no clock.

    Raises:
        InputError: an output is no array, or the path cannot be written.
    """
    plain = {name: _plain(name, value) for name, value in arrays.items()}
    names = member_names(plain)
    for name, safe in names.items():
        if name != safe:
            tell(f"note: '{name}' is written as '{safe}'")
    with whole_file(path) as file, zipfile.ZipFile(file, "w", allowZip64=True) as archive:
        for name, array in plain.items():
            member = zipfile.ZipInfo(f"{names[name]}.npy")  # dated 1980, as numpy does
            # Streamed: sizes are unknown at the start, and may pass 4 GiB.
            with archive.open(member, "w", force_zip64=True) as part:
                npy.write_array(part, array, allow_pickle=False)


def member_names(names: Iterable[str]) -> dict[str, str]:
    """Names of the members of an archive, by the names of arrays; unpacked, none leaves its folder.

    A name keeps as it is unless a part of it would climb or start at a root, or cannot be shown.
    """
    found: dict[str, str] = {}
    for name in names:
        safe = _inside(name)
        # Two names may become one: "/a" and "a".
        while safe in found.values():
            safe += "_"
        found[name] = safe
    return found


def _inside(name: str) -> str:
    """A name that stays inside the folder that an archive is unpacked to."""
    parts = _DRIVE.sub("_", visible(name)).replace("\\", "_").split("/")
    # "..", and parts that some systems strip to nothing, would leave the folder.
    kept = ["_" * len(part) if not part.strip(". ") and part != "." else part for part in parts]
    while len(kept) > 1 and not kept[0]:
        kept.pop(0)
    return "/".join(kept)[:_LONGEST] or "_"


def _plain(name: str, value: Any) -> AnyArray:
    # Objects would be pickled, and a file from here must load without running code.
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        return value
    if isinstance(value, np.ndarray) and all(isinstance(item, str) for item in value.flat):
        return value.astype(np.str_)
    raise InputError(
        f"output '{name}' is not a tensor and cannot be written to npz",
        hint="xbarc.InferenceSession gives it as a Python value",
    )
