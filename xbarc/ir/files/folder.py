"""A directory that is either whole or not there, whenever the process may be killed."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xbarc.errors import ProgramError
from xbarc.ir.files.partial import PARTIAL, locked_folder, remove_leftovers

MANIFEST = "program.json"
FILE_NAME = re.compile(r"cells\.safetensors|(?:report|placement)\.json|digital/[0-9]{5}\.onnx")

_OLD = ".old"
# From fcntl.h and linux/fs.h: names count from the working directory; the two paths swap.
_AT_FDCWD = -100
_EXCHANGE = 2  # RENAME_EXCHANGE


def check_replaceable(path: Path) -> None:
    """Refuse to write a program over anything that is no program.

    Raises:
        ProgramError: something else is there, or no folder to write into.
    """
    where = str(path)
    try:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise ProgramError("exists and is not a program", where=where, hint="choose another -o")
        if path.is_dir():
            _check_content(path)
        elif not path.resolve().parent.is_dir():
            raise ProgramError(
                "cannot be written: its folder does not exist",
                where=where,
                hint=f"make {path.parent}, or choose another -o",
            )
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


def _check_content(path: Path) -> None:
    """Only files of a program may be lost when a new program takes its place."""
    # Looked at before anything is compiled: minutes of work must not end in a refusal.
    names = [p.relative_to(path).as_posix() for p in path.rglob("*") if not p.is_dir()]
    if names and MANIFEST not in names:
        raise ProgramError(
            "a folder that holds no program", where=str(path), hint="choose another -o"
        )
    strange = sorted(n for n in names if n != MANIFEST and not FILE_NAME.fullmatch(n))
    if strange:
        raise ProgramError(
            f"holds '{strange[0]}', which is not part of a program and would be lost",
            where=str(path),
            hint="move it away, or choose another -o",
        )


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that takes its place when the block ends well.

    What killed processes left of writing to the same place is removed.

    Raises:
        ProgramError: it cannot be written.
    """
    place = path.resolve()
    # Before writing, so that a disk filled by a killed compile has room again.
    remove_leftovers(place, PARTIAL, ours=_holds_program)
    try:
        with locked_folder(place, PARTIAL) as folder:
            yield folder
            _finish(folder)
            _put(folder, place)
    except OSError as error:
        raise _cannot_write(path, error) from error
    remove_leftovers(place, _OLD, ours=_holds_old)


def _holds_program(folder: Path) -> bool:
    """Whether there is nothing in a folder but what a program, or a part of one, holds."""
    files = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    names = (p.relative_to(folder).as_posix() for p in files)
    return folder.is_dir() and all(n == MANIFEST or FILE_NAME.fullmatch(n) for n in names)


def _holds_old(folder: Path) -> bool:
    """Whether a folder holds an old program at most."""
    names = {p.name for p in folder.iterdir()}
    return not names or (names == {"program"} and _holds_program(folder / "program"))


def _finish(folder: Path) -> None:
    """Let everyone read the folder, and write its data to the disk before its new name."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            path.chmod(0o644)
            # A rename may reach the disk before the data does, and a power cut would leave empty
            # files.
            with path.open("rb") as file:
                os.fsync(file.fileno())
    folder.chmod(0o755)


def _put(folder: Path, path: Path) -> None:
    """Put the new directory in place; an old one stays whole until then and is removed last."""
    if not path.exists():
        folder.rename(path)
    # One step of the kernel: no moment at which neither program is there.
    elif exchange(folder, path):
        return  # the old program bears the temporary name now, and goes with it
    else:
        _swap(folder, path)


def exchange(first: Path, second: Path) -> bool:
    """Let two paths swap their names in one step; False where the system cannot."""
    if sys.platform != "linux":
        return False
    # Python offers no exchange of names; older C libraries have no such function.
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return False
    names = (os.fsencode(first), os.fsencode(second))
    return bool(function(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _EXCHANGE) == 0)


def _swap(folder: Path, path: Path) -> None:
    """Two renames: killed between them, the old program is whole in `.NAME.*.old/program`."""
    with locked_folder(path, _OLD) as old:
        try:
            path.rename(old / "program")
            folder.rename(path)
        # An interrupt too: whatever ends this, a program stands at the place.
        except BaseException:
            if not path.exists():
                (old / "program").rename(path)
            raise


def _cannot_write(path: Path, error: OSError | ValueError) -> ProgramError:
    reason = getattr(error, "strerror", None) or error
    return ProgramError(f"cannot be written: {reason}", where=str(path))
