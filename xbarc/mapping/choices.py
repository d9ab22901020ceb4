"""What a user may choose about levers and about the wiring behind columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from xbarc.errors import MappingError

Lever = Literal["recode", "centre", "deal", "group", "rows"]
EVERY_LEVER: tuple[Lever, ...] = get_args(Lever)
LEVERS: tuple[Lever, ...] = tuple(lever for lever in EVERY_LEVER if lever != "rows")
"""Levers that cost no time: what `all` means."""


def parse_levers(text: str) -> tuple[Lever, ...]:
    """Levers by name: `none`, `all` that cost no time, or names with commas between.

    Raises:
        MappingError: an unknown name.
    """
    if text in ("none", "all"):
        return () if text == "none" else LEVERS
    names = [name.strip() for name in text.split(",")]
    if "all" in names:
        names = [*LEVERS, *(name for name in names if name != "all")]
    wrong = [name for name in names if name not in EVERY_LEVER]
    if wrong:
        known = ", ".join(EVERY_LEVER)
        raise MappingError(
            f"'{wrong[0]}' is not available", where="--levers", hint=f"none, all, or of {known}"
        )
    return tuple(lever for lever in EVERY_LEVER if lever in names)


@dataclass(frozen=True)
class ColumnRule:
    """What the wiring behind the columns allows.

    Attributes:
        common: all row blocks and groups of a layer keep one order, so that the adders behind
            them can be wired straight.
        reach: how many bitlines a column may lie from its natural place; None: any.
        effort: deterministic seconds of the solver for a layer.
    """

    common: bool = False
    reach: int | None = None
    effort: float = 2.0

    @property
    def needs_solver(self) -> bool:
        """Whether sorting is not optimal."""
        return self.common or self.reach is not None


def column_rule(text: str) -> ColumnRule:
    """What the wiring allows: `array`, `layer`, or a number of bitlines.

    Raises:
        MappingError: none of these.
    """
    if text.isdecimal() and len(text) <= 6:
        return ColumnRule(reach=int(text))
    if text not in ("array", "layer"):
        hint = "array, layer, or a number of bitlines"
        raise MappingError(f"'{text[:20]}' is not available", where="--column-order", hint=hint)
    return ColumnRule(common=text == "layer")
