"""Values of options that are more than a name or a number, and how they are read from text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

from xbarc.errors import InputError, MappingError
from xbarc.options.base import warn_renamed
from xbarc.plugins import is_import_path, names_in


@runtime_checkable
class Method(Protocol):
    """An object that brings a method of its own; the room that uses it checks all it must have."""

    @property
    def name(self) -> str:
        """What programs and reports call it."""


AdcSaving = Literal["recode", "centre", "distribute", "group", "rows"]
ColumnShares = Literal["width", "kind", "slice"]
"""What columns of one converter have in common: width alone, slice and sign first, or slice."""
ADC_SAVINGS: tuple[AdcSaving, ...] = get_args(AdcSaving)
FREE_ADC_SAVINGS: tuple[AdcSaving, ...] = tuple(
    saving for saving in ADC_SAVINGS if saving != "rows"
)
"""ADC savings that cost no time: what `all` means."""


def parse_adc_savings(given: str | Iterable[str]) -> tuple[AdcSaving, ...]:
    """ADC savings by name: `none`, `all` that cost no time, or names with commas between.

    Raises:
        MappingError: an unknown name.
    """
    names = [_current_saving(name) for name in _names(given)]
    if "all" in names:
        names = [*FREE_ADC_SAVINGS, *(name for name in names if name != "all")]
    wrong = [name for name in names if name not in ADC_SAVINGS]
    if wrong:
        known = ", ".join(ADC_SAVINGS)
        raise MappingError(
            f"'{wrong[0]}' is not available",
            where="--adc-savings",
            hint=f"none, all, or of {known}",
        )
    # In our order whatever the user's: two ways to write one choice give the same program, byte for
    # byte.
    return tuple(saving for saving in ADC_SAVINGS if saving in names)


def _current_saving(name: str) -> str:
    if name != "deal":
        return name
    warn_renamed("deal", "distribute")
    return "distribute"


@dataclass(frozen=True)
class ColumnRule:
    """What the wiring behind the columns allows.

    Attributes:
        common: all row blocks and groups of a layer keep one order, so that the adders behind
            them can be wired straight.
        reach: how many bitlines a column may lie from its natural place; None: any.
        effort: deterministic seconds of the solver for a layer.
    """

    common: bool = False
    reach: int | None = None
    effort: float = 2.0

    def __str__(self) -> str:
        return "layer" if self.common else "array" if self.reach is None else str(self.reach)

    @property
    def needs_solver(self) -> bool:
        """Whether sorting is not optimal."""
        return self.common or self.reach is not None


def column_rule(given: str | int | ColumnRule) -> ColumnRule:
    """What the wiring allows: `array`, `layer`, or a number of bitlines.

    Raises:
        MappingError: none of these.
    """
    if isinstance(given, ColumnRule):
        return given
    text = str(given)
    # isdecimal and not int(): no signs, spaces or underscores. Six digits are far beyond any
    # bitline, and bound the conversion of hostile text.
    if text.isdecimal() and len(text) <= 6:
        return ColumnRule(reach=int(text))
    if text not in ("array", "layer"):
        hint = "array, layer, or a number of bitlines"
        raise MappingError(f"'{text[:20]}' is not available", where="--column-order", hint=hint)
    return ColumnRule(common=text == "layer")


PrunePattern = Literal["balanced", "free"]


@dataclass(frozen=True)
class Pruning:
    """What to prune.

    Attributes:
        share: weights that become zero, 0 to below 1.
        pattern: `balanced` or `free`.
    """

    share: float
    pattern: PrunePattern = "balanced"

    def __str__(self) -> str:
        return f"{self.share:g} {self.pattern}"


def parse_pruning(given: str | float | Pruning) -> Pruning:
    """`0.5`, `0.5:balanced` or `0.5:free`.

    Raises:
        MappingError: neither.
    """
    if isinstance(given, Pruning):
        return given
    text = str(given)
    number, _, pattern = text.partition(":")
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    pattern = pattern or "balanced"
    if not 0 <= share < 1 or pattern not in get_args(PrunePattern):
        hint = "the share of weights to drop, such as 0.5 or 0.75:free"
        raise MappingError(f"'{text[:20]}' is not available", where="--prune", hint=hint)
    return Pruning(share, "free" if pattern == "free" else "balanced")


@dataclass(frozen=True)
class Augmentation:
    """How training changes its samples at random.

    Attributes:
        flip: half of them are mirrored along their last axis.
        shift: each is moved by up to so many places along each axis of space or time.
        cutmix: each has a patch of another one (Yun et al., 2019).
    """

    flip: bool = False
    shift: int = 0
    cutmix: bool = False

    def __str__(self) -> str:
        shift = f"shift:{self.shift}" if self.shift else ""
        names = ("flip" if self.flip else "", shift, "cutmix" if self.cutmix else "")
        return ",".join(filter(None, names))


# Beyond the width of any image that a crossbar sees; bounds the conversion of hostile text.
_LARGEST_SHIFT = 999


def parse_augmentation(given: str | Augmentation) -> Augmentation | None:
    """`flip`, `shift:2` and `cutmix` with commas between; `none` is None.

    Raises:
        MappingError: another name, or a shift that is not 1 to 999.
    """
    if isinstance(given, Augmentation):
        return given
    found: dict[str, Any] = {}
    for part in _names(given):
        name, _, number = part.partition(":")
        shifts = name == "shift" and number.isdecimal() and len(number) <= 3 and int(number)
        if not shifts and part not in ("flip", "cutmix"):
            hint = f"flip, shift:N (1 to {_LARGEST_SHIFT}), cutmix, with commas between"
            raise MappingError(f"'{part[:20]}' is not available", where="--augment", hint=hint)
        found[name] = int(number) if shifts else True
    return Augmentation(**found) if found else None


@dataclass(frozen=True)
class Budget:
    """What may be lost against lossless converters.

    Attributes:
        points: of top-1, in points; needs labels.
        sqnr_db: least SQNR of the outputs.
    """

    points: float | None = None
    sqnr_db: float | None = None

    def __str__(self) -> str:
        return f"{self.points:g}" if self.points is not None else f"{self.sqnr_db:g}dB"


def parse_budget(given: str | float | Budget) -> Budget:
    """`0.5`: points of top-1; `30dB`: SQNR of the outputs.

    Raises:
        MappingError: neither.
    """
    if isinstance(given, Budget):
        return given
    text = str(given)
    # 30dB, 30db and 30DB: nobody remembers the case of a unit.
    number = text.lower().removesuffix("db")
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    # 200 dB are 33 bits, beyond what any converter here gives, and NaN fails the comparison too.
    if not 0 <= value <= 200:
        hint = "points of top-1 such as 0.5 (needs labels), or an output SQNR such as 30dB"
        raise MappingError(f"'{text[:20]}' is not a budget", where="--adc-budget", hint=hint)
    return Budget(sqnr_db=value) if number != text.lower() else Budget(points=value)


ADC_POLICIES = ("lossless", "worst-case", "calibrated", "calibrated:BITS")
CALIBRATED = "calibrated"
BY_BUDGET = "budget"
"""What `adc` becomes where a budget chooses the bits."""
# The widest converter that a target may state (`adc.max_bits`).
_WIDEST = 16


CONVERTER_GROUP = "xbarc.converters"
"""Of the entry points under which packages register converter policies."""


def is_own_adc(text: str) -> bool:
    """Whether a text is a policy of ours, or a number of bits."""
    name, colon, number = text.partition(":")
    # Cut to nine digits before it is converted, for Python's int takes quadratic time in them.
    bits = colon and number.isdecimal() and 0 < int(number[:9]) <= _WIDEST
    known = text in (*ADC_POLICIES[:3], BY_BUDGET) or text.isdecimal()
    return known or bool(name == "calibrated" and bits)


def parse_adc(given: str | int | Method) -> str | Method:
    """A policy by name, or a number of bits; one from elsewhere as it is.

    Raises:
        MappingError: none of these.
    """
    if not isinstance(given, str | int):
        return given
    text = str(given)
    if text.isdecimal() and (len(text) > 2 or not 1 <= int(text) <= _WIDEST):
        raise MappingError(f"{text[:20]} bits, expected 1 to {_WIDEST}", where="--adc")
    # "calibrated:x" looks like a path to code, but is a misspelt width of ours.
    elsewhere = is_import_path(text) and text.partition(":")[0] not in ADC_POLICIES
    if is_own_adc(text) or elsewhere or text in names_in(CONVERTER_GROUP):
        return text
    known = ", ".join((*ADC_POLICIES, *names_in(CONVERTER_GROUP)))
    hint = f"one of {known}, bits, or package:Name"
    raise MappingError(f"'{text[:40]}' is not available", where="--adc", hint=hint)


LAWS = ("both", "bits", "levels", "target")


def parse_conversion_cost(given: str | int) -> str:
    """A law's name, or how many levels a bit counts: `both`, `bits`, `levels`, `target`, `24`.

    Raises:
        MappingError: none of these.
    """
    text = str(given)
    if text not in LAWS and not (text.isdecimal() and len(text) <= 6):
        hint = ", ".join(LAWS) + ", or how many levels a bit counts"
        raise MappingError(f"'{text[:20]}' is not available", where="--conversion-cost", hint=hint)
    return text


Compensation = Literal["gain", "outputs", "predistort", "feedback", "partner"]
COMPENSATIONS: tuple[Compensation, ...] = get_args(Compensation)


def parse_compensations(given: str | Iterable[str]) -> frozenset[Compensation]:
    """Compensations by name, in text with commas between; `none` and nothing mean none.

    Raises:
        InputError: an unknown name.
    """
    names = _names(given)
    wrong = sorted(name for name in names if name not in COMPENSATIONS)
    if wrong:
        hint = f"some of {', '.join(COMPENSATIONS)}"
        raise InputError(f"no compensation '{wrong[0]}'", where="--compensate", hint=hint)
    return frozenset(name for name in COMPENSATIONS if name in names)


SplitName = Literal["strided", "partition", "consecutive"]


@dataclass(frozen=True, eq=False)
class InputGroups:
    """The group of each input of binary layers, by the layer's name."""

    groups: Mapping[str, Any]

    def __str__(self) -> str:
        return "given"


Split = SplitName | Path | InputGroups


def parse_split(given: str | Path | Mapping[str, Any] | InputGroups) -> Split:
    """A way to split by name, a file that holds the groups, or the groups themselves.

    Raises:
        MappingError: none of these.
    """
    if isinstance(given, Mapping):
        return InputGroups(given)
    # Compared one by one, so that the type checker narrows text to the literal.
    for name in get_args(SplitName):
        if given == name:
            found: SplitName = name
            return found
    if isinstance(given, str) and not given.endswith(".npz"):
        hint = f"one of {', '.join(get_args(SplitName))} or FILE.npz"
        raise MappingError(f"'{given[:40]}' is not available", where="--split", hint=hint)
    return Path(given) if isinstance(given, str) else given


Shape = tuple[int, ...]


def parse_shapes(given: Iterable[str] | Mapping[str, Iterable[int]]) -> dict[str, Shape]:
    """Shapes by input name, as such or as texts `INPUT=1,3,224,224`.

    Raises:
        InputError: something else.
    """
    if not isinstance(given, Mapping):
        return dict(_shape(text) for text in given)
    return {name: tuple(int(n) for n in shape) for name, shape in given.items()}


def _shape(text: str) -> tuple[str, Shape]:
    name, equals, numbers = text.rpartition("=")
    try:
        shape = tuple(int(part) for part in numbers.split(","))
    except ValueError:
        shape = ()
    if not equals or not name or not shape or min(shape) < 1:
        raise InputError(f"'{text}' is not INPUT=1,3,224,224", where="--shape")
    return name, shape


def parse_fixed(given: Iterable[str] | Mapping[str, Any]) -> dict[str, Any]:
    """What inputs hold: numbers and lists of them by name, or texts `INPUT=16000`, `INPUT=1,2`.

    Raises:
        InputError: something else.
    """
    if not isinstance(given, Mapping):
        return dict(_read_fixed_size(text) for text in given)
    return {name: _numbers(value, name) for name, value in given.items()}


def _read_fixed_size(text: str) -> tuple[str, Any]:
    name, equals, numbers = text.rpartition("=")
    try:
        found = [_number(part.strip()) for part in numbers.split(",")]
    except ValueError:
        found = []
    if not equals or not name or not found:
        raise InputError(f"'{text[:60]}' is not INPUT=16000 or INPUT=1,2", where="--fix-input")
    return name, found if len(found) > 1 else found[0]


def _number(text: str) -> bool | int | float:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)


def _numbers(value: Any, name: str) -> Any:
    """Plain Python numbers, in lists as deep as the value is."""
    # NumPy's arrays and scalars without loading NumPy.
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list | tuple):
        return [_numbers(part, name) for part in plain]
    if not isinstance(plain, int | float):
        text = f"'{name[:40]}' is {str(plain)[:40]!r}, expected a number or a list of them"
        raise InputError(text, where="--fix-input")
    return plain


def fixed_text(fixed: Mapping[str, Any]) -> str:
    """Fixed inputs as programs say them: JSON, which `fixed_of` reads."""
    # Sorted: the setting is part of the program, whose bytes must not depend on the order of flags.
    return json.dumps(fixed, sort_keys=True)


def fixed_of(settings: Mapping[str, str]) -> dict[str, Any]:
    """What a program says that its inputs were fixed to.

    Raises:
        InputError: it says something else.
    """
    try:
        said = json.loads(settings.get(FIXED, "{}"))
    # A program's settings come from a file, so that this text may be anything.
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError(f"{settings[FIXED][:60]!r} fixes no inputs", where=f"settings: {FIXED}")
    return parse_fixed(said)


FIXED = "fix_input"
"""The setting under which a program says which inputs are fixed, and to what."""


def parse_names(given: str | Iterable[str]) -> frozenset[str]:
    """Names, in text with commas between; `none` and nothing mean none."""
    return frozenset(_names(given))


def _names(given: str | Iterable[str]) -> list[str]:
    """Names that are not `none`."""
    names = given.split(",") if isinstance(given, str) else list(given)
    return [name.strip() for name in names if name.strip() not in ("", "none")]
