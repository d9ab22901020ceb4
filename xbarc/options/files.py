"""Options in a TOML file: a table for each group of options, and the file with all defaults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from pydantic.fields import FieldInfo

from xbarc.errors import InputError, XbarcError
from xbarc.options.base import (
    Options,
    about,
    choices_of,
    default_text,
    flags_of,
    join_problems,
    nearest,
    unknown_option,
)
from xbarc.options.compiling import PANELS, CompileOptions
from xbarc.plugins import is_import_path
from xbarc.toml import parse_toml

# A file with every option and its help is a few KiB; nothing larger is read into memory.
_LARGEST = 1 << 20
_HEAD = """\
# Options of xbarc compile, with their defaults. Keep the lines that you change, and give the file
# with --options FILE. Options of the command line win over those of a file.
"""


def read_options(path: Path) -> dict[str, Any]:
    """Options of a TOML file, by name; paths in it are taken from the folder of the file.

    Raises:
        InputError: the file cannot be read, or options in it are wrong; all of them are named.
    """
    tables = _read_toml(path)
    problems: list[XbarcError] = []
    values: dict[str, Any] = {}
    for name, table in tables.items():
        panel = next((panel for panel in PANELS if panel.table == name), None)
        if panel is None or not isinstance(table, dict):
            problems.append(_unknown_table(name))
            continue
        # Wrong keys are taken out first, so that the model checks the rest, and one run names every
        # mistake in the file.
        given = _current_names(panel, table, problems)
        good = {key: value for key, value in given.items() if key in panel.model_fields}
        problems += [_misplaced_error(name, key) for key in given if key not in good]
        problems += _imports(panel, good)
        try:
            checked = panel(**good)
        except XbarcError as error:
            # Several come wrapped in one error; they join those of other tables as equals.
            problems += getattr(error, "problems", ()) or [error]
        else:
            # Only what the file states: defaults must not win over the command line's, or over the
            # target's.
            values |= {key: getattr(checked, key) for key in good}
    if problems:
        raise join_problems(problems, where=str(path))
    return {key: _from_folder(value, path.parent) for key, value in values.items()}


def _current_names(
    panel: type[Options], table: dict[str, Any], problems: list[XbarcError]
) -> dict[str, Any]:
    """Options by their present names; what is given twice joins the problems."""
    try:
        return panel.rename(table)
    except InputError as error:
        problems.append(error)
        return {}


def _read_toml(path: Path) -> dict[str, Any]:
    where, hint = str(path), "xbarc options prints such a file"
    try:
        # Asked before reading, as with every file from outside.
        if path.stat().st_size > _LARGEST:
            raise InputError(f"is larger than {_LARGEST} bytes", where=where, hint=hint)
        return parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", where=where, hint=hint) from error
    except (OSError, ValueError) as error:  # ValueError: wrong TOML, and wrong UTF-8
        raise InputError(f"cannot be read as TOML: {error}", where=where, hint=hint) from error


def _from_folder(value: Any, folder: Path) -> Any:
    # As compilers read the paths of a project file: the folder can be moved with its data.
    return folder / value if isinstance(value, Path) else value


def _imports(panel: type[Options], values: dict[str, Any]) -> list[XbarcError]:
    """A file that came from elsewhere must not choose which code is imported."""
    fields = panel.model_fields
    return [
        InputError(
            f"{name} = '{value}' names code, which only the command line may",
            hint=f"{flags_of(name, fields[name])[0]} {value}",
        )
        for name, value in values.items()
        # A file of options may come with a model from somewhere; reading it must not import a
        # module that it names.
        if about(fields[name]).imports and isinstance(value, str) and is_import_path(value)
    ]


def _unknown_table(name: str) -> InputError:
    known = [panel.table for panel in PANELS]
    if name in CompileOptions.model_fields:
        return InputError(f"'{name}' stands in no table", hint=f"it belongs in {_home(name)}")
    hint = nearest(name, known) or f"one of {', '.join(known)}"
    return InputError(f"no table [{name[:40]}]", hint=hint)


def _misplaced_error(table: str, name: str) -> InputError:
    if name in CompileOptions.model_fields:
        return InputError(
            f"'{name}' is not an option of [{table}]", hint=f"it belongs in {_home(name)}"
        )
    error = unknown_option(name, CompileOptions.model_fields)
    return InputError(f"[{table}] {error.message}", hint=error.hint)


def _home(name: str) -> str:
    return next(f"[{panel.table}]" for panel in PANELS if name in panel.model_fields)


def options_text() -> str:
    """Every option with its help and its default, as a file of options."""
    parts = [_HEAD]
    for panel in PANELS:
        lines = [f"[{panel.table}]  # {_title(panel)}"]
        for name, field in panel.model_fields.items():
            lines += ["", *_comments(name, field), _assignment(name, field)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _title(panel: type[Options]) -> str:
    return (panel.__doc__ or "").splitlines()[0].removesuffix(".")


def _comments(name: str, field: FieldInfo) -> Iterator[str]:
    said, choices = about(field), choices_of(field)
    text = f"{said.help[0].upper()}{said.help[1:]}."
    if choices:
        text += f" One of {', '.join(choices)}."
    if field.default is None:
        text += f" Default: {default_text(field)}."
    for line in wrap(text, 96):
        yield f"# {line}"
    yield f"# On the command line: {flags_of(name, field)[0]}"


def _assignment(name: str, field: FieldInfo) -> str:
    if field.default is None:
        # TOML has no null: a line that is commented out shows what could stand there.
        return f"# {name} = {_toml(about(field).example)}"
    return f"{name} = {_toml(field.default)}"


def _toml(value: Any) -> str:
    # Before numbers, of which bool is one in Python.
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple | frozenset):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return "{}" if value == {} else f'"{value}"'
