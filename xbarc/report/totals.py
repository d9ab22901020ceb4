"""Totals of a program, each with the reason where it is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from xbarc.cost import (
    CostPart,
    LeftOut,
    ProgramCost,
    area_parts,
    chip_arrays,
    energy_parts,
    total,
    total_band,
)
from xbarc.cost.counting import conversions_made
from xbarc.ir.program import CrossbarStep
from xbarc.report.components import (
    PJ_PER_UJ,
    UM2_PER_MM2,
    Components,
    components_row,
    sum_parts,
)
from xbarc.report.full_chip import ChipRow, array_cells
from xbarc.report.schedule import ScheduleRow
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, TableData, fact, number, percent
from xbarc.target import Target, figures

_NAMED = 3
"""Names that a line shows at most."""


class Totals(Row):
    """One program, one inference."""

    arrays: int = fact("physical arrays in use, copies of weights included, count")
    arrays_once: int = fact("arrays of one copy of every layer, count")
    arrays_missing: int = fact("arrays beyond those of one chip, count; 0: it fits")
    arrays_without_packing: int = fact("arrays, had every block its own, count")
    cells: int = fact("cells in use, count")
    cell_utilization: float | None = fact("cells in use over cells of the arrays, 0 to 1")
    adcs: int = fact("converters of the arrays, count")
    adc_settings: int = fact("ranges and steps that converters are loaded with, count")
    macros: int = fact("macros in use, count")
    tiles: int = fact("tiles in use, count")
    chips: int = fact("chips in use, count")
    fits_one_chip: bool = fact("whether one chip is enough")
    macs_crossbar: int | None = fact("multiply-accumulates on crossbars, count an inference")
    macs_digital: int | None = fact("multiply-accumulates of digital fragments, count an inference")
    conversions: int | None = fact("conversions of all converters, count an inference")
    area_mm2: float | None = fact("sum of `components.area`, mm2")
    area_low_mm2: float | None = fact("area by the least of the sources that disagree, mm2")
    area_high_mm2: float | None = fact("area by the largest of them, mm2")
    energy_uj: float | None = fact(
        "sum of `components.energy`, uJ an inference at full rate: what is always on "
        "is charged for the interval between two inferences"
    )
    energy_alone_uj: float | None = fact(
        "the same for an inference that follows no other, uJ: what is always on is "
        "charged for its latency"
    )
    energy_low_uj: float | None = fact("energy by the least of the sources that disagree, uJ")
    energy_high_uj: float | None = fact("energy by the largest of them, uJ")
    area_confirmed: float = fact(
        "share of the area whose figures were read in a source text, 0 to 1"
    )
    energy_confirmed: float = fact(
        "share of the energy whose figures were read in a source text, 0 to 1"
    )
    write_energy_uj: float | None = fact("programming all cells once, uJ")
    write_time_us: float | None = fact(
        "programming all cells once, arrays side by side, row after row, us"
    )
    writes_borne: float | None = fact("how many times cells can be written")
    digital_time_us: float | None = fact(
        "work of digital units, a part of the latency where it is known, us", later=True
    )
    latency_us: float | None = fact(
        "from the first input to the last result, layers overlapping, us"
    )
    inferences_per_s: float | None = fact(
        "at full rate: the busiest array, link or digital unit decides, 1/s"
    )
    tops_per_watt: float | None = fact("2 operations a multiply-accumulate, TOPS/W")
    unknown: dict[str, str] = fact("why a total is not known, by its name")


def totals_row(subject: Subject) -> Totals:
    """Every total, and why one is not known."""
    program, cost, components = subject.program, subject.cost, components_row(subject)
    counts, target = cost.counts, program.target
    capacity = counts.arrays * array_cells(target)
    values = {
        **_performance(cost, components, target),
        "write_time_us": _write_time_us(cost, target),
    }
    values |= _bands(cost, components)
    endurance = target.costs.endurance
    values["writes_borne"] = None if endurance is None else endurance.value
    reasons = _reasons(cost)
    unknown = {name: reasons[name] for name, value in values.items() if value is None}
    return Totals(
        arrays=int(counts.arrays),
        arrays_once=cost.arrays_once,
        arrays_missing=max(0, int(counts.arrays) - chip_arrays(target)),
        arrays_without_packing=sum(step.tiling.array.size for step in program.crossbar_steps),
        cells=int(counts.cells_written),
        cell_utilization=counts.cells_written / capacity if capacity else None,
        adcs=int(counts.all_adcs),
        adc_settings=sum(layer.copies * _adc_settings(layer.step, target) for layer in cost.layers),
        area_confirmed=_confirmed_share(area_parts(counts, target), target),
        energy_confirmed=_confirmed_share(energy_parts(counts, target), target),
        macros=int(counts.macros),
        tiles=int(counts.tiles),
        chips=int(counts.chips),
        fits_one_chip=counts.chips <= 1,
        unknown=unknown,
        **values,
    )


def _adc_settings(step: CrossbarStep, target: Target) -> int:
    """Settings that the hardware holds: one a conversion, and a cycle where it may change."""
    cycles = step.input_slices if target.adc.reference == "per-cycle" else 1
    made = conversions_made(step)
    return int(np.count_nonzero(made) * (step.groups // made.shape[0]) * cycles)


def _performance(cost: ProgramCost, components: Components, target: Target) -> dict[str, Any]:
    """Totals that may be unknown."""
    counts = cost.counts
    happened, digital = cost.crossbars_counted, cost.digital_counted
    energy = sum_parts(components.energy, PJ_PER_UJ) if happened else None
    macs = counts.crossbar_macs + counts.digital_macs
    interval, latency = cost.interval_ns, cost.latency_ns
    plan = cost.schedule
    work = None if plan is None else plan.digital_ps
    return {
        "macs_crossbar": int(counts.crossbar_macs) if happened else None,
        "macs_digital": int(counts.digital_macs) if digital else None,
        "conversions": int(counts.all_conversions) if happened else None,
        "area_mm2": sum_parts(components.area, UM2_PER_MM2),
        "energy_uj": energy,
        "energy_alone_uj": _energy_alone(cost, target) if happened else None,
        "write_energy_uj": sum_parts(components.write, PJ_PER_UJ),
        "latency_us": None if latency is None else latency / 1e3,
        "digital_time_us": None if work is None else work / 1e6,
        "inferences_per_s": 1e9 / interval if interval else None,
        "tops_per_watt": 2 * macs / (energy * PJ_PER_UJ) if energy else None,
    }


def _energy_alone(cost: ProgramCost, target: Target) -> float | None:
    """Energy of an inference that follows no other, uJ."""
    found = total(energy_parts(cost.alone, target))
    return None if found is None else found / PJ_PER_UJ


def _bands(cost: ProgramCost, components: Components) -> dict[str, float | None]:
    """Totals over the least and the largest of the sources that disagree."""
    happened = cost.crossbars_counted
    area = _ends(components.area, UM2_PER_MM2)
    energy = _ends(components.energy, PJ_PER_UJ) if happened else (None, None)
    return {
        "area_low_mm2": area[0],
        "area_high_mm2": area[1],
        "energy_low_uj": energy[0],
        "energy_high_uj": energy[1],
    }


def _ends(parts: Iterable[CostPart], divisor: float) -> tuple[float | None, float | None]:
    ends = total_band(parts)
    low, high = (None if end is None else end / divisor for end in ends)
    return low, high


def _reasons(cost: ProgramCost) -> dict[str, str]:
    """Why each total would be unknown."""
    first = next((left.reason for left in cost.left_out if left.kind == "crossbar"), "")
    happened = f"no layer can be counted: {first}"
    plan = cost.unscheduled if cost.crossbars_counted else happened
    figure = "a figure of the target is missing"
    return {
        "macs_crossbar": happened,
        "macs_digital": "no digital work can be counted",
        "conversions": happened,
        "area_mm2": figure,
        "energy_uj": figure if cost.crossbars_counted else happened,
        "area_low_mm2": figure,
        "area_high_mm2": figure,
        "energy_alone_uj": figure if cost.crossbars_counted else happened,
        "energy_low_uj": figure if cost.crossbars_counted else happened,
        "energy_high_uj": figure if cost.crossbars_counted else happened,
        "write_time_us": "the target has no costs.write_time: no source gives it",
        "writes_borne": "the target has no costs.endurance: no source gives it",
        "write_energy_uj": "the target has no costs.write_energy: no source gives it",
        "latency_us": plan,
        "digital_time_us": "the target has no costs.digital_rate: not in the latency"
        if cost.schedule
        else plan,
        "inferences_per_s": "no layer runs on a crossbar" if cost.schedule else plan,
        "tops_per_watt": "the program spends no energy" if cost.crossbars_counted else happened,
    }


def _confirmed_share(parts: Sequence[CostPart], target: Target) -> float:
    """Share of a total whose figures were all read in a source text."""
    known = dict(figures(target))
    whole = sum(part.total or 0.0 for part in parts)
    if not whole:
        return 1.0
    sure = 0.0
    for part in parts:
        stem = part.figure.removesuffix("*")
        used = [figure for path, figure in known.items() if path.startswith(stem)]
        known_all = bool(used) and all(figure.confirmed for figure in used)
        sure += (part.total or 0.0) * known_all
    return sure / whole


def _write_time_us(cost: ProgramCost, target: Target) -> float | None:
    """Arrays are written side by side, the rows of each one after another."""
    figure = target.costs.write_time
    if figure is None:
        return None
    rows = target.array.rows if cost.counts.arrays else 0
    return rows * figure.value / 1e3


def totals_table(
    totals: Totals, left: Sequence[LeftOut], chip: ChipRow, plan: ScheduleRow | None
) -> TableData:
    """Totals, each with the reason where it is unknown.

    Args:
        totals: what is shown.
        left: work that they do not hold.
        chip: one whole chip, for what would fit.
        plan: the schedule, for how copies of weights were chosen.
    """
    room = f"{_fits(totals)} of {number(chip.arrays)} arrays"
    policy = "" if plan is None else f"--duplicate {plan.duplicate}"
    rows: tuple[tuple[str, ...], ...] = (
        ("arrays", number(totals.arrays), room),
        ("arrays of one copy of everything", number(totals.arrays_once), policy),
        ("arrays without packing", number(totals.arrays_without_packing), "one a block"),
        ("macros, tiles, chips", _joined(totals.macros, totals.tiles, totals.chips), ""),
        ("cells in use", number(totals.cells), f"{percent(totals.cell_utilization)} of the arrays"),
        ("converters", number(totals.adcs), f"{number(totals.adc_settings)} settings"),
        _row(totals, "MACs on crossbars", "macs_crossbar", ""),
        _row(totals, "MACs digital", "macs_digital", ""),
        _row(totals, "conversions", "conversions", ""),
        _row(totals, "area", "area_mm2", f"mm2{_band(totals.area_low_mm2, totals.area_high_mm2)}"),
        ("area from figures that were read", percent(totals.area_confirmed), ""),
        _row(
            totals,
            "energy of one inference",
            "energy_uj",
            f"uJ{_band(totals.energy_low_uj, totals.energy_high_uj)}",
        ),
        _row(totals, "energy of a single one", "energy_alone_uj", "uJ, what is on for its latency"),
        ("energy from figures that were read", percent(totals.energy_confirmed), ""),
        _row(totals, "energy of programming", "write_energy_uj", "uJ"),
        _row(totals, "time of programming", "write_time_us", "us"),
        _row(totals, "endurance of cells", "writes_borne", "times"),
        _row(totals, "latency of one inference", "latency_us", "us"),
        _row(totals, "time of digital work", "digital_time_us", "us, in the latency"),
        _row(totals, "inferences a second", "inferences_per_s", "pipelined"),
        _row(totals, "efficiency", "tops_per_watt", "TOPS/W"),
    )
    if left:
        names = ", ".join(dict.fromkeys(row.name for row in left[:_NAMED]))
        rows = (*rows, ("left out of the totals", number(len(left)), f"{names}: see the notes"))
    return TableData("Totals", ("total", "value>", ""), rows)


def _fits(totals: Totals) -> str:
    missing = totals.arrays_missing
    return f"{number(missing)} more than the one chip" if missing else "fits one chip"


def _band(low: float | None, high: float | None) -> str:
    if low is None or high is None or low == high:
        return ""
    return f"; {number(low)} to {number(high)} by other sources"


def _row(totals: Totals, label: str, field: str, unit: str) -> tuple[str, ...]:
    reason = totals.unknown.get(field)
    return (label, number(getattr(totals, field)), unit if reason is None else reason)


def _joined(*values: int) -> str:
    return ", ".join(number(value) for value in values)


TOTALS = Section(totals_row)
