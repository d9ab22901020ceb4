"""Looking operators up; of one that is not in the table, nothing is known."""

from __future__ import annotations

from xbarc.operators.record import Operator
from xbarc.operators.table import ROWS

OPERATORS: dict[str, Operator] = {row.name: row for row in ROWS}
"""Every row, by name."""

_STANDARD = ("", "ai.onnx")


def find_by_name(name: str) -> Operator:
    """An operator by its name alone, whatever its domain."""
    return OPERATORS.get(name) or Operator(name)


def find(domain: str, name: str) -> Operator:
    """The operator that a node means."""
    found = find_by_name(name)
    home = "" if domain in _STANDARD else domain
    return found if home in found.domains else Operator(name)
