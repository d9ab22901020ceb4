"""A target's own roll-up as tables and JSON: what `xbarc targets cost` prints."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from rich.console import Group
from rich.text import Text

from xbarc.cost import LEVELS, ChipCost, CostPart, FullLoad, chip_cost, stated_load
from xbarc.errors import TargetError
from xbarc.report.document import Document
from xbarc.report.escaping import json_text, text_lines
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import (
    UM2_PER_MM2,
    LevelRow,
    SourceRow,
    carried_table,
    level_rows,
    parts_table,
)
from xbarc.rows import Row, Rows, fact, number, table_of
from xbarc.target import Target, describe


class LevelParts(Row):
    """The parts of one level."""

    level: str = fact("array, macro, tile or chip")
    vector_ns: float = fact("time of one input vector, ns")
    energy: tuple[CostPart, ...] = fact(
        "parts of the energy of one input vector of every array, pJ"
    )
    area: tuple[CostPart, ...] = fact("parts of the area, um2")


class ChipReport(Document):
    """A target at full load."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    name: str = Field(description="name of the target")
    description: str = Field(description="one sentence about the target")
    kind: str = Field(description="silicon, modelled or assumed")
    node_nm: int = Field(description="technology node, nm")
    gops_per_w: float | None = Field(description="of the whole chip at full load, GOPS/W")
    gops_per_mm2: float | None = Field(description="of the whole chip, GOPS a mm2")
    levels: Rows[LevelRow] = Field(description="totals level by level")
    parts: Rows[LevelParts] = Field(description="the parts of those totals")
    sources: Rows[SourceRow] = Field(description="every figure with its source")


def chip_report(
    target: Target, sources: tuple[SourceRow, ...], load: FullLoad | None = None
) -> ChipReport:
    """Roll a target up.

    Args:
        target: what is rolled up.
        sources: its figures.
        load: what a full array does, for a target that states no `[peak]`.

    Raises:
        TargetError: neither the target nor `load` says what a full array does.
    """
    # With encoding `auto` a weight takes as many columns as each layer's choice, and a target alone
    # has no layers.
    if load is None and stated_load(target) is None:
        raise TargetError(
            f"encoding {target.precision.encoding} does not say how many columns a weight takes",
            where=f"{target.name}: precision.encoding",
            hint="name one encoding, or state columns_per_weight in [peak]",
        )
    whole = chip_cost(target, load=load)
    power, area = whole.power_mw, whole.area_um2
    return ChipReport(
        name=target.name,
        description=describe(target),
        kind=target.kind,
        node_nm=target.node_nm,
        # GOPS a mW times a thousand is GOPS a W; a power of 0 or None is one that no source gave.
        gops_per_w=whole.gops / power * 1e3 if power else None,
        gops_per_mm2=whole.gops / area * 1e6 if area else None,
        levels=level_rows(target, load),
        parts=tuple(_parts(chip_cost(target, level, load=load)) for level in LEVELS),
        sources=sources,
    )


def _parts(cost: ChipCost) -> LevelParts:
    return LevelParts(
        level=cost.level,
        vector_ns=cost.timing.vector_ns,
        energy=cost.energy,
        area=cost.area,
    )


def render_chip_json(report: ChipReport) -> str:
    """Every digit."""
    return json_text(report)


def render_chip_text(report: ChipReport) -> Group:
    """Tables for a terminal."""
    whole = report.parts[-1]
    title = f"{report.name}: {report.description} ({report.kind}, {report.node_nm} nm)"
    tail = (
        f"{number(report.gops_per_w)} GOPS/W, {number(report.gops_per_mm2)} GOPS/mm2 "
        "at full load and the target's own precision"
    )
    carried = carried_table(report.sources)
    power = parts_table(
        "Power of the chip, every array at work",
        whole.energy,
        "count per vector>",
        "mW",
        whole.vector_ns,
    )
    area = parts_table("Area of the chip", whole.area, unit="mm2", divisor=UM2_PER_MM2)
    tables = (table_of(LevelRow, report.levels), power, area, carried)
    # Empty tables are left out: a target that carries no figures has no heading about them.
    shown = [rich_table(table) for table in tables if table.rows]
    return Group(Text(text_lines([title, ""])), *shown, Text(tail))
