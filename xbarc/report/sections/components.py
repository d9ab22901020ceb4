"""The parts of every total, by component."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from xbarc.cost import CostPart, Counts, area_parts, energy_parts, total, write_parts
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, TableData, fact, number, percent
from xbarc.target import Target

# Totals are shown in uJ and mm2; figures are in pJ and um2.
PJ_PER_UJ = 1e6
UM2_PER_MM2 = 1e6  # as above


class Components(Row):
    """Energy, area and programming by component, of a program or of one layer or fragment."""

    area: tuple[CostPart, ...] = fact("parts of the area, um2")
    energy: tuple[CostPart, ...] = fact(
        "parts of the energy per inference, pJ; of a layer that cannot be counted: none"
    )
    write: tuple[CostPart, ...] = fact("parts of the energy of programming, pJ")


def components_row(subject: Subject) -> Components:
    """Area, energy and programming of a program."""
    return count_components(subject.cost.counts, subject.target)


def count_components(counts: Counts, target: Target) -> Components:
    """Area, energy and programming of what was counted."""
    return Components(
        area=area_parts(counts, target),
        energy=energy_parts(counts, target),
        write=write_parts(counts, target),
    )


def sum_parts(parts: Iterable[CostPart], divisor: float) -> float | None:
    """The total of printed parts; None when one of them is unknown."""
    found = total(parts)
    return None if found is None else found / divisor


def energy_uj(subject: Subject) -> float | None:
    """Energy per inference; None where no layer can be counted, or a figure is missing."""
    cost = subject.cost
    if not cost.crossbars_counted:
        return None
    return sum_parts(energy_parts(cost.counts, subject.target), PJ_PER_UJ)


def component_tables(found: Components) -> tuple[TableData, ...]:
    """Energy and area, in the units of their totals."""
    return (
        parts_table(
            "Energy per inference by component", found.energy, unit="uJ", divisor=PJ_PER_UJ
        ),
        parts_table("Area by component", found.area, unit="mm2", divisor=UM2_PER_MM2),
    )


def parts_table(
    title: str, parts: Sequence[CostPart], count: str = "count>", unit: str = "", divisor: float = 1
) -> TableData:
    """Count times unit cost, and the share of the total.

    Args:
        title: of the table.
        parts: its rows, but for those that count nothing.
        count: heading of the counts.
        unit: of the totals; that of the parts by default.
        divisor: how many of the unit of the parts are one of `unit`.
    """
    # Parts whose figure is unknown are in no share, and the total says that there is more; that of
    # the report is None then, and says why.
    whole = sum(part.total or 0.0 for part in parts)
    over = "over " if any(part.total is None and part.count for part in parts) else ""
    own = parts[0].unit if parts else ""
    rows = [
        (
            part.name,
            _count_text(part.count),
            number(part.unit_cost),
            number(None if part.total is None else part.total / divisor),
            percent(None if part.total is None else part.total / whole if whole else 0.0),
            part.figure,
        )
        for part in parts
        # Parts that a target has no use for (pulses, links) would fill the table with zeros.
        if part.count
    ]
    if rows:
        rows.append(("total", "", "", f"{over}{number(whole / divisor)}", percent(1.0), ""))
    headings = ("component", count, f"{own} each>", f"{unit or own}>", "share>", "figure")
    return TableData(title, headings, tuple(rows))


def _count_text(count: float) -> str:
    """Counts without a suffix, which would hide how components compare."""
    return f"{count:,.0f}" if count >= 1000 or float(count).is_integer() else number(count)


COMPONENTS = Section(components_row, component_tables, after="digital", chapter="Energy and area")
