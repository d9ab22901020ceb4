"""An option: one field of a frozen model, which says everything there is to say about it.

Type, default, bounds and help stand at the field. The command line, the keywords of
`xbarc.compile`, the TOML file, the settings in a program and the reference page all read them here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, Self, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from xbarc.errors import InputError, MappingError, XbarcError

_EXPECTED = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}


@dataclass(frozen=True)
class Option:
    """What an option says about itself beside its type and its default.

    Attributes:
        help: what it does, in one sentence without a full stop.
        metavar: what to write behind it; empty: the choices, or N for a number.
        flags: how the command spells it; empty: its name with dashes.
        unit: what a number counts, for messages.
        bounds: least and most value of a number; None: no bound.
        unset: what happens where the value is None, which is the default then.
        example: a value for a file of options, where the default is None.
        setting: the key under which a program says what was chosen; empty: it does not.
        words: what a program says of False and of True.
        repeated: whether the command takes it several times.
        imports: whether `package:Name` brings a method from elsewhere; files may not say that.
        formerly: names of the last release, which are still taken, with a warning.
        brief: what `--help` says of an everyday option, in under 50 letters; empty: only
            `--help-all` lists it, unless its model has no table.
        advanced: whether only `--help-all` lists it, though its model has no table.
        brief_metavar: what `--help` writes behind it; empty: as `metavar`.
    """

    help: str
    metavar: str = ""
    flags: tuple[str, ...] = ()
    unit: str = ""
    bounds: tuple[float | None, float | None] = (None, None)
    unset: str = ""
    example: object = None
    setting: str = ""
    words: tuple[str, str] = ("no", "yes")
    repeated: bool = False
    imports: bool = False
    formerly: tuple[str, ...] = ()
    brief: str = ""
    brief_metavar: str = ""
    advanced: bool = False


class RenamedWarning(FutureWarning):
    """An option was given by a name that the next release drops."""


def warn_renamed(old: str, new: str) -> None:
    """Tell the user that a name goes away."""
    # FutureWarning and not DeprecationWarning: Python hides the latter from users of a package.
    warnings.warn(f"{old} is now {new}; the next release drops the old name", RenamedWarning, 3)


def option(default: Any, about: str, **facts: Any) -> Any:
    """A field that is an option; `facts` are attributes of `Option`.

    Raises:
        TypeError: an unknown fact.
    """
    said = Option(about, **facts)
    least, most = said.bounds
    made = Field(default, ge=least, le=most, description=about)
    # Beside the bounds, in pydantic's own list: what reads the model field by field finds all there
    # is in one place, and no table of options exists that could fall behind.
    made.metadata.append(said)
    return made


def reads(parse: Callable[..., object]) -> BeforeValidator:
    """Lets a field take what `parse` reads; other values reach the field as they are.

    Args:
        parse: gives the value, or raises an `XbarcError` that says what is wrong with it.
    """

    def convert(value: object) -> object:
        try:
            return parse(value)
        except XbarcError as error:
            # A plain error would end the check at the first wrong option.
            raise PydanticCustomError("option", "wrong", {"error": error}) from error

    return BeforeValidator(convert)


class Options(BaseModel):
    """Options that belong together; a wrong one is told with its flag, all of them at once.

    Attributes:
        table: their table in a file of options; empty where a command alone has them.
        panel: the heading above them in the help of a command.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
    )
    table: ClassVar[str] = ""
    panel: ClassVar[str] = "Options"

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, Mapping):  # numbers of numpy become numbers
            data = cls.rename({name: _plain(value) for name, value in data.items()})
        try:
            return handler(data)
        except ValidationError as error:
            # `from None`: pydantic's text names classes and links that mean nothing to who wrote a
            # flag.
            raise join_problems(list(_problems(cls, error))) from None

    @classmethod
    def rename(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Options by their present names; warns of former ones.

        Raises:
            InputError: one option is given by both names.
        """
        found = dict(given)
        for name, field in cls.model_fields.items():
            for old in about(field).formerly:
                if old not in found:
                    continue
                if name in found:
                    raise InputError(f"'{old}' and '{name}' are one option", hint=f"keep {name}")
                warn_renamed(old, name)
                found[name] = found.pop(old)
        return found

    def changed(self, **updates: Any) -> Self:
        """The same with other values, checked anew; what was not given stays not given."""
        # Through the constructor and not `model_copy`, which checks nothing. Defaults are left out,
        # so that `None: the target's` can still be told from a value that somebody gave.
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**{**given, **updates})

    def program_settings(self) -> dict[str, str]:
        """What a program says of these options, by key."""
        found = {}
        for name, field in type(self).model_fields.items():
            said = about(field)
            if said.setting:
                found[said.setting] = _setting_text(getattr(self, name), said)
        return found


def _plain(value: Any) -> Any:
    # By its shape, without numpy, which `xbarc --help` must not load; strict fields would refuse
    # np.int64(4).
    return value.item() if getattr(value, "shape", None) == () else value


def _setting_text(value: Any, said: Option) -> str:
    if value is None:
        return said.unset
    if isinstance(value, bool):
        return said.words[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def about(field: FieldInfo) -> Option:
    """What a field says about itself."""
    return next(item for item in field.metadata if isinstance(item, Option))


def flags_of(name: str, field: FieldInfo) -> tuple[str, ...]:
    """How the command spells an option."""
    plain = name.replace("_", "-")
    both = f"--{plain}/--no-{plain}" if kind_of(field) is bool else f"--{plain}"
    return about(field).flags or (both,)


def flag_of(name: str, field: FieldInfo) -> str:
    """The first spelling, for messages."""
    return flags_of(name, field)[0].partition("/")[0]


def choices_of(field: FieldInfo) -> tuple[str, ...]:
    """The names that an option takes; none where it takes something else."""
    kinds = _members(field.annotation)
    return tuple(name for kind in kinds if get_origin(kind) is Literal for name in get_args(kind))


def kind_of(field: FieldInfo) -> type[int | float | bool | str]:
    """The plain type that the command reads: a number, a switch, or text."""
    # A type that an option is read into (a budget, a rule) starts as text on the command line, and
    # so do choices.
    plain = [kind for kind in _members(field.annotation) if kind in (bool, int, float)]
    return plain[0] if plain else str


def metavar_of(field: FieldInfo) -> str:
    """What to write behind an option."""
    number = "N" if kind_of(field) in (int, float) else ""
    return about(field).metavar or "|".join(choices_of(field)) or number


def default_text(field: FieldInfo) -> str:
    """The default for people."""
    if field.default is None or about(field).unset:
        return about(field).unset
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)


def _members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names what was probably meant; empty where nothing is near."""
    # Below difflib's 0.6: people shorten names, and a wrong guess costs no more than a hint.
    close = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {close[0]}?" if close else ""


def unknown_option(name: str, known: Mapping[str, object]) -> InputError:
    """Says that there is no such option, and which one is near."""
    hint = nearest(name.replace("-", "_"), known) or "xbarc options prints all of them"
    return InputError(f"no option '{name[:40]}'", hint=hint)


class WrongOptionsError(InputError):
    """Several options are wrong.

    Attributes:
        problems: an error per option.
    """

    problems: tuple[XbarcError, ...] = ()


def join_problems(problems: Sequence[XbarcError], where: str = "") -> XbarcError:
    """One error: the only one as it is, or all of them in one message."""
    if len(problems) == 1 and not where:
        return problems[0]
    count = f"{len(problems)} wrong option{'s' if len(problems) > 1 else ''}"
    text = "; ".join(str(problem) for problem in problems)
    error = WrongOptionsError(f"{count}: {text}", where=where)
    error.problems = tuple(problems)
    return error


def _problems(model: type[Options], error: ValidationError) -> Iterator[XbarcError]:
    seen = set()
    for found in error.errors(include_url=False):
        name = str(found["loc"][0]) if found["loc"] else ""
        if name not in seen:  # a union tells one mistake for each of its members
            seen.add(name)
            yield _problem(model, name, found)


def _problem(model: type[Options], name: str, found: ErrorDetails) -> XbarcError:
    if found["type"] == "extra_forbidden":
        return unknown_option(name, model.model_fields)
    # What `reads` wrapped: an error of ours, with a message about this very option, comes out as it
    # went in.
    known = found.get("ctx", {}).get("error")
    if isinstance(known, XbarcError):
        return known
    field, value = model.model_fields[name], found["input"]
    where, names = flag_of(name, field), choices_of(field)
    if names:
        hint = f"one of {', '.join(names)}"
        return MappingError(f"'{str(value)[:40]}' is not available", where=where, hint=hint)
    said = about(field)
    # A bool is an int in Python; "1, expected 2 to 16" would be odd for `True`.
    bounded = any(bound is not None for bound in said.bounds)
    if isinstance(value, int | float) and not isinstance(value, bool) and bounded:
        given = _say_number(value)
        return MappingError(f"{given}{_unit(said, value)}, expected {_range(said)}", where=where)
    wanted = said.metavar or _EXPECTED[kind_of(field).__name__]
    return MappingError(f"{value!r:.40} given, expected {wanted}", where=where)


def _unit(said: Option, value: float) -> str:
    """The unit behind a value: `99 bits`, `1 bit`."""
    unit = said.unit.removesuffix("s") if value == 1 else said.unit
    return f" {unit}" if unit else ""


def _range(said: Option) -> str:
    least, most = said.bounds
    if most is None:
        return f"{_say_number(least or 0)} or more"
    return f"{_say_number(least or 0)} to {_say_number(most)}"


def _say_number(value: object) -> str:
    """A number as short as it can be told without another value."""
    # `:g` rounds, and whole numbers may be too long for it.
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else f"{value!r:.40}"


def read_path(value: object) -> object:
    """Text becomes a path."""
    return Path(value) if isinstance(value, str) else value
