"""Temporary files and folders beside their place, and what killed processes left of them.

Each is locked as long as its process lives. The lock of a killed process is gone, so the next one
that writes to the same place removes what it left. Nothing else is ever removed: the name must be
one that this module gives, and a folder must hold nothing but files of a program.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # no such locks on this system: nothing is known to be dead
    fcntl = None

PARTIAL = ".partial"
"""Suffix of what is not whole yet."""

_TOKEN = "[a-z0-9_]{8}"  # noqa: S105  # what tempfile puts between prefix and suffix
_NAMES = 200  # leaves room for prefix and suffix in the 255 bytes that file systems give a name


@contextlib.contextmanager
def locked_folder(place: Path, suffix: str) -> Iterator[Path]:
    """A new folder beside `place`, gone when the block ends unless it was renamed.

    Raises:
        OSError: it cannot be made.
    """

    def make() -> Path:
        return Path(tempfile.mkdtemp(prefix=_prefix(place), suffix=suffix, dir=place.parent))

    folder, lock = _make_locked(make, os.O_RDONLY)
    try:
        yield folder
    # Unlocked last: while the lock is held nobody else removes the folder.
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def locked_file(place: Path) -> Iterator[tuple[Path, int]]:
    """A new file beside `place` and its descriptor, gone when the block ends unless renamed.

    Raises:
        OSError: it cannot be made.
    """

    def make() -> Path:
        handle, name = tempfile.mkstemp(prefix=_prefix(place), suffix=PARTIAL, dir=place.parent)
        os.close(handle)
        return Path(name)

    path, lock = _make_locked(make, os.O_WRONLY)
    try:
        yield path, lock
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        os.close(lock)


def remove_leftovers(place: Path, suffix: str, *, ours: Callable[[Path], bool]) -> None:
    """Remove what killed processes left beside `place`; what is alive or strange stays.

    Args:
        place: where they were going to write.
        suffix: of the temporary name.
        ours: whether the content can be that of a temporary of ours.
    """
    name = re.compile(re.escape(_prefix(place)) + _TOKEN + re.escape(suffix))
    try:
        found = sorted(p for p in place.parent.iterdir() if name.fullmatch(p.name))
    except OSError:
        return
    for path in found:
        with contextlib.suppress(OSError):
            _remove_dead(path, ours)


def _prefix(place: Path) -> str:
    return f".{os.fsdecode(os.fsencode(place.name)[:_NAMES])}."


def _make_locked(make: Callable[[], Path], flags: int) -> tuple[Path, int]:
    """Make a path and lock it; again, where another process removed it before it was locked."""
    while True:
        path = make()
        try:
            lock = os.open(path, flags)
        except FileNotFoundError:
            continue
        if fcntl is not None:
            with contextlib.suppress(OSError):  # a file system without locks: never tidied either
                fcntl.flock(lock, fcntl.LOCK_EX)
        # Between making and locking another process may take it for dead, remove it, and this one
        # would write into nothing.
        if _still_there(path, lock):
            return path, lock
        os.close(lock)


def _still_there(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(lock))
    except FileNotFoundError:
        return False


def _remove_dead(path: Path, ours: Callable[[Path], bool]) -> None:
    if fcntl is None or path.is_symlink() or not ours(path):
        return
    # A link put there meanwhile would let it remove what it points to.
    lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # its process lives where this fails
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(lock)
