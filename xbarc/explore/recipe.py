"""From the settings of a design to what the compiler takes, and to a command for the same."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from xbarc.errors import InputError
from xbarc.explore.digests import method_digest
from xbarc.explore.knobs import TARGET
from xbarc.explore.study import read_value
from xbarc.options import CompileOptions, about, flags_of
from xbarc.target import Target, load_target


@dataclass(frozen=True)
class Recipe:
    """How one program is compiled.

    Attributes:
        model: the ONNX file.
        calibrate: samples that set ranges; None: ranges are taken at run time.
        target: a shipped name, or the path of a file.
        overrides: `key.path=value`, as `--set` takes them, sorted.
        options: of `xbarc.compile`, by name, sorted.
    """

    model: Path
    calibrate: Path | None
    target: str
    overrides: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]

    def load_target(self) -> Target:
        """The chip.

        Raises:
            TargetError: there is none, or a field is wrong.
        """
        return _load_target(self.target, self.overrides)

    def compile_options(self) -> CompileOptions:
        """The options, checked.

        Raises:
            XbarcError: an option is wrong, or options do not go together.
        """
        given = dict(self.options)
        for name, value in given.items():
            # One text where the command may have several of them.
            if isinstance(value, str) and about(CompileOptions.model_fields[name]).repeated:
                given[name] = [value]
        return CompileOptions(**given)

    def methods(self) -> tuple[str, ...]:
        """The source of every method of another package that an option names, as a digest."""
        found = (
            method_digest(value)
            for name, value in self.options
            if isinstance(value, str) and about(CompileOptions.model_fields[name]).imports
        )
        return tuple(digest for digest in found if digest)

    def command(self) -> str:
        """What to type for this program."""
        words = ["xbarc", "compile", str(self.model), "--target", self.target]
        for text in self.overrides:
            words += ["--set", text]
        for name, value in self.options:
            words += _flag_words(name, value)
        if self.calibrate is not None:
            words += ["--calibrate", str(self.calibrate)]
        return shlex.join(words)


def make_recipe(
    model: Path, calibrate: Path | None, target: str, settings: Mapping[str, Any]
) -> Recipe:
    """Sort settings into those of the target and those of the compiler."""
    overrides, options = [], []
    for name, value in settings.items():
        if name == TARGET:
            target = str(value)
        elif name not in CompileOptions.model_fields:
            overrides.append(f"{name}={_toml_value(value)}")
        else:
            options.append((name, value))
    return Recipe(model, calibrate, target, tuple(sorted(overrides)), tuple(sorted(options)))


# A study turns a few dozen fields, and a target is small.
@lru_cache(maxsize=256)
def _load_target(name: str, overrides: tuple[str, ...]) -> Target:
    return load_target(name, overrides)


def forget_targets() -> None:
    """Read files of targets anew."""
    _load_target.cache_clear()


def _toml_value(value: Any) -> str:
    """A value as `--set` reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str):
        # Bare where it stays a text: `true` and `inf` would not, nor do quotes and backslashes.
        bare = value.isidentifier() and read_value(value) == value
        return value if bare else json.dumps(value, ensure_ascii=False)
    if isinstance(value, int | float):
        return repr(value)
    raise InputError(f"{value!r:.40} is not a value of a field", where="knobs")


def _flag_words(name: str, value: Any) -> list[str]:
    """An option as it is typed; none where the target's own was asked for."""
    field = CompileOptions.model_fields[name]
    flags, repeated = flags_of(name, field), about(field).repeated
    if value is None:
        return []
    if isinstance(value, bool):
        # A switch is spelt `--on/--off` in one text.
        on, _, off = flags[0].partition("/")
        return [on if value else off]
    if isinstance(value, Mapping):
        value = [f"{key}={_joined(item)}" for key, item in value.items()]
    if repeated:
        texts = value if isinstance(value, list | tuple) else [value]
        return [word for text in texts for word in (flags[0], str(text))]
    return [flags[0], _joined(value)]


def _joined(value: Any) -> str:
    """A list with commas; anything else as it is."""
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
