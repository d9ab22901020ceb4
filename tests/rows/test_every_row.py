"""Every row of the package is written and read back, and has a line in its table."""

from __future__ import annotations

import sys
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

import xbarc.encoding_comparison.comparison
import xbarc.evaluate
import xbarc.experiments.study
import xbarc.report.chip
import xbarc.report.model
import xbarc.report.places
import xbarc.report.program_comparison  # noqa: F401  # rows load with their modules
from xbarc.rows import Row, Unit, cells, facts_of, headings
from xbarc.rows.form import Shown

KINDS = [kind for kind in Row.__subclasses__() if kind.__module__.startswith("xbarc.")]
ADAPTERS: dict[type[Row], TypeAdapter[Any]] = {}
SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(0, 1 << 50),
    float: st.floats(0, 1e15),
    str: st.text("ab", min_size=1, max_size=3),
    bool: st.booleans(),
    NoneType: st.none(),
}


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type that a fact may have."""
    if hint in SIMPLE:
        return SIMPLE[hint]
    parts = get_args(hint)
    found: st.SearchStrategy[Any]
    match get_origin(hint):
        case None:
            found = instances(hint)
        case origin if origin is Annotated:
            found = values(parts[0])
        case origin if origin is Literal:
            found = st.sampled_from(parts)
        case origin if origin in (Union, UnionType):
            found = st.one_of(*map(values, parts))
        case origin if origin is dict:
            found = st.dictionaries(*map(values, parts), max_size=2)
        case _ if parts[-1] is ...:
            found = st.lists(values(parts[0]), max_size=2).map(tuple)
        case _:
            found = st.tuples(*map(values, parts))
    return found


def instances(kind: type[Row]) -> st.SearchStrategy[Row]:
    return st.builds(kind, **{entry.field: values(entry.hint) for entry in facts_of(kind)})


def plain(hint: Any, *, known: bool) -> Any:
    """One value of a type; None where it may be and is not known."""
    simple = {int: 3, float: 0.5, str: "a", bool: True}
    if hint in simple:
        return simple[hint]
    parts = get_args(hint)
    inside = [part for part in parts if part not in (NoneType, ...) and not isinstance(part, Unit)]
    found: Any
    match get_origin(hint):
        case None:
            found = instance(hint, known=known)
        case origin if origin is Literal:
            found = parts[0]
        case origin if origin is dict:
            found = {plain(parts[0], known=known): plain(parts[1], known=known)}
        case origin if origin is tuple:
            found = tuple(plain(part, known=known) for part in inside)
        case _:
            found = None if NoneType in parts and not known else plain(inside[0], known=known)
    return found


def instance(kind: type[Row], *, known: bool) -> Row:
    facts = {entry.field: plain(entry.hint, known=known) for entry in facts_of(kind)}
    return kind(**facts)


def test_rows_of_every_room_are_here() -> None:
    rooms = {kind.__module__.split(".")[1] for kind in KINDS}
    assert rooms >= {"encoding_comparison", "cost", "evaluate", "experiments", "ir", "report"}
    assert len(KINDS) >= 35
    assert len({kind.form for kind in KINDS}) == len(KINDS)
    assert all(kind.__module__ in sys.modules for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=20)
def test_a_row_is_written_as_it_was_read(kind: type[Row], data: st.DataObject) -> None:
    shown: Any = Shown  # for a checker, no class takes a variable
    adapter = ADAPTERS.setdefault(kind, TypeAdapter(shown[kind]))
    text = adapter.dump_json(data.draw(instances(kind)))
    assert adapter.dump_json(adapter.validate_json(text)) == text


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_row_is_a_line_whether_its_facts_are_known_or_not(kind: type[Row], known: bool) -> None:
    line = cells(instance(kind, known=known))
    assert len(line) == len(headings(kind))
    assert all(isinstance(cell, str) for cell in line)
    assert all("None" not in cell for cell in line)
