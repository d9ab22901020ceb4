"""What is varied: knobs with their choices, and designs, which take one choice of each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from typing import Any

from xbarc.errors import InputError
from xbarc.options import CompileOptions, nearest
from xbarc.target import Target

_SET, _VALUE, _FIXED = "set", "value", "fixed"
_RANGE = {"from", "to", "step"}
# A knob with more choices than this is a mistake in `to` or `step`, and would fill memory.
MOST_CHOICES = 100_000
# Of a step: a third is written .3333333333333333, and 2.9999999999999996 thirds reach 1 too.
_ALMOST = Decimal("1e-9")
TARGET = "target"
FILES = (TARGET, "split", "fault_map")
"""Settings that may name a file, which is looked for in the folder of the study."""

Design = tuple[int, ...]
"""The number of the choice taken of each knob."""


@dataclass(frozen=True)
class Choice:
    """One position of a knob.

    Attributes:
        value: what tables and pages show.
        settings: options, and fields of the target with dots in their names, with their values.
    """

    value: Any
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Knob:
    """One thing that is varied.

    Attributes:
        name: an option, a field of the target, or any name where each choice is a table of fields.
        choices: its positions.
    """

    name: str
    choices: tuple[Choice, ...]

    @property
    def ordered(self) -> bool:
        """Whether its values are numbers in rising order."""
        values = [choice.value for choice in self.choices]
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        return numbers and values == sorted(values)


def read_knobs(
    listed: Mapping[str, Any], tied: Sequence[Any], fixed: Mapping[str, Any]
) -> tuple[Knob, ...]:
    """Knobs of a study.

    Args:
        listed: values by the name of a knob: a list, or a table with `from`, `to` and `step`.
        tied: names that always take the same value; one of them is a knob, the others follow.
        fixed: settings of all designs, which no knob may change.

    Raises:
        InputError: knobs are wrong; all of them are named.
    """
    problems: list[str] = []
    knobs: list[Knob] = []
    # `array.rows = [64]` without quotes is a table in a table to TOML.
    listed = dict(_flatten(listed))
    followers = _followers(listed, tied, problems)
    for name, values in listed.items():
        try:
            choices = [_read_choice(name, value) for value in _list_values(name, values)]
            choices = [_tie(name, choice, followers.get(name, ())) for choice in choices]
            _check_choices(name, choices)
        except InputError as error:
            problems.append(str(error).removeprefix("knobs: "))
            continue
        knobs.append(Knob(name, tuple(choices)))
    problems += _find_conflicts(knobs, read_fixed(fixed))
    if problems:
        raise InputError("; ".join(problems), where="knobs")
    return tuple(knobs)


def read_fixed(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of all designs, by the names that knobs have.

    Raises:
        InputError: there is no such option, or a value is none of plain data.
    """
    found: dict[str, Any] = {}
    for name, value in _flatten(fixed):
        plain = check_name(name, _FIXED)
        if plain in found:
            raise InputError(f"'{plain}' is there twice", where="fixed")
        found[plain] = check_value(name, value)
    return found


def _followers(
    listed: Mapping[str, Any], tied: Sequence[Any], problems: list[str]
) -> dict[str, tuple[str, ...]]:
    """Names that follow each knob."""
    found: dict[str, tuple[str, ...]] = {}
    if not isinstance(tied, list | tuple):
        problems.append(f"tied: {tied!r:.40} found, expected a list of lists of names")
        return found
    for group in tied:
        names = [str(name) for name in group] if isinstance(group, list | tuple) else [str(group)]
        leaders = [name for name in names if name in listed]
        if len(leaders) != 1 or len(names) == 1:
            text = f"tied {names}: {len(leaders)} of them have values"
            problems.append(f"{text}, expected one, which the others follow")
            continue
        rest = tuple(name for name in names if name != leaders[0])
        found[leaders[0]] = tuple(dict.fromkeys((*found.get(leaders[0], ()), *rest)))
    return found


def _list_values(name: str, values: Any) -> list[Any]:
    """Values one by one.

    Raises:
        InputError: there are none, or more than anybody wants.
    """
    if isinstance(values, Mapping):
        if not {"from", "to"} <= set(values) <= _RANGE:
            raise InputError("expected a list, or a table with from, to and step", where=name)
        values = _span(name, values["from"], values["to"], values.get("step", 1))
    if not isinstance(values, list | tuple) or not values:
        raise InputError(f"{values!r:.40} found, expected a list of values", where=name)
    return list(values)


def _span(name: str, first: Any, last: Any, step: Any) -> list[Any]:
    """Numbers from the first to the last, both included."""
    for value in (first, last, step):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            # In decimals: whole numbers of Python may be too long for a float.
            or not Decimal(value).is_finite()
        ):
            raise InputError(f"{value!r:.40} found, expected a number", where=name)
    if step <= 0 or last < first:
        raise InputError("expected from <= to, and a step above 0", where=name)
    # As decimals: 0.1 + 2 * 0.1 is 0.30000000000000004 in floating point, and 1e308 / 1e-308 is
    # infinite.
    start, end, by = (
        Decimal(value if isinstance(value, int) else repr(value)) for value in (first, last, step)
    )
    steps = (end - start) / by + _ALMOST
    if steps >= MOST_CHOICES:
        raise InputError(f"{steps + 1:.9g} values, expected at most {MOST_CHOICES}", where=name)
    count = int(steps) + 1
    whole = isinstance(first, int) and isinstance(step, int)
    kind = int if whole else float
    return [kind(start + number * by) for number in range(count)]


def _read_choice(name: str, value: Any) -> Choice:
    """A plain value of the knob's own field, or a table of fields that go together."""
    if not isinstance(value, Mapping):
        return Choice(value, ((check_name(name), check_value(name, value)),))
    extra = set(value) - {_SET, _VALUE}
    fields = value.get(_SET, {})
    if extra or not isinstance(fields, Mapping) or not (fields or _VALUE in value):
        raise InputError(f"{dict(value)!r:.60} found, expected value, set or both", where=name)
    own = ((check_name(name), check_value(name, value[_VALUE])),) if _VALUE in value else ()
    others = tuple(
        (check_name(field), check_value(field, item)) for field, item in _flatten(fields)
    )
    label = value.get(_VALUE)
    if label is None:
        label = ", ".join(f"{field}={item}" for field, item in others)
    return Choice(label, own + others)


def _flatten(fields: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Fields with dotted names, of a table or of tables in a table."""
    for name, value in fields.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and not _is_value(path, value):
            yield from _flatten(value, f"{path}.")
        else:
            yield path, value


def _is_value(name: str, table: Mapping[str, Any]) -> bool:
    """Whether a table is a range, or what an option such as `shapes` takes."""
    return bool(_RANGE & set(table)) or name.replace("-", "_") in CompileOptions.model_fields


def check_value(name: str, value: Any) -> Any:
    """The value, which is what TOML and JSON both can say.

    Raises:
        InputError: it is not.
    """
    inside = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple):
        for item in inside:
            check_value(name, item)
    elif not isinstance(value, bool | int | float | str | None):
        text = f"{value!r:.40} found, expected a number, text, true or false, or a list of them"
        raise InputError(text, where=name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{value} found, expected a finite number", where=name)
    return value


def check_name(name: str, where: str = "knobs") -> str:
    """An option by its Python name, or a field of a target, which `load_target` checks.

    Args:
        name: as it was written.
        where: part of the study, for the message.

    Raises:
        InputError: there is no such option.
    """
    if name == TARGET:
        return name
    if "." in name:
        if re.fullmatch(r"[A-Za-z_][\w]*(\.[\w]+)+", name) is None:
            raise InputError(f"'{name[:40]}' is not a field of a target", where=where)
        return name
    plain = name.replace("-", "_")
    if plain in Target.model_fields and plain not in CompileOptions.model_fields:
        return plain
    if plain not in CompileOptions.model_fields:
        hint = nearest(plain, CompileOptions.model_fields) or "fields of a target have a dot"
        raise InputError(f"no option '{name[:40]}'", where=where, hint=hint)
    return plain


def _tie(knob: str, choice: Choice, names: Sequence[str]) -> Choice:
    """The choice, which other fields follow.

    Raises:
        InputError: it has no value that they could take.
    """
    if not names:
        return choice
    # A knob of which all choices are tables may have any name.
    own = [value for name, value in choice.settings if name in (knob, knob.replace("-", "_"))]
    if not own:
        text = f"{choice.value!s:.40} sets no value, which {', '.join(names)} could follow"
        raise InputError(text, where=knob)
    more = tuple((check_name(name), own[0]) for name in names)
    return Choice(choice.value, choice.settings + more)


def _check_choices(knob: str, choices: Sequence[Choice]) -> None:
    """Refuse a choice that sets a field twice, and one that is there twice.

    Equal designs would count as proved, and one of two values would be lost.

    Raises:
        InputError: there is such a one.
    """
    seen: set[str] = set()
    for choice in choices:
        names = [name for name, _ in choice.settings]
        for name in names:
            if names.count(name) > 1:
                raise InputError(f"{choice.value!s:.40} sets '{name}' twice", where=knob)
        key = repr(sorted(choice.settings, key=lambda item: item[0]))
        if key in seen:
            raise InputError(f"{choice.value!s:.40} is there twice", where=knob)
        seen.add(key)


def _find_conflicts(knobs: Sequence[Knob], fixed: Mapping[str, Any]) -> Iterator[str]:
    """Fields that two knobs change, or a knob and what is fixed."""
    owner = dict.fromkeys(fixed, _FIXED)
    for knob in knobs:
        for field in sorted({name for choice in knob.choices for name, _ in choice.settings}):
            other = owner.setdefault(field, knob.name)
            if other == _FIXED:
                yield f"'{field}' is both fixed and varied"
            elif other != knob.name:
                yield f"'{field}' is changed by {other} and by {knob.name}"


def count_designs(knobs: Sequence[Knob]) -> int:
    """How many designs there are."""
    return math.prod(len(knob.choices) for knob in knobs)


def all_designs(knobs: Sequence[Knob]) -> Iterator[Design]:
    """Every design, the last knob turning fastest."""
    return product(*(range(len(knob.choices)) for knob in knobs))


def settings_of(knobs: Sequence[Knob], design: Design) -> dict[str, Any]:
    """Options and fields of the target that a design sets, by name."""
    return {
        name: value
        for knob, number in zip(knobs, design, strict=True)
        for name, value in knob.choices[number].settings
    }


def values_of(knobs: Sequence[Knob], design: Design) -> dict[str, Any]:
    """What a table shows of a design: the value of each knob."""
    return {
        knob.name: knob.choices[number].value for knob, number in zip(knobs, design, strict=True)
    }
