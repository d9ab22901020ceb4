"""Compiling hot loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Any], Any]:
    """A decorator that compiles a function, without the interpreter's lock while it runs.

    The machine code is kept between processes where a folder can be written.

    Args:
        options: further ones of `numba.njit`.
    """

    def compile_function(function: Any) -> Any:
        try:
            return njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache
            return njit(nogil=True, **options)(function)

    return compile_function
