"""Totals as tables: what is known with what limits it, and what is not known with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xbarc.cost import CostPart, LeftOut
from xbarc.report.sections.components import Components
from xbarc.report.sections.full_chip import ChipRow
from xbarc.report.sections.schedule import ScheduleRow
from xbarc.report.sections.totals import Totals
from xbarc.rows import TableData, number, percent

# Names that a line shows at most.
_NAMED = 3


@dataclass(frozen=True)
class TotalLine:
    """A total as people read it.

    Attributes:
        field: its name in the report; empty where several share the line.
        remark: what limits it, or what it is to be seen beside.
    """

    label: str
    field: str
    value: str
    unit: str
    remark: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """As a line of the table."""
        return (self.label, self.value, self.unit, self.remark)


@dataclass(frozen=True)
class TotalsContext:
    """Totals, and the sections that say what limits them.

    Attributes:
        left: work that they do not hold.
        chip: one whole chip, for what would fit.
        plan: the schedule; None where there is none.
    """

    totals: Totals
    left: Sequence[LeftOut]
    chip: ChipRow
    plan: ScheduleRow | None
    components: Components


def key_lines(seen: TotalsContext) -> tuple[TotalLine, ...]:
    """What a reader asks first: energy, area, latency, rate, efficiency, arrays."""
    totals, parts = seen.totals, seen.components
    policy = "" if seen.plan is None else f"--duplicate {seen.plan.duplicate}"
    room = f"{_fits(totals)} of {number(seen.chip.arrays)} arrays"
    return (
        _line(totals, "energy per inference", "energy_uj", "uJ", largest_part(parts.energy)),
        _line(totals, "area", "area_mm2", "mm2", largest_part(parts.area)),
        _line(totals, "latency of one inference", "latency_us", "us", _longest(seen.plan)),
        _line(totals, "inferences per second", "inferences_per_s", "", _limit(seen.plan)),
        _line(totals, "efficiency", "tops_per_watt", "TOPS/W"),
        _line(totals, "arrays", "arrays", "", "; ".join(filter(None, (room, policy)))),
    )


def totals_table(seen: TotalsContext, *, whole: bool = True) -> TableData:
    """Totals that are known, with what limits them or what they are made of.

    Args:
        seen: what is shown.
        whole: those of `key_lines` too.
    """
    totals = seen.totals
    lines = (*(key_lines(seen) if whole else ()), *_of_costs(totals), *_of_counts(totals))
    rows = tuple(line.cells for line in lines if line.field not in totals.unknown)
    if seen.left:
        names = ", ".join(dict.fromkeys(row.name for row in seen.left[:_NAMED]))
        rows = (
            *rows,
            ("left out of the totals", number(len(seen.left)), "", f"{names}: see the notes"),
        )
    return TableData(
        "Totals" if whole else "Further totals",
        ("total", "value>", "unit", "limits and remarks"),
        rows,
    )


def unknown_table(seen: TotalsContext) -> TableData:
    """Every total that is not known, with the reason."""
    totals = seen.totals
    lines = (*key_lines(seen), *_of_costs(totals), *_of_counts(totals))
    rows = tuple(
        (line.label, totals.unknown[line.field]) for line in lines if line.field in totals.unknown
    )
    return TableData("Not known", ("total", "why"), rows)


def _of_costs(totals: Totals) -> tuple[TotalLine, ...]:
    """Costs beside the first ones: what other sources say, programming, digital work."""
    return (
        *_band("energy by other sources", "uJ", totals.energy_low_uj, totals.energy_high_uj),
        _line(
            totals,
            "energy of a lone inference",
            "energy_alone_uj",
            "uJ",
            "idle power for its latency",
        ),
        _share("energy from confirmed sources", totals.energy_confirmed),
        *_band("area by other sources", "mm2", totals.area_low_mm2, totals.area_high_mm2),
        _share("area from confirmed sources", totals.area_confirmed),
        _line(totals, "time of digital work", "digital_time_us", "us", "in the latency"),
        _line(totals, "energy of programming", "write_energy_uj", "uJ"),
        _line(totals, "time of programming", "write_time_us", "us"),
        _line(totals, "endurance of cells", "writes_borne", "times"),
    )


def _of_counts(totals: Totals) -> tuple[TotalLine, ...]:
    used = f"{percent(totals.cell_utilization)} of the arrays"
    stages = (totals.macros, totals.tiles, totals.chips)
    return (
        _line(totals, "arrays without duplication", "arrays_once", ""),
        _line(totals, "arrays without packing", "arrays_without_packing", "", "one per block"),
        TotalLine("macros, tiles, chips", "", ", ".join(map(number, stages)), ""),
        _line(totals, "cells in use", "cells", "", used),
        _line(totals, "converters", "adcs", "", f"{number(totals.adc_settings)} settings"),
        _line(totals, "MACs on crossbars", "macs_crossbar", ""),
        _line(totals, "MACs digital", "macs_digital", ""),
        _line(totals, "conversions", "conversions", ""),
    )


def _line(totals: Totals, label: str, field: str, unit: str, remark: str = "") -> TotalLine:
    return TotalLine(label, field, number(getattr(totals, field)), unit, remark)


def _share(label: str, share: float) -> TotalLine:
    return TotalLine(label, "", f"{100 * share:.3g}", "%")


def _band(label: str, unit: str, low: float | None, high: float | None) -> tuple[TotalLine, ...]:
    """What the least and the largest of the sources say; nothing where they agree."""
    # A band without an end is as unknown as the total itself, whose line says why.
    if low is None or high is None or low == high:
        return ()
    return (TotalLine(label, "", f"{number(low)} to {number(high)}", unit),)


def _fits(totals: Totals) -> str:
    missing = totals.arrays_missing
    return f"{number(missing)} more than the one chip" if missing else "fits one chip"


def largest_part(parts: Sequence[CostPart]) -> str:
    """The component that a total owes most to."""
    whole = sum(part.total or 0.0 for part in parts)
    if not whole:
        return ""
    most = max(parts, key=lambda part: part.total or 0.0)
    return f"{percent((most.total or 0.0) / whole)} of it: {most.name}"


def _longest(plan: ScheduleRow | None) -> str:
    """The layer or fragment that the critical path stays in longest."""
    if plan is None or not plan.latency_us:
        return ""
    spent: dict[str, int] = {}
    for part in plan.path:
        spent[part.name] = spent.get(part.name, 0) + part.end_ps - part.begin_ps
    if not spent:
        return ""
    name = max(spent, key=lambda one: spent[one])
    return f"{percent(spent[name] / 1e6 / plan.latency_us)} of it: {name}"


def _limit(plan: ScheduleRow | None) -> str:
    return "" if plan is None or not plan.bottleneck else f"{plan.bottleneck} limits"
