"""TOML from outside: whatever is wrong with a text is one kind of error."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

# Readers of tables call themselves for each level, and Python allows a thousand calls. A target
# has six levels, a study and a file of options have four.
_DEEPEST = 100

# What TOML promises: 64 bits with a sign. Python reads longer ones, which no float64 holds.
_LONGEST = 1 << 63


def parse_toml(text: str) -> dict[str, Any]:
    """The tables of a text.

    Raises:
        tomllib.TOMLDecodeError: it is no TOML, is nested more than a hundred levels deep, or holds
            a whole number of more than 64 bits.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise tomllib.TOMLDecodeError("nested too deeply") from error
    except ValueError as error:  # more digits than Python turns into a number
        raise tomllib.TOMLDecodeError(str(error)) from error
    _check_values(found)
    return found


def _check_values(tables: Mapping[str, Any]) -> None:
    # Not by a function that calls itself: dotted keys nest without end, and no parser stops them.
    level: list[Any] = [tables]
    for _ in range(_DEEPEST):
        inside: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                inside += value.values()
            elif isinstance(value, list):
                inside += value
            elif isinstance(value, int) and not -_LONGEST <= value < _LONGEST:
                raise tomllib.TOMLDecodeError("a whole number of more than 64 bits")
        if not inside:
            return
        level = inside
    raise tomllib.TOMLDecodeError("nested too deeply")
