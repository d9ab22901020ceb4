"""Figures that objectives and constraints name: totals of the report, and what samples say."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from xbarc.cost import ProgramCost
from xbarc.errors import InputError
from xbarc.ir import Program
from xbarc.options import nearest
from xbarc.report import Subject, Totals, totals_row
from xbarc.rows import (
    Decibel,
    Nanosecond,
    Picojoule,
    SquareMicrometre,
    facts_of,
    unit_in,
)

Direction = Literal["min", "max"]
"""Whether less of a figure is better, or more."""

JUDGED = {
    "top1": "share of samples whose class is the label, 0 to 1",
    "agreement": "share of samples whose class is the float model's, 0 to 1",
    "sqnr_db": "signal to error of the outputs against the float model's, dB; inf: no error",
}
"""Figures that samples give, with their meaning; more of each is better."""

SHARES = frozenset({"top1", "agreement"})
"""Those that tables write as per cent."""

# In which totals and figures of samples are told; the name of one ends with it.
_UNITS = tuple(
    found.shown
    for kind in (Picojoule, SquareMicrometre, Nanosecond, Decibel)
    if (found := unit_in(kind)) is not None
)
_RULES: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_RULE = re.compile(r"\s*(>=|<=|==|>|<)\s*(float\s*([+-])\s*)?([0-9.eE+-]+)\s*")


def counted_figures() -> dict[str, str]:
    """Totals of the report by name, with their meaning."""
    # `unknown` says why a total is null, and is none itself.
    return {one.name: one.fact.meaning for one in facts_of(Totals) if one.name != "unknown"}


def known_figures() -> dict[str, str]:
    """Every figure by name, with its meaning."""
    return {**counted_figures(), **JUDGED}


def title_and_unit(name: str) -> tuple[str, str]:
    """What a figure is called, and its unit, which may be empty."""
    for unit in _UNITS:
        if name.endswith(f"_{unit.lower()}"):
            return name.removesuffix(f"_{unit.lower()}").replace("_", " "), unit
    return name.replace("_", " "), ""


def heading(name: str) -> str:
    """A figure with its unit, as tables write it."""
    return " ".join(title_and_unit(name)).strip()


def figure_text(name: str, value: float | None) -> str:
    """A figure for people; shares as per cent."""
    if value is None:
        return "-"
    if math.isinf(value):
        return "exact" if name == "sqnr_db" else str(value)
    return f"{100 * value:.2f} %" if name in SHARES else f"{value:.5g}"


def totals_of(
    program: Program, cost: ProgramCost
) -> tuple[dict[str, float | None], dict[str, str]]:
    """The totals of a program, and why some are not known."""
    row = totals_row(Subject(program, cost))
    totals = {
        name: None if value is None else float(value)
        for name in counted_figures()
        for value in [getattr(row, name)]
    }
    return totals, dict(row.unknown)


@dataclass(frozen=True)
class Constraint:
    """What a figure must be.

    Attributes:
        figure: its name.
        rule: one of `>=`, `<=`, `>`, `<`, `==`.
        bound: the number on the right; above or below the float model's where `relative`.
    """

    figure: str
    rule: str
    bound: float
    relative: bool
    text: str

    def limit(self, reference: float | None) -> float:
        """The number that the figure is compared with."""
        return self.bound + (reference or 0.0) if self.relative else self.bound

    def holds(self, value: float | None, reference: float | None) -> bool:
        """Whether a design meets it; an unknown figure meets nothing."""
        if value is None or (self.relative and reference is None):
            return False
        return _RULES[self.rule](value, self.limit(reference))


def read_constraints(texts: Mapping[str, str]) -> tuple[Constraint, ...]:
    """Read constraints such as `<= 500` and `>= float - 0.005`.

    Raises:
        InputError: a figure is unknown, or a text is no rule.
    """
    check_names(texts, "constraints")
    found = []
    for name, text in texts.items():
        match = _RULE.fullmatch(text)
        number = _number(match[4]) if match else None
        if match is None or number is None:
            raise InputError(
                f"{name} = '{text[:40]}', expected a rule such as '<= 500' or '>= float - 0.005'",
                where="constraints",
            )
        relative = match[2] is not None
        # Nor has the float model a signal to error: it is against itself.
        if relative and name not in SHARES:
            raise InputError(
                f"{name} of the float model is not known",
                where="constraints",
                hint=f"a number; {' and '.join(sorted(SHARES))} may be compared with it",
            )
        sign = -1.0 if match[3] == "-" else 1.0
        found.append(Constraint(name, match[1], sign * number, relative, text.strip()))
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse unknown figures.

    Raises:
        InputError: all of them are named.
    """
    known = known_figures()
    unknown = []
    for name in names:
        if name not in known:
            near = nearest(name, known)
            unknown.append(f"no figure '{name[:40]}'" + (f" ({near})" if near else ""))
    if unknown:
        hint = f"one of {', '.join(JUDGED)}, or a total of the report such as energy_uj, area_mm2"
        raise InputError("; ".join(unknown), where=where, hint=hint)


def signed(direction: Direction, value: float) -> float:
    """A figure of which less is better."""
    return value if direction == "min" else -value
