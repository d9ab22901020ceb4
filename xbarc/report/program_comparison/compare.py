"""Several reports side by side: totals with their ratio to the first, and layers by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from xbarc.errors import visible
from xbarc.report.document import Document
from xbarc.report.model import Report
from xbarc.report.sections import LayerRow
from xbarc.rows import Row, Rows, TableData, fact, number, render_card

_TOTALS = (
    ("arrays", "count"),
    ("arrays_once", "count"),
    ("cells", "count"),
    ("cell_utilization", "0 to 1"),
    ("adcs", "count"),
    ("tiles", "count"),
    ("conversions", "per inference"),
    ("macs_crossbar", "per inference"),
    ("macs_digital", "per inference"),
    ("area_mm2", "mm2"),
    ("energy_uj", "uJ"),
    ("energy_low_uj", "uJ"),
    ("energy_high_uj", "uJ"),
    ("write_energy_uj", "uJ"),
    ("latency_us", "us"),
    ("inferences_per_s", "1/s"),
    ("tops_per_watt", "TOPS/W"),
)
_OF_LAYERS = (("energy_uj", "uJ"), ("latency_us", "us"), ("area_mm2", "mm2"))


class ComparedRow(Row):
    """One quantity of every program."""

    name: str = fact("total, or layer and quantity")
    unit: str = fact("unit of the values")
    values: tuple[float | None, ...] = fact(
        "a value a program, in `unit`; null where it is unknown"
    )
    ratios: tuple[float | None, ...] = fact(
        "each value over the first, how many times; null where one is unknown or zero"
    )


class ProgramComparison(Document):
    """Programs side by side."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    programs: tuple[str, ...] = Field(description="what is compared: program and target")
    differences: dict[str, tuple[str, ...]] = Field(
        description="settings, and models, that differ; a value a program"
    )
    totals: Rows[ComparedRow] = Field(description="totals of the programs")
    layers: Rows[ComparedRow] = Field(
        description="layers that all programs have, by name and matrix"
    )

    def tables(self) -> tuple[TableData, ...]:
        """Settings that differ, totals, layers; those without rows are left out."""
        columns = [str(i + 1) for i in range(len(self.programs))]
        settings = tuple((name, *values) for name, values in self.differences.items())
        headings = ("total", "unit", *(f"{column}>" for column in columns))
        tables = (
            TableData("Settings that differ", ("setting", *columns), settings),
            TableData("Totals, and times the first", headings, tuple(map(_cells, self.totals))),
            TableData(
                "Layers, and times the first",
                ("layer", *headings[1:]),
                tuple(map(_cells, self.layers)),
            ),
        )
        return tuple(table for table in tables if table.rows)

    def __repr__(self) -> str:
        return f"<ProgramComparison of {', '.join(map(visible, self.programs))}>"

    __str__ = __repr__  # pydantic's own would print every row

    def _repr_html_(self) -> str:
        named = [f"{i + 1}: {name}" for i, name in enumerate(self.programs)]
        return render_card("Programs side by side", ["; ".join(named)], self.tables())


def compare(reports: Sequence[Report], names: Sequence[str]) -> ProgramComparison:
    """Put reports side by side.

    Args:
        reports: at least one.
        names: what to call them.
    """
    programs = tuple(
        f"{name} on {report.target.name}" for name, report in zip(names, reports, strict=True)
    )
    return ProgramComparison(
        programs=programs,
        differences=_differences(reports),
        totals=tuple(
            _row(name, unit, [getattr(report.totals, name) for report in reports])
            for name, unit in _TOTALS
        ),
        layers=_layers(reports),
    )


def _row(name: str, unit: str, values: Sequence[float | None]) -> ComparedRow:
    first = values[0]
    # Against the first: whoever compares names the reference first.
    ratios = tuple(None if value is None or not first else value / first for value in values)
    numbers = tuple(None if value is None else float(value) for value in values)
    return ComparedRow(name=name, unit=unit, values=numbers, ratios=ratios)


def _differences(reports: Sequence[Report]) -> dict[str, tuple[str, ...]]:
    settings = [
        {
            **r.settings,
            "duplicate": "" if r.schedule is None else r.schedule.duplicate,
            # A model that differs explains more than any setting, so it stands among them.
            "model": f"{r.name} {r.model_sha256[:12]}",
        }
        for r in reports
    ]
    names = sorted({name for each in settings for name in each})
    found = {name: tuple(each.get(name, "") for each in settings) for name in names}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def _layers(reports: Sequence[Report]) -> tuple[ComparedRow, ...]:
    """Layers of one name and one matrix: those of other nets are no basis for a ratio."""
    tables = [{row.name: row for row in report.layers} for report in reports]
    shapes = [{name: _shape(row) for name, row in table.items()} for table in tables]
    # A layer that was split or renamed in one program is left out: half of a layer has no ratio to
    # the whole.
    common = [name for name in tables[0] if all(x.get(name) == shapes[0][name] for x in shapes)]
    return tuple(
        _row(f"{name} {quantity}", unit, [getattr(table[name], quantity) for table in tables])
        for name in common
        for quantity, unit in _OF_LAYERS
    )


def _shape(row: LayerRow) -> tuple[str, int, int, int, int | None]:
    return row.operator, row.inputs, row.outputs, row.groups, row.positions


def _cells(row: ComparedRow) -> tuple[str, ...]:
    shown = [
        # The first column is 1 by definition.
        number(value) if ratio is None or not index else f"{number(value)} ({ratio:.3g}x)"
        for index, (value, ratio) in enumerate(zip(row.values, row.ratios, strict=True))
    ]
    return (row.name, row.unit, *shown)
