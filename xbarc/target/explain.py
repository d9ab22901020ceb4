"""What is wrong with a target's data, in words for its author."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from xbarc.target.figure_tree import InUnit
from xbarc.target.model import Target
from xbarc.target.strict import Strict


def explain(error: ValidationError) -> str:
    """Every wrong field with its dotted path, what was found and what is expected."""
    lines = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"]) or "target"
        lines.append(f"{path}: {_problem(item)}")
    count = len(lines)
    return f"{count} wrong field{'s' if count > 1 else ''}: " + " | ".join(lines)


def _problem(item: Mapping[str, Any]) -> str:
    """What is wrong with a field, in words of ours where pydantic's say too little."""
    if item["type"] == "extra_forbidden":
        near = guess([str(part) for part in item["loc"]])
        return f"unknown field{f', {near}' if near else ''}"
    return f"{item['msg'].removeprefix('Value error, ')}{_found(item)}"


def guess(path: list[str]) -> str:
    """The fields that a misspelt one is closest to: its neighbours first, then all others."""
    *parents, last = path
    fields = _field_paths(Target)
    prefix = "".join(f"{parent}." for parent in parents)
    beside = [p.removeprefix(prefix) for p in fields if p.startswith(prefix)]
    near = get_close_matches(last, [name for name in beside if "." not in name])
    # A field in the wrong table is the commonest mistake after a misspelt one: its own name
    # elsewhere comes before names that are merely similar.
    near = [f"{prefix}{name}" for name in near] or [p for p in fields if p.endswith(f".{last}")]
    near = near or get_close_matches(".".join(path), fields)
    return f"perhaps {' or '.join(near)}" if near else ""


def _field_paths(model: type[Strict], prefix: str = "") -> list[str]:
    """Dotted paths of all fields below a model, tables and figures too."""
    found = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name}")
        # Optional tables are unions, and lists of tables are generic types: the model is among
        # their arguments.
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Strict):
                found += _field_paths(kind, f"{prefix}{name}.")
    return found


def _found(item: Mapping[str, Any]) -> str:
    value = item.get("input")
    # A whole table would fill the screen, and pydantic gives the parent's for a field that is
    # missing.
    if item["type"] == "missing" or isinstance(value, (dict, Target)):
        return ""
    return f" (found {value!r})"


def hint(error: ValidationError) -> str:
    """What to do about it."""
    kinds = {item["type"] for item in error.errors()}
    if "extra_forbidden" in kinds:
        return "remove unknown keys; `xbarc targets show rram128` prints a whole target"
    return "`xbarc targets show rram128` prints a whole target"


def unit_of(path: str) -> str | None:
    """The unit of the figure at a dotted path, None where the schema has no such figure."""
    model: type[Strict] = Target
    *parents, last = path.split(".")
    for parent in parents:
        field = model.model_fields.get(parent)
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, Strict)):
            return None
        model = kind
    return field_unit(model.model_fields[last]) if last in model.model_fields else None


def field_unit(field: FieldInfo) -> str | None:
    """The unit that a field checks for; it hangs at the field or at a part of its type."""
    found = [*field.metadata]
    for choice in get_args(field.annotation):
        # For `PicoJoule | None` pydantic leaves the check at the member of the union.
        found += getattr(choice, "__metadata__", ())
    checks = [getattr(item, "func", None) for item in found]
    return next((check.unit for check in checks if isinstance(check, InUnit)), None)
