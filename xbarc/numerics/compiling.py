# mypy: disable-error-code="no-untyped-call"
"""Compiling hot loops."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache

# What unpickling raises where a class of a signature was renamed, moved or removed since.
_GONE = (AttributeError, ImportError)


class _KernelCache(FunctionCache):
    """Machine code on disk, begun anew where the classes of its signatures are gone.

    An index names the types of arguments, named tuples among them by their class. Numba reads it
    before it asks whether the source is still the same, so after an upgrade that renamed such a
    class every call would fail.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code for a signature, or None."""
        try:
            return super().load_overload(sig, target_context)
        except _GONE:
            with suppress(OSError):  # a folder that cannot be written: nothing is kept
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature."""
        with suppress(*_GONE):
            super().save_overload(sig, data)


def compiled(**options: Any) -> Callable[[Any], Any]:
    """A decorator that compiles a function, without the interpreter's lock while it runs.

    The machine code is kept between processes where a folder can be written.

    Args:
        options: further ones of `numba.njit`.
    """

    def compile_function(function: Any) -> Any:
        loop = njit(nogil=True, **options)(function)
        with suppress(RuntimeError):  # numba found no place for its cache
            loop._cache = _KernelCache(function)
        return loop

    return compile_function
