"""Sums of floats in one order, so that the same inputs give the same bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController


class _Limit:
    """One thread for BLAS while anybody asks for it: its setting belongs to the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limits: AbstractContextManager[Any] | None = None
        self._libraries: ThreadpoolController | None = None
        self._modules = 0

    def enter(self) -> None:
        with self._lock:
            # The first sets the limit, for all: libraries hold one number for the process.
            if self._limits is None:
                self._limits = self._find_libraries().limit(limits=1, user_api="blas")
                self._limits.__enter__()
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._limits is not None and not self._users:
                self._limits.__exit__(None, None, None)
                self._limits = None

    def _find_libraries(self) -> ThreadpoolController:
        """BLAS libraries of the process, looked for again where modules came since.

        Looking takes a millisecond, as long as the product of a small layer; a limit 0.03.
        """
        if self._libraries is None or self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._libraries = ThreadpoolController()
        return self._libraries


_limit = _Limit()


@contextmanager
def ordered_sums() -> Iterator[None]:
    """Let BLAS work on one thread: on several it cuts matrices elsewhere, and rounds otherwise.

    Calls may nest and overlap in threads; the last to leave restores what was set. Other threads of
    the process get the same results meanwhile, later.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()
