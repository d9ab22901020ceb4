"""Data structures in one line: what a debugger, a test or a notebook prints of them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

# Numbers of an array, or parts of a list, that are written out: what fits a line beside its name.
_FEW = 8
# Letters of a field: a list of records is told by how many there are.
_LONGEST = 80


def short_repr(made: Any) -> str:
    """A dataclass by its fields; large arrays by type and shape, long lists by their length.

    To be assigned to `__repr__` in the body of a class.
    """
    parts = (f"{item.name}={_show(getattr(made, item.name))}" for item in fields(made))
    return f"{type(made).__name__}({', '.join(parts)})"


def _show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        few = value.ndim == 1 and value.size <= _FEW
        return str(value.tolist()) if few else f"{value.dtype}{list(value.shape)}"
    if isinstance(value, tuple | list | dict) and len(value) > _FEW:
        return f"{type(value).__name__} of {len(value):,}"
    text = repr(value)
    if isinstance(value, tuple | list | dict) and len(text) > _LONGEST:
        return f"{type(value).__name__} of {len(value):,}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
