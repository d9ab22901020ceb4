"""What a long search tells before it starts: how long it takes, and what would be quicker."""

from __future__ import annotations

import logging
from math import floor, log10

from xbarc.options import Effort

# A Python program is silent unless it asks for information; the command shows it.
LOG = logging.getLogger("xbarc.estimates")

_WORTH_TELLING = 10.0
"""Seconds below which nobody is told: as long as people wait without asking."""


def tell_search(option: str, seconds: float, effort: Effort, given_up: str) -> None:
    """Tell that a search takes long, in one line; nothing where it does not.

    Args:
        option: that asked for it.
        seconds: about how long it takes.
        effort: how long may be searched.
        given_up: what `--effort low` would cost.
    """
    if seconds < _WORTH_TELLING:
        return
    hint = "" if effort == "low" else f"; --effort low is quicker, and {given_up}"
    LOG.info("%s searches for about %s%s", option, _about(seconds), hint)


def _about(seconds: float) -> str:
    """One digit, for more is not known."""
    for size, name in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{_one_digit(seconds / size):g} {name}"
    return f"{_one_digit(seconds):g} s"


def _one_digit(number: float) -> float:
    return round(number, -floor(log10(number)))
