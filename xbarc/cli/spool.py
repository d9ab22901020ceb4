"""Outputs of a run on their way to a file: on disk as they come, mapped when they are written."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from xbarc.errors import InputError
from xbarc.numerics import AnyArray


class Spool:
    """One output of all batches of all chips.

    Batches are joined along the axis of samples; scalars, which have none, become an axis of
    batches. What is no array of numbers stays in memory.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._first: Any = None
        self._rows: list[int] = []
        self._kept: list[Any] = []

    def add(self, value: Any) -> None:
        """Take the next batch.

        Raises:
            InputError: its shape does not fit the batches before it.
        """
        if not isinstance(value, np.ndarray) or value.dtype.hasobject:
            self._kept.append(value)
            return
        if self._first is None:
            self._first = value[:0] if value.ndim else value
        same = value.shape[1:] == self._first.shape[1:] and value.ndim == self._first.ndim
        if not same or value.dtype != self._first.dtype:
            raise InputError(
                "the batches' outputs differ in shape and cannot be joined",
                where="--inputs",
                hint="--batch 0 runs all samples at once",
            )
        self._rows.append(len(value) if value.ndim else 1)
        np.ascontiguousarray(value).tofile(self._file)

    def joined(self, chips: int) -> Any:
        """All batches; with more than one chip these are the first axis."""
        if self._kept:
            return _join_kept(self._kept, chips)
        own = self._first
        each = sum(self._rows) // chips
        alone = own.ndim == 0 and len(self._rows) == chips
        shape = () if alone else (each, *own.shape[1:])
        shape = (chips, *shape) if chips > 1 else shape
        self._file.flush()
        if 0 in shape:
            return np.empty(shape, own.dtype)
        return np.memmap(self._file, own.dtype, "r", shape=shape).view(np.ndarray)


def _join_kept(parts: list[Any], chips: int) -> Any:
    if len(parts) == 1 or not all(isinstance(part, np.ndarray) for part in parts):
        return parts[0]
    each = len(parts) // chips
    join = np.concatenate if parts[0].ndim else np.stack
    joined: list[AnyArray] = [join(parts[at : at + each]) for at in range(0, len(parts), each)]
    return joined[0] if chips == 1 else np.stack(joined)


@contextlib.contextmanager
def spools(names: Sequence[str], place: Path) -> Iterator[dict[str, Spool]]:
    """A spool an output, in files without a name beside `place`, which go with the process."""
    # A device or a pipe stands in no folder for files.
    folder = place.resolve().parent if place.is_file() or not place.exists() else None
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in names]
        yield {name: Spool(file) for name, file in zip(names, files, strict=True)}
