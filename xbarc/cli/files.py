"""Files of the commands: written whole or not at all, and the model of a program found."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from xbarc.errors import InputError, ModelError, ProgramError
from xbarc.ir import check_writable, file_beside, whole_file

if TYPE_CHECKING:
    from xbarc.ir import Program


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


def find_source(program: Program, place: Path) -> Path:
    """The file that the program was compiled from, known by its digest.

    It may lie beside the program (under any name), where it was when it was compiled, or here.
    """
    from xbarc.frontend import source_digest

    given, folder = Path(program.source.path), place.resolve().parent
    # Beside the program first: folders are copied with their model, and the old place may hold a
    # newer file of the same name.
    found = [folder / given.name, given, Path(given.name), *sorted(folder.glob("*.onnx"))]
    other = []
    for path in {path.resolve(): path for path in found if path.is_file()}.values():
        try:
            digest = source_digest(path)
        except ModelError:
            continue  # damaged, or no model at all: it is not the one
        if digest == program.source.sha256:
            return path
        other.append((path, digest))
    raise _no_source(program, place, other)


def _no_source(program: Program, place: Path, other: list[tuple[Path, str]]) -> ProgramError:
    given, digest = program.source.path, program.source.sha256[:12]
    if not other:
        return ProgramError(
            f"the model '{given}' with the digest {digest} is not where it was when compiled, and"
            " not beside the program",
            where=str(place),
            hint="pass --model MODEL.onnx",
        )
    seen = ", ".join(f"{path} has the digest {found[:12]}" for path, found in other)
    return ProgramError(
        f"was compiled from {given} with the digest {digest}; {seen}",
        where=str(place),
        hint=f"if the file changed since then, compile {other[0][0]} again; otherwise pass the"
        " right one with --model",
    )
