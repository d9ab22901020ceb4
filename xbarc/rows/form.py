"""Rows in JSON: the pydantic model of a row in the names and units of reports."""

from __future__ import annotations

import math
from dataclasses import MISSING
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, create_model
from pydantic_core import core_schema

from xbarc.rows.facts import Entry, Row, facts_of

_Kind = TypeVar("_Kind")


class _InReport:
    """Makes pydantic write and read a row in the names and units of reports."""

    def __get_pydantic_core_schema__(
        self, source: type[Row], handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        form = form_of(source)
        inner = handler.generate_schema(form)

        def read(value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Row:
            # A report is made of rows in the program and of plain data from a file: the first are
            # taken as they are.
            return value if isinstance(value, source) else row_of(source, validate(value))

        return core_schema.no_info_wrap_validator_function(
            read,
            inner,
            serialization=core_schema.plain_serializer_function_ser_schema(
                fill_form, return_schema=inner
            ),
        )


_ANNOTATED: Any = Annotated  # types that are put together here are nothing that mypy follows
Shown = Annotated[_Kind, _InReport()]
"""A row inside a model, in the names and units of reports."""
Rows = tuple[Shown[_Kind], ...]
"""Such rows, one after another."""


def form_of(kind: type[Row]) -> type[BaseModel]:
    """The model of a row in a report: its names, types, meanings, and which may be lacking."""
    known: Any = kind  # as in `facts_of`
    return _form_of(known)


@cache
def _form_of(kind: type[Row]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        entry.name: (_shown_type(entry.hint), _field(entry)) for entry in facts_of(kind)
    }
    config = ConfigDict(frozen=True, extra="forbid")
    return create_model(kind.form, __config__=config, __doc__=kind.__doc__, **fields)


def _field(entry: Entry) -> Any:
    if not entry.fact.later:
        return Field(description=entry.meaning)
    # None and not an error: an older report lacks the fact, and "unknown" is what it knew.
    default = None if entry.default is MISSING else entry.default
    return Field(default=default, description=entry.meaning)


def _shown_type(hint: Any) -> Any:
    """The type in a report: a number where there is a unit, the form of a row for a row."""
    if isinstance(hint, type) and issubclass(hint, Row):
        return _ANNOTATED[hint, _InReport()]
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return float
    if origin in (Union, UnionType, tuple):
        whole: Any = tuple if origin is tuple else Union
        return whole[tuple(part if part is ... else _shown_type(part) for part in parts)]
    return hint


def fill_form(row: Row) -> BaseModel:
    """A row as the model that a report writes."""
    entries = facts_of(type(row))
    return form_of(type(row))(**{entry.name: entry.value(row) for entry in entries})


def row_of(kind: type[Row], form: BaseModel) -> Row:
    """What a report says of a row; what it does not say has its default."""
    return kind(
        **{entry.field: _kept(entry, getattr(form, entry.name)) for entry in facts_of(kind)}
    )


def _kept(entry: Entry, shown: Any) -> Any:
    """A number in the unit in which it is kept: one that is shown as it was read."""
    unit = entry.unit
    if unit is None or shown is None:
        return shown
    near = shown * unit.per / unit.times
    if near.is_integer() and "int" in str(entry.hint):
        return int(near)
    # Dividing by the unit and multiplying again may end one unit in the last place off; a report
    # that is read and written has to have the same bytes, so the neighbour that is shown the same
    # is taken.
    around = (near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf))
    return next((each for each in around if unit.show(each) == shown), near)
