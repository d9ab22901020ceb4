"""A row and its facts: fields of a frozen dataclass that say everything about themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import cache
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Union,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from xbarc.rows.format import accuracy, percent, seconds

_FACT = "fact"


@dataclass(frozen=True)
class Unit:
    """The unit in which a number is kept, and the one in which reports show it.

    Multiplying and dividing are told apart: a quotient by 1e6 and a product with 1e-6 differ.

    Attributes:
        kept: in lower case it ends the name of the field.
        shown: in lower case it ends the name in a report.
        times, per: a number is shown as `kept * times / per`.
        text: writes it into a table, as `text` of a fact does.
    """

    kept: str = ""
    shown: str = ""
    times: float = 1.0
    per: float = 1.0
    text: str | Callable[[Any], str] | None = None

    def show(self, value: float) -> float:
        """A kept number as reports show it."""
        return value * self.times / self.per


Picojoule = Annotated[float, Unit("pJ", "uJ", per=1e6)]
SquareMicrometre = Annotated[float, Unit("um2", "mm2", per=1e6)]
Nanosecond = Annotated[float, Unit("ns", "us", per=1e3)]
Picosecond = Annotated[int, Unit("ps", "us", per=1e6)]
RoundPicosecond = Annotated[int, Unit("ps", "ns", per=1e3)]
Second = Annotated[float, Unit("s", "us", times=1e6, text=seconds)]
Decibel = Annotated[float, Unit("dB", "dB", text="{:.1f}")]
Share = Annotated[float, Unit(text=percent)]
Accuracy = Annotated[float, Unit(text=accuracy)]


@dataclass(frozen=True)
class Fact:
    """What a field of a row says about itself beside its type.

    Attributes:
        meaning: for schema and reference; `{unit}` stands for the unit.
        head: heading of its column in tables, `>` behind those of right-aligned ones; None: it has
            no column.
        name: in reports; empty: the field's own, with the unit that is shown.
        text: writes the value, in the unit that is shown, into a table: a function, or a template
            of `str.format` that leaves unknown ones empty; None: as its unit or type does.
        of: writes its cell from the whole row, in place of `text`.
        later: the format was published without it: reports that lack it are read, with the default
            or None.
        csv: whether lines of a table for machines have it, where it is one number or text.
        inside: whether reports leave it out.
    """

    meaning: str
    head: str | None = None
    name: str = ""
    text: str | Callable[[Any], str] | None = None
    of: Callable[[Any], str] | None = None
    later: bool = False
    csv: bool = True
    inside: bool = False


def fact(meaning: str, *, default: Any = MISSING, **said: Any) -> Any:
    """A field that is a fact; `said` are further attributes of `Fact`.

    Raises:
        TypeError: an unknown attribute.
    """
    return field(default=default, metadata={_FACT: Fact(meaning, **said)})


@dataclass_transform(frozen_default=True, field_specifiers=(fact, field))
class Row:
    """Base of rows: each class below is a frozen dataclass. Fields that are no fact stay inside.

    Attributes:
        form: its name in the schema.
        title: of a table of such rows.
    """

    form: ClassVar[str] = ""
    title: ClassVar[str] = ""
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    if not TYPE_CHECKING:  # a checker sees the fields alone

        def __getattr__(self, name: str) -> Any:
            """A fact by its name in reports, in the unit that they show: `energy_uj`."""
            # Called only where Python found no field of that name, so the names of reports never
            # hide one; `name == entry.field` would come back here without end.
            for entry in facts_of(type(self)):
                if name == entry.name != entry.field:
                    return entry.value(self)
            raise AttributeError(f"'{type(self).__name__}' has no fact '{name}'")

    def __init_subclass__(cls, *, form: str = "", title: str = "") -> None:
        cls.form, cls.title = form or cls.__name__, title
        # Here and not as a decorator, so that nobody can forget it: a class below `Row` without it
        # would inherit its parent's fields and lose its own.
        dataclass(frozen=True)(cls)


@dataclass(frozen=True)
class Entry:
    """A fact in its place.

    Attributes:
        field: name of the field.
        hint: its type, with the unit.
        default: `MISSING` where it has none.
    """

    field: str
    hint: Any
    default: Any
    fact: Fact
    unit: Unit | None

    @property
    def name(self) -> str:
        """Name in reports."""
        if self.fact.name or self.unit is None:
            return self.fact.name or self.field
        # `energy_pj` kept, `energy_uj` shown: the name of a fact in a report always ends with its
        # unit, and can't be written down wrongly.
        return self.field.removesuffix(self.unit.kept.lower()) + self.unit.shown.lower()

    @property
    def meaning(self) -> str:
        """Meaning in reports."""
        return self.fact.meaning.replace("{unit}", "" if self.unit is None else self.unit.shown)

    @property
    def kept_meaning(self) -> str:
        """Meaning in the unit in which the number is kept."""
        return self.fact.meaning.replace("{unit}", "" if self.unit is None else self.unit.kept)

    @property
    def text(self) -> str | Callable[[Any], str] | None:
        """What writes it into a table; None: its type does."""
        own = self.fact.text
        return self.unit.text if own is None and self.unit is not None else own

    @property
    def in_csv(self) -> bool:
        """Whether it is one cell of a line."""
        # A list or a nested row would break a line of CSV; those facts stand in JSON alone.
        parts = get_args(self.hint) if get_origin(self.hint) in (Union, UnionType) else (self.hint,)
        plain = (int, float, str, bool, NoneType)
        named = (Annotated, Literal)
        return self.fact.csv and all(part in plain or get_origin(part) in named for part in parts)

    def value(self, row: Row) -> Any:
        """The value of a row, in the unit that reports show."""
        found = getattr(row, self.field)
        return found if self.unit is None or found is None else self.unit.show(found)


def facts_of(kind: type[Row]) -> tuple[Entry, ...]:
    """The facts of a row that reports show, in the order of JSON and of tables."""
    known: Any = kind  # mypy takes a class for something that cannot be hashed
    return _shown_facts(known)


@cache
def _shown_facts(kind: type[Row]) -> tuple[Entry, ...]:
    return tuple(entry for entry in all_facts(kind) if not entry.fact.inside)


def all_facts(kind: type[Row]) -> tuple[Entry, ...]:
    """The facts of a row, those that stay inside too."""
    # Annotations are text under `from __future__ import annotations`; extras, because the unit is
    # one.
    hints = get_type_hints(kind, include_extras=True)
    return tuple(
        Entry(each.name, hint, each.default, each.metadata[_FACT], unit_in(hint))
        for each in fields(kind)
        if _FACT in each.metadata
        for hint in (hints[each.name],)
    )


def unit_in(hint: Any) -> Unit | None:
    """The unit that a type names, optional or not."""
    if get_origin(hint) is Annotated:
        return next((said for said in hint.__metadata__ if isinstance(said, Unit)), None)
    # Optional numbers are unions: the unit is sought in their members.
    return next((unit for part in get_args(hint) if (unit := unit_in(part)) is not None), None)
