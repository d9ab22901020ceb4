"""A fact that is written once comes out of every format."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields, replace
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from xbarc.ir.pareto import FrontPoint
from xbarc.rows import (
    Nanosecond,
    Picojoule,
    Picosecond,
    Row,
    Second,
    Unit,
    cells,
    fact,
    facts_of,
    headings,
    table_of,
)
from xbarc.rows.facts import all_facts
from xbarc.rows.form import Rows, Shown, form_of


class Part(Row, form="PartOfLoss"):
    """A part of a loss."""

    name: str = fact("what is lost")
    energy_pj: Picojoule | None = fact("energy, {unit} an inference", default=None)


class Loss(Row, form="LossRow", title="Losses"):
    """What a layer loses."""

    name: str = fact("name of the layer", head="layer")
    energy_pj: Picojoule = fact("energy, {unit}", head="energy uJ>")
    begin_ps: Picosecond = fact("when it begins, {unit}", head="begin us>")
    share: float | None = fact("share of it, 0 to 1", default=None, head="share>", text="{:.1%}")
    draft: int = fact("how often it was tried", default=0, inside=True)
    bits: int = fact("bits, count", default=1, name="adc_bits", later=True)
    solver_s: Second = fact("time of the solver, {unit}", default=0.0)
    parts: tuple[Part, ...] = fact("its parts", default=())
    secret: float = 0.0


class Page(BaseModel):
    """Where rows stand."""

    losses: Rows[Loss]
    worst: Shown[Loss] | None = None


ROW = Loss("fc1", 2e6, 3_000_000, 0.5, solver_s=0.25, parts=(Part("wires", 5e5), Part("cells")))


def test_names_and_units_come_from_the_types() -> None:
    assert Page(losses=(ROW,)).model_dump(mode="json")["losses"] == [
        {
            "name": "fc1",
            "energy_uj": 2.0,
            "begin_us": 3.0,
            "share": 0.5,
            "adc_bits": 1,
            "solver_us": 250000.0,
            "parts": [{"name": "wires", "energy_uj": 0.5}, {"name": "cells", "energy_uj": None}],
        }
    ]


def test_the_schema_is_that_of_the_facts() -> None:
    schema = TypeAdapter(Page).json_schema(mode="serialization")["$defs"]
    found = schema["LossRow"]
    assert found["description"] == "What a layer loses."
    assert found["properties"]["energy_uj"]["description"] == "energy, uJ"
    assert found["properties"]["begin_us"]["type"] == "number"
    assert found["properties"]["parts"]["items"] == {"$ref": "#/$defs/PartOfLoss"}
    assert found["additionalProperties"] is False
    assert "adc_bits" not in found["required"]
    assert "share" in found["required"]


def test_a_table_has_a_column_for_each_fact_with_a_heading() -> None:
    table = table_of(Loss, [ROW, replace(ROW, share=None)])
    assert (table.title, table.headings) == ("Losses", headings(Loss))
    assert table.headings == ("layer", "energy uJ>", "begin us>", "share>")
    assert table.rows == (("fc1", "2", "3", "50.0 %"), ("fc1", "2", "3", ""))
    assert cells(ROW, "share name") == ("50.0 %", "fc1")


def test_the_kept_unit_is_told_where_numbers_are_kept() -> None:
    assert {each.field: each.kept_meaning for each in all_facts(Loss)}["energy_pj"] == "energy, pJ"
    assert [each.field for each in all_facts(Loss) if each not in facts_of(Loss)] == ["draft"]


def test_a_row_is_read_back_without_what_stays_inside() -> None:
    page = Page(losses=(replace(ROW, draft=3),), worst=ROW)
    back = Page.model_validate_json(page.model_dump_json())
    assert back == Page(losses=(ROW,), worst=ROW)
    assert isinstance(back.losses[0].begin_ps, int)


def test_an_unknown_name_is_refused() -> None:
    data = form_of(Part)(name="a", energy_uj=1.0).model_dump() | {"energy_pj": 1e6}
    with pytest.raises(ValidationError):
        TypeAdapter(Shown[Part]).validate_python(data)


@given(
    energy=st.floats(0, 1e30),
    time=st.integers(0, 1 << 50),
    seconds=st.floats(0, 1e9),
)
def test_what_is_read_back_is_written_again_to_the_last_digit(
    energy: float, time: int, seconds: float
) -> None:
    page = Page(losses=(Loss("a", energy, time, solver_s=seconds),))
    text = page.model_dump_json()
    assert Page.model_validate_json(text).model_dump_json() == text


def test_a_unit_says_how_it_is_shown() -> None:
    class Wait(Row):
        """A wait."""

        long_ns: Nanosecond = fact("{unit}")
        short_ps: Annotated[int, Unit("ps", "ns", per=1e3)] = fact("{unit}")

    assert [each.name for each in facts_of(Wait)] == ["long_us", "short_ns"]
    assert [each.value(Wait(1500.0, 1500)) for each in facts_of(Wait)] == [1.5, 1.5]


def test_a_fact_is_read_by_its_name_in_reports_too() -> None:
    assert getattr(ROW, "energy_uj") == 2.0  # noqa: B009  # as scripts read it
    assert getattr(ROW, "adc_bits") == 1  # noqa: B009
    assert copy.deepcopy(ROW) == ROW
    assert pickle.loads(pickle.dumps(ROW)) == ROW  # noqa: S301
    assert not hasattr(ROW, "energy_mj")


def test_rows_are_frozen_values() -> None:
    assert hash(ROW) == hash(replace(ROW))
    with pytest.raises(AttributeError):
        ROW.name = "other"  # type: ignore[misc]


def test_points_of_a_front_keep_their_places() -> None:
    """Programs are saved with these names; a report has others."""
    assert [field.name for field in fields(FrontPoint)][:4] == [
        "kind",
        "bits",
        "levels",
        "energy_pj",
    ]
    assert [each.name for each in facts_of(FrontPoint)][:4] == [
        "kind",
        "mean_bits",
        "mean_levels",
        "energy_uj",
    ]


class Counted(Row):
    """Counts of a layer."""

    count: int = fact("how many, count", head="count>")


@given(st.integers(0, 10**18))
def test_counts_of_a_column_have_no_suffix(count: int) -> None:
    """Millions beside ones would be a second unit in the column."""
    assert cells(Counted(count)) == (f"{count:,}",)
