"""A new target file upon another: the differences only, ready to be edited."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

from xbarc.errors import TargetError
from xbarc.target.description import describe
from xbarc.target.figure_tree import FigureList
from xbarc.target.files import find, target_names
from xbarc.target.load import load_target
from xbarc.target.model import NAME, Target
from xbarc.toml import parse_toml

_SHOWN = (
    "array.rows",
    "array.columns",
    "array.active_rows",
    "cell.bits",
    # Whoever changes the bits must give as many conductances as there are levels then.
    "cell.conductance",
    "input.dac_bits",
    "adc.max_bits",
    "adc.columns_per_adc",
)
_PRICED = "costs.cycle"


def new_target(name: str, base: str, path: Path, settings: Iterable[str] = ()) -> str:
    """The text of a target file that differs from another one.

    Args:
        name: of the new target.
        base: name or path of the other one.
        path: where the text is to lie; a path in `base` is written relative to it.
        settings: `key.path=value`, what differs.

    Raises:
        TargetError: the name is taken, the base is not there, or a setting is wrong.
    """
    if not re.fullmatch(NAME, name):
        raise TargetError("names are letters, digits, '.', '_' and '-', 64 at most", where=name)
    # Names of shipped targets are looked up first, so a file of that name could never be reached by
    # it.
    if name in target_names():
        raise TargetError("a target that comes with xbarc has this name", where=name)
    chosen = list(settings)
    # With the settings, so that a wrong one is refused here and not when the new file is first
    # read.
    other = load_target(base, chosen)
    named = base if base in target_names() else _relative(find(base), path)
    lines = [
        f"# {describe(load_target(base))}.",
        f"# This file holds what differs; `xbarc targets show {base}` prints all fields.",
        "# A figure that you change is assumed, unless you say where it comes from:",
        f"#   {_PRICED} = 50.0",
        f'#   {_PRICED} = {{ value = 50.0, source = "mychip", via = "direct", confirmed = true }}',
        '#   sources.mychip = { kind = "manual", cite = "Data sheet of my chip, 2026" }',
        "# Figures that you leave alone are carried to your array by their laws.",
        "format = 1",
        f"name = {json.dumps(name)}",
        f"base = {json.dumps(named)}",
        "",
        *(_write_setting(text) for text in chosen),
        # Commented out: a field that the file states stays as it is when the base changes.
        *(f"# {key} = {_value(other, key)}" for key in _SHOWN if key not in _keys(chosen)),
    ]
    return "\n".join(lines) + "\n"


def _keys(settings: list[str]) -> set[str]:
    return {text.partition("=")[0].strip() for text in settings}


def _relative(base: Path, path: Path) -> str:
    """The path of one file as the other one names it."""
    return Path(os.path.relpath(base.resolve(), path.resolve().parent)).as_posix()


def _write_setting(text: str) -> str:
    """A setting of the command line as TOML; what is no TOML there is text."""
    key, _, value = (part.strip() for part in text.partition("="))
    try:
        # The same reading as `--set`: `sar` becomes the text "sar", and 0.5 stays a number.
        parse_toml(f"value = {value}")
    except tomllib.TOMLDecodeError:
        value = _text(value)
    return f"{key} = {value}"


def _text(value: str) -> str:
    try:
        return repr(float(value))
    except ValueError:
        return json.dumps(value)


def _value(target: Target, path: str) -> str:
    part: object = target
    for name in path.split("."):
        part = getattr(part, name)
    return str(list(part.values) if isinstance(part, FigureList) else part)
