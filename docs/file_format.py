"""The tables of the file format, from the schema of `program.json` and the table of arrays."""

import dataclasses
import inspect
import re
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from xbarc.ir.files.arrays import FORMS
from xbarc.ir.files.schema import ProgramRecord
from xbarc.rows import Row
from xbarc.rows.facts import all_facts
from xbarc.target import Target


def key_tables() -> str:
    """Every key of `program.json`, a section a record, in the order in which they are met."""
    return "\n".join(_record_table(kind) for kind in records())


def array_table() -> str:
    """Every array of `cells.safetensors`."""
    lines = ["| name | axes | numbers | meaning |", "|---|---|---|---|"]
    for name, form in FORMS.items():
        when = f". Only {form.optional}" if form.optional else ""
        axes = ", ".join(form.axes)
        lines.append(f"| `{name}` | {axes} | {form.kind} | {form.meaning}{when} |")
    return "\n".join(lines) + "\n"


def records() -> list[type]:
    """Classes that `program.json` is made of; the target has a page of its own."""
    found: list[type] = []
    waiting: list[type] = [ProgramRecord]
    while waiting:
        kind = waiting.pop(0)
        if kind in found or kind is Target:
            continue
        found.append(kind)
        waiting += [part for hint in _hints(kind).values() for part in _classes(hint)]
    return found


def meanings(kind: type) -> dict[str, str]:
    """What each key of a record means; the empty text where nobody said."""
    if issubclass(kind, BaseModel):
        return {name: field.description or "" for name, field in kind.model_fields.items()}
    if issubclass(kind, Row):
        return {entry.field: entry.kept_meaning for entry in all_facts(kind)}
    told = attributes_of(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return {name: told.get(name, _KIND if name == "kind" else "") for name in names}


_KIND = "tells this record from the others that may stand in its place"


def attributes_of(kind: type) -> dict[str, str]:
    """The `Attributes` of a class's docstring; one line may name several, parted by commas."""
    text = inspect.getdoc(kind) or ""
    _, _, block = text.partition("Attributes:\n")
    told: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \S)", "\n" + block):
        match = re.match(r"\s*([\w, ]+): (.*)", entry, re.DOTALL)
        if match is None:
            continue
        meaning = " ".join(match[2].split()).rstrip(".")
        told |= {name.strip(): meaning for name in match[1].split(",")}
    return told


def _record_table(kind: type) -> str:
    first = (inspect.getdoc(kind) or "").partition("\n")[0]
    lines = ["", f"### {_title(kind)}", "", first, "", "| key | type | meaning |", "|---|---|---|"]
    for name, hint in _hints(kind).items():
        meaning = meanings(kind)[name].replace("|", "\\|")
        lines.append(f"| `{name}` | {_type(hint)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _title(kind: type) -> str:
    return kind.__name__.removesuffix("Record") or kind.__name__


def _hints(kind: type) -> dict[str, Any]:
    if issubclass(kind, BaseModel):
        return {name: field.annotation for name, field in kind.model_fields.items()}
    hints = inspect.get_annotations(kind, eval_str=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _classes(hint: Any) -> list[type]:
    if isinstance(hint, type) and (issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint)):
        return [hint]
    return [kind for part in get_args(hint) for kind in _classes(part)]


def _type(hint: Any) -> str:
    """A type for people; records are named as their sections are."""
    if hint in _WORDS:
        return _WORDS[hint]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is None:
        return _title(hint)
    if origin is Literal:
        return ", ".join(f"`{part}`" for part in parts)
    return _compound(origin, parts)


def _compound(origin: Any, parts: tuple[Any, ...]) -> str:
    if origin is Annotated:
        return _type(parts[0])
    if origin is dict:
        return f"{_type(parts[1])} by {_type(parts[0])}"
    if origin in (Union, UnionType):
        words = " or ".join(_type(part) for part in parts if part is not NoneType)
        return f"{words}; may be null" if NoneType in parts else words
    if origin is tuple and parts[-1] is not Ellipsis:
        return f"pair of {' and '.join(_type(part) for part in parts)}"
    return f"list of {_type(parts[0])}"


_WORDS: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "boolean",
    NoneType: "null",
}
