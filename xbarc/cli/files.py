"""Writing files for the commands: whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from xbarc.errors import InputError
from xbarc.ir import check_writable, file_beside, whole_file


def write_text(path: Path, text: str) -> None:
    """Write text; the file is whole or absent."""
    with whole_file(path) as file:
        # Names in a model may hold half of a surrogate pair, which UTF-8 cannot write; a report
        # must not fail over a name.
        file.write(text.encode("utf-8", "replace"))


def write_new_text(path: Path, text: str) -> None:
    """Write text to a file that is not there yet; it is whole or absent.

    Raises:
        InputError: there is something, which stays as it is, or the path cannot be written.
    """
    check_writable(path)
    try:
        # A link fails where a name is taken, in one step; looking first and renaming then would
        # race with another process.
        with file_beside(path.resolve(), os.link) as file:
            file.write(text.encode("utf-8"))
    except FileExistsError as error:
        raise InputError("exists, and is never replaced", where=str(path)) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be written: {reason}", where=str(path)) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes; the file is whole or absent."""
    with whole_file(path) as file:
        file.write(data)
