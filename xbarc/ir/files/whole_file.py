"""A file that is written whole, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from xbarc.errors import InputError
from xbarc.ir.files.partial import PARTIAL, locked_file, remove_leftovers


def check_writable(path: Path) -> None:
    """Refuse early what could not be written after long work.

    Raises:
        InputError: it is a folder, or its folder does not exist.
    """
    if path.is_dir():
        raise InputError("cannot be written: it is a folder", where=str(path))
    if not path.resolve().parent.is_dir():
        raise InputError(
            "cannot be written: its folder does not exist",
            where=str(path),
            hint=f"make {path.parent}",
        )


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A temporary file beside `path` that takes its place when the block ends well.

    A device or a pipe is written to, in one go: it must never be replaced by a file.

    Raises:
        InputError: the path cannot be written.
    """
    check_writable(path)
    try:
        # /dev/stdout, or a pipe: a rename would put a file in its place.
        if path.exists() and not path.is_file():
            memory = io.BytesIO()
            yield memory
            path.write_bytes(memory.getvalue())
            return
        with file_beside(path.resolve()) as file:
            yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be written: {reason}", where=str(path)) from error


@contextlib.contextmanager
def file_beside(path: Path, put: Callable[[Path, Path], object] | None = None) -> Iterator[IO[Any]]:
    """A file that `put`, or a replacing rename, gives its name at the end."""
    remove_leftovers(path, PARTIAL, ours=Path.is_file)
    with locked_file(path) as (partial, handle):
        with os.fdopen(handle, "wb", closefd=False) as file:
            yield file
        # Temporary files are private by default, and a report is meant to be read.
        partial.chmod(0o644)
        # Before the rename, or a power cut could leave the new name with no data.
        os.fsync(handle)
        (put or Path.replace)(partial, path)
