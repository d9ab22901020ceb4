"""Sums of floats in one order, so that the same inputs give the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits


class _Limit:
    """One thread for BLAS while anybody asks for it: its setting belongs to the whole process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._users = 0
        self._limits: threadpool_limits | None = None

    def enter(self) -> None:
        with self._lock:
            # The first sets the limit, for all: libraries hold one number for the process.
            if self._limits is None:
                self._limits = threadpool_limits(1, user_api="blas")
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._limits is not None and not self._users:
                self._limits.restore_original_limits()
                self._limits = None


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
