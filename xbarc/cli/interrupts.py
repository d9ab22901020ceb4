"""Ctrl-C and SIGTERM, also where compiled code swallows the exception that Python makes of them."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

# The callback that swallowed the interrupt should have returned by then; nobody notices the wait.
_AGAIN_S = 0.05
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Interrupts:
    """Within it, whatever fails after Ctrl-C or SIGTERM counts as interrupted.

    Python raises `KeyboardInterrupt` wherever it is at work. In a callback from a compiler, or in a
    module that is half loaded, it is dropped, and comes again a moment later, or becomes another
    error some lines on.

    Attributes:
        terminated: whether SIGTERM came.
    """

    def __init__(self) -> None:
        self.terminated = False
        self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        here = threading.current_thread() is threading.main_thread()
        for number, default in _DEFAULTS.items():
            # Only in the main thread may handlers be set, and a program that has its own keeps it.
            if here and signal.getsignal(number) is default:
                self._before[number] = signal.signal(number, self._note)
                sys.unraisablehook = _send_again
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
            sys.unraisablehook = sys.__unraisablehook__
        # A half-loaded module or a solver that was stopped raises errors of its own some lines
        # later; the user pressed Ctrl-C, and that is what is said.
        if self._came and isinstance(error, Exception):
            raise KeyboardInterrupt from error

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
        self.terminated = self.terminated or number == signal.SIGTERM
        signal.default_int_handler(number, frame)


def _send_again(what: sys.UnraisableHookArgs) -> None:
    """Python can only tell of an exception that a callback cannot hand on."""
    if not isinstance(what.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(what)
        return
    thread = threading.main_thread().ident
    again = threading.Timer(_AGAIN_S, signal.pthread_kill, (thread, signal.SIGINT))
    # It must not keep the process alive.
    again.daemon = True
    again.start()
