"""What a command tells beside its results: to stderr, and as much as the user asked for."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextvars import ContextVar

from xbarc.errors import visible

_LEVEL: ContextVar[int] = ContextVar("level", default=0)


@contextlib.contextmanager
def loudness(*, quiet: bool, verbose: bool) -> Iterator[None]:
    """How much is told inside the block."""
    token = _LEVEL.set(verbose - quiet)
    try:
        yield
    finally:
        _LEVEL.reset(token)


def is_quiet() -> bool:
    """Whether only results and errors are wanted."""
    return _LEVEL.get() < 0


def is_verbose() -> bool:
    """Whether every step is wanted."""
    return _LEVEL.get() > 0


def tell(text: str) -> None:
    """A line for whoever watches; names in it cannot move the cursor."""
    if not is_quiet():
        print(visible(text), file=sys.stderr)
