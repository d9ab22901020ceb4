"""The file of a study: what is varied, what is wanted, and how to look for it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from xbarc.errors import InputError, visible
from xbarc.explore.figures import Direction, check_names, read_constraints
from xbarc.explore.knobs import FILES, MOST_CHOICES, Knob, read_fixed, read_knobs
from xbarc.options import ChipEffects, Effect, nearest
from xbarc.rows import TableData, render_card
from xbarc.toml import parse_toml

TIED = "tied"
Across = Literal["worst", "mean", "each"]
Sampler = Literal["auto", "grid", "random", "tpe", "nsga2"]

# A study of ten thousand designs takes a few KiB; nothing larger is read into memory.
_LARGEST = 1 << 20
# Designs of a study: what is known of one takes 2.5 KB, so ten million of them more than
# most machines have.
MOST_DESIGNS = 10_000_000
# Between commas; those in quotes or brackets belong to a value.
_PART = re.compile(r"""(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[^,])+""")
_HOURS = {"s": 1 / 3600, "min": 1 / 60, "m": 1 / 60, "h": 1.0, "d": 24.0}


def _read_hours(value: object) -> object:
    """Text such as `90s`, `15min` or `2h` becomes hours."""
    if not isinstance(value, str | bool):
        return value
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|m|h|d)\s*", str(value))
    if found is None:
        raise PydanticCustomError("budget", "expected a time such as 90s, 15min or 2h")
    return float(found[1]) * _HOURS[found[2]]


def _read_count(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not whole and value != "all":
        raise PydanticCustomError("count", "expected a number of samples, 1 or more, or `all`")
    return value


def _check_rungs(images: tuple[int | str, ...]) -> tuple[int | str, ...]:
    if not images:
        raise PydanticCustomError("images", "expected at least one number of samples")
    counts = [count for count in images if isinstance(count, int)]
    rising = counts == sorted(set(counts)) and "all" not in images[:-1]
    if not rising:
        raise PydanticCustomError("images", "expected growing numbers, with `all` last if ever")
    return images


def _check_models(models: tuple[Path, ...]) -> tuple[Path, ...]:
    # Figures of each model are told by its name.
    if len(set(models)) < len(models):
        raise PydanticCustomError("models", "expected every model once")
    return models


_Hours = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Count = Annotated[int | Literal["all"], BeforeValidator(_read_count)]


class Search(BaseModel):
    """How designs are looked for, and on how much data they are judged.

    Attributes:
        sampler: `grid` takes every design, the others propose some; `auto` takes the grid where it
            is small enough, and `tpe` where it is not.
        designs: how many are looked at, at most; None: all of a grid, some hundreds otherwise.
        budget: hours after which no new design is begun; None: no limit.
        images: samples on which designs are judged, rung after rung; `all` for all there are.
        seeds: chips that each design is judged on, with effects.
        effects: as `--effects` of `xbarc check`.
        seed: of everything that is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sampler: Sampler = "auto"
    designs: Annotated[int, Field(ge=1, le=MOST_DESIGNS)] | None = None
    budget: Annotated[_Hours | None, BeforeValidator(_read_hours)] = None
    images: Annotated[tuple[_Count, ...], AfterValidator(_check_rungs)] = (64, 256, 1024, "all")
    seeds: Annotated[int, Field(ge=1, le=10_000)] = 1
    effects: str = ""
    seed: Annotated[int, Field(ge=0)] = 0

    @property
    def kinds(self) -> frozenset[str]:
        """Effects by name.

        Raises:
            InputError: there is no such effect.
        """
        found = ChipEffects.model_validate({"effects": self.effects}).effects
        known = get_args(Effect)
        for name in sorted(found - set(known)):
            hint = f"some of {', '.join(known)}"
            raise InputError(f"no effect '{name[:40]}'", where="search.effects", hint=hint)
        return found


class Study(BaseModel):
    """One question: which design is best at what, under which conditions.

    Attributes:
        models: ONNX files; a design is judged on all of them.
        across: how figures of several models become one.
        data: samples that judge accuracy, with labels for `top1`.
        calibrate: samples that set ranges and converters; never the same as `data`.
        target: the chip that knobs change.
        fixed: options, or fields of the target, that all designs share.
        knobs: what is varied.
        objectives: figures, and whether less or more is better.
        constraints: figures, and what they must be.
        search: how to look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    models: Annotated[tuple[Path, ...], Field(min_length=1), AfterValidator(_check_models)]
    across: Across = "worst"
    data: Path | None = None
    calibrate: Path | None = None
    target: str = "rram128"
    fixed: dict[str, Any] = Field(default_factory=dict)
    knobs: dict[str, Any] = Field(min_length=1)
    objectives: dict[str, Direction] = Field(min_length=1)
    constraints: dict[str, str] = Field(default_factory=dict)
    search: Search = Search()

    def __repr__(self) -> str:
        models = ", ".join(visible(model.name) for model in self.models)
        wanted = ", ".join(f"{way} {name}" for name, way in self.objectives.items())
        return f"<Study of {models} on {visible(self.target)}: {len(self.knobs)} knobs, {wanted}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        knobs = tuple((name, str(values)) for name, values in self.knobs.items())
        goals = tuple(self.objectives.items()) + tuple(self.constraints.items())
        tables = (TableData("", ("knob", "values"), knobs), TableData("", ("goal", ""), goals))
        return render_card(f"Study of {', '.join(m.name for m in self.models)}", (), tables)

    def variables(self) -> tuple[Knob, ...]:
        """The knobs, each with its choices.

        Raises:
            InputError: one of them is wrong; all that are wrong are named.
        """
        listed = {name: values for name, values in self.knobs.items() if name != TIED}
        return read_knobs(listed, self.knobs.get(TIED, ()), self.fixed)

    def settings(self) -> dict[str, Any]:
        """What all designs share, by the names that knobs have."""
        return read_fixed(self.fixed)


def read_study(path: Path) -> Study:
    """Read a study from a TOML file; paths in it are taken from its folder.

    Raises:
        InputError: the file cannot be read, or fields are wrong; all of them are named.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"more than {_LARGEST >> 20} MiB, expected a study", where=str(path))
        data = parse_toml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError("no such file", where=str(path)) from error
    except OSError as error:
        raise InputError(error.strerror or str(error), where=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"no TOML: {error}", where=str(path)) from error
    folder = path.parent
    study = make_study(_place_files(data, folder), where=str(path))
    found: dict[str, Any] = {"models": tuple(folder / model for model in study.models)}
    for name in ("data", "calibrate"):
        place = getattr(study, name)
        found[name] = None if place is None else folder / place
    return study.model_copy(update=found)


def _place_files(value: Any, folder: Path, *, named: bool = False) -> Any:
    """The same, with files taken from a folder; `named`: the setting may name one."""
    if isinstance(value, Mapping):
        return {
            name: _place_files(item, folder, named=name in FILES or (named and name == "value"))
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_place_files(item, folder, named=named) for item in value]
    is_file = named and isinstance(value, str) and value.endswith((".toml", ".npz"))
    return str(folder / value) if is_file else value


def make_study(data: Mapping[str, Any], where: str = "study") -> Study:
    """Check plain data.

    Raises:
        InputError: fields are wrong; all of them are named.
    """
    try:
        study = Study.model_validate(dict(data))
    except ValidationError as error:
        raise InputError("; ".join(_problems(error)), where=where) from None
    # Told now, before anything is read.
    checks: tuple[Callable[[], object], ...] = (
        study.variables,
        lambda: _check_chips(study.search),
        lambda: check_names(study.objectives, "objectives"),
        lambda: read_constraints(study.constraints),
    )
    wrong = [found for check in checks if (found := _error_of(check))]
    if len(wrong) == 1:
        raise wrong[0]
    if wrong:
        raise InputError("; ".join(map(str, wrong)), where=where)
    return study


def _check_chips(search: Search) -> None:
    """Refuse effects that are unknown, and chips without any.

    Raises:
        InputError: there is no such effect, or several chips would all be the same.
    """
    if not search.kinds and search.seeds > 1:
        raise InputError(
            f"{search.seeds} chips without effects are all the same",
            where="search.seeds",
            hint="give effects too, such as variation",
        )


def _error_of(check: Callable[[], object]) -> InputError | None:
    """What a check finds wrong."""
    try:
        check()
    except InputError as error:
        return error
    return None


def _problems(error: ValidationError) -> Iterator[str]:
    """A line a wrong field: where, what was found, what was expected."""
    for found in error.errors(include_url=False):
        *path, last = [str(part) for part in found["loc"]] or ["study"]
        field = ".".join([*path, last])
        if found["type"] == "extra_forbidden":
            known = Search.model_fields if path == ["search"] else Study.model_fields
            near = nearest(last, known)
            yield f"no field '{field[:60]}'" + (f" ({near})" if near else "")
        elif found["type"] == "missing":
            yield f"'{field}' is missing"
        else:
            yield f"{field}: {found['input']!r:.40} found, {_expected(found['msg'])}"


def _expected(message: str) -> str:
    """Pydantic's own words, as part of a sentence."""
    text = message.removeprefix("Input ").removeprefix("should be ")
    return text if text.startswith("expected") else f"expected {text[0].lower()}{text[1:]}"


def vary(texts: Sequence[str]) -> dict[str, Any]:
    """Knobs of a command line, such as `array.rows=64,128,256` or `adc=4..8`.

    Raises:
        InputError: a text is no knob, or two of them are of one name.
    """
    knobs: dict[str, Any] = {}
    for text in texts:
        name, found, values = text.partition("=")
        if not found or not name.strip() or not values.strip():
            raise InputError(
                f"'{text[:40]}', expected NAME=VALUE,VALUE or NAME=FIRST..LAST", where="--vary"
            )
        if name.strip() in knobs:
            raise InputError(
                f"'{name.strip()[:40]}' is there twice",
                where="--vary",
                hint="one --vary with all values, commas between",
            )
        parts = _PART.findall(values)
        knobs[name.strip()] = [item for part in parts for item in _read_values(part)]
    return knobs


def _read_values(text: str) -> list[Any]:
    """One value, or all whole numbers of a range.

    Raises:
        InputError: only one end of a range is a whole number.
    """
    ends = text.split("..")
    # More digits than TOML's 64 bits have are no number of anything.
    whole = [re.fullmatch(r"\s*-?\d{1,18}\s*", end) is not None for end in ends]
    digits = [re.fullmatch(r"\s*-?\d+\s*", end) is not None for end in ends]
    # Neither end is one in a path such as `../chip.toml`.
    if len(ends) == 2 and any(digits) and not all(whole):
        raise InputError(
            f"'{text.strip()[:40]}', expected FIRST..LAST, both whole numbers", where="--vary"
        )
    if len(ends) == 2 and all(whole):
        first, last = int(ends[0]), int(ends[1])
        if abs(last - first) >= MOST_CHOICES:
            text = f"{abs(last - first) + 1:,} values, expected at most {MOST_CHOICES:,}"
            raise InputError(text, where="--vary")
        step = 1 if last >= first else -1
        return list(range(first, last + step, step))
    return [read_value(text.strip())]


def read_value(text: str) -> Any:
    """A number or a truth value as TOML writes it; everything else is text."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
