"""Reference pages that are made from the code: options of the commands, fields of targets.

`conf.py` calls `write_all` at every build, so that no option is documented twice.
"""

import contextlib
import io
import os
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import effects
import file_format
import notebook
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from xbarc.cli import main
from xbarc.options import PANELS, about
from xbarc.options.base import default_text, flags_of, metavar_of
from xbarc.report import Report, target_reference
from xbarc.rows import Row
from xbarc.rows.form import form_of
from xbarc.target import describe, load_target, target_names

COMMANDS = (
    ("compile",),
    ("options",),
    ("train",),
    ("run",),
    ("check",),
    ("compare",),
    ("verify",),
    ("inspect",),
    ("report",),
    ("place",),
    ("print",),
    ("passes",),
    ("explore",),
    ("sweep",),
    ("doctor",),
    ("warm",),
    ("study", "lines"),
    ("targets", "list"),
    ("targets", "show"),
    ("targets", "cost"),
    ("targets", "validate"),
    ("targets", "new"),
)


def write_all(folder: Path) -> None:
    """Write every generated page into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "commands.md", commands())
    _write(folder / "options.md", options())
    _write(folder / "target-fields.md", target_fields())
    _write(folder / "target-list.md", target_list())
    _write(folder / "report-fields.md", report_fields())
    _write(folder / "program-keys.md", file_format.key_tables())
    _write(folder / "program-arrays.md", file_format.array_table())
    _write(folder / "effects-of-all.md", effects.same_for_all())
    _write(folder / "notebook.md", notebook.page())
    for name, text in effects.pictures().items():
        _write(folder / f"encoding-{name}.txt", text)


def _write(path: Path, text: str) -> None:
    """Leave an unchanged page alone, so that Sphinx does not read it again."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def commands() -> str:
    """What `xbarc COMMAND --help-all` prints, a section a command."""
    parts = []
    for command in COMMANDS:
        name = " ".join(command)
        parts.append(f"## xbarc {name}\n\n```text\n{_help(command)}\n```\n")
    return "\n".join(parts)


def _help(command: tuple[str, ...]) -> str:
    out = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "92"  # the same width on every machine
    try:
        with contextlib.redirect_stdout(out):
            main([*command, "--help-all"])
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())


def options() -> str:
    """Options of a compilation, a table for each model that defines them."""
    parts = []
    for panel in PANELS:
        title = (panel.__doc__ or "").splitlines()[0]
        parts += ["", f"## [{panel.table}]", "", title, ""]
        parts += ["| option | values | default | meaning |", "|---|---|---|---|"]
        parts += [_option_line(name, field) for name, field in panel.model_fields.items()]
    return "\n".join(parts) + "\n"


def _option_line(name: str, field: FieldInfo) -> str:
    flag = " or ".join(f"`{flag}`" for flag in flags_of(name, field)[0].split("/"))
    values = metavar_of(field).replace("|", "\\|") or "true, false"
    default = default_text(field) or "`none`"
    meaning = about(field).help.replace("|", "\\|")
    return f"| `{name}`, {flag} | {values} | {default} | {meaning} |"


def target_fields() -> str:
    """Fields of a target, from its pydantic models."""
    return target_reference()


def target_list() -> str:
    """The shipped targets, a row each."""
    lines = [
        "| name | kind | array | cell | converter | description |",
        "|---|---|---|---|---|---|",
    ]
    for name in target_names():
        t = load_target(name)
        adc = "1-bit sense amplifier" if t.adc.kind != "sar" else f"up to {t.adc.max_bits} bits"
        shared = "1 column" if t.adc.columns_per_adc == 1 else f"{t.adc.columns_per_adc} columns"
        lines.append(
            f"| `{t.name}` | {t.kind} | {t.array.rows} x {t.array.columns} "
            f"| {t.cell.bits} bit, {t.cell.technology} "
            f"| {adc}, {shared} each | {describe(t)} |"
        )
    return "\n".join(lines) + "\n"


def report_fields() -> str:
    """Fields of `report.json`: its models, and the facts of its rows."""
    parts = []
    for kind in _report_parts():
        first = (kind.__doc__ or "").strip().splitlines()[0]
        parts += ["", f"### {_title(kind)}", "", first, ""]
        parts += ["| field | type | meaning |", "|---|---|---|"]
        parts += [_field_line(key, field) for key, field in _fields(kind).items()]
    return "\n".join(parts) + "\n"


def _report_parts() -> list[type]:
    """The report and what it is made of, each part behind the one that first names it."""
    found: list[type] = []
    waiting: list[type] = [Report]
    while waiting:
        kind = waiting.pop(0)
        if kind in found:
            continue
        found.append(kind)
        own = [part for each in _fields(kind).values() for part in _parts(each.annotation)]
        waiting = own + waiting
    return found


def _fields(kind: type) -> dict[str, FieldInfo]:
    model: type[BaseModel] = form_of(kind) if issubclass(kind, Row) else kind
    return model.model_fields


def _parts(hint: Any) -> list[type]:
    if isinstance(hint, type) and issubclass(hint, (Row, BaseModel)):
        return [hint]
    return [kind for part in get_args(hint) for kind in _parts(part)]


def _title(kind: type) -> str:
    return kind.form if issubclass(kind, Row) else kind.__name__


def _field_line(name: str, field: FieldInfo) -> str:
    """A row of a table."""
    text = (field.description or "").replace("|", "\\|")
    return f"| `{name}` | {_type(field.annotation)} | {text} |"


def _type(hint: Any) -> str:
    """A type of the report for people."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type(parts[0])
    if origin is Literal:
        return ", ".join(map(repr, parts))
    if origin in (Union, UnionType):
        words = " or ".join(_type(part) for part in parts if part is not NoneType)
        return f"{words}, may be null" if NoneType in parts else words
    if origin is dict:
        return f"{_type(parts[1])} by {_type(parts[0])}"
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    return _WORDS.get(hint) or _title(hint)


_WORDS = {int: "integer", float: "number", str: "text", bool: "boolean"}
