"""Totals of a program, each with the reason where it is unknown; `totals_tables` shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from xbarc.cost import (
    CostPart,
    ProgramCost,
    area_parts,
    chip_arrays,
    conversions_made,
    energy_parts,
    total,
    total_band,
)
from xbarc.ir import CrossbarStep
from xbarc.report.section import Section, Subject
from xbarc.report.sections.components import (
    PJ_PER_UJ,
    UM2_PER_MM2,
    Components,
    components_row,
)
from xbarc.report.sections.full_chip import array_cells
from xbarc.rows import Row, fact
from xbarc.target import Target, figures


class Totals(Row):
    """One program, one inference."""

    arrays: int = fact("physical arrays in use, weight duplication included, count")
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
    macs_crossbar: int | None = fact("multiply-accumulates on crossbars, count per inference")
    macs_digital: int | None = fact(
        "multiply-accumulates of digital fragments, count per inference"
    )
    conversions: int | None = fact("conversions of all converters, count per inference")
    area_mm2: float | None = fact("sum of `components.area`, mm2")
    area_low_mm2: float | None = fact("area by the least of the sources that disagree, mm2")
    area_high_mm2: float | None = fact("area by the largest of them, mm2")
    energy_uj: float | None = fact(
        "sum of `components.energy`, uJ per inference at full rate: what is always on "
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
    tops_per_watt: float | None = fact("2 operations per multiply-accumulate, TOPS/W")
    unknown: dict[str, str] = fact("why a total is not known, by its name")


def totals_row(subject: Subject) -> Totals:
    """Every total, and why one is not known."""
    program, cost, target = subject.program, subject.cost, subject.target
    counts, capacity = cost.counts, cost.counts.arrays * array_cells(target)
    found = _uncertain(cost, components_row(subject), target)
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
        # Value and reason come from one table: no total can be unknown without saying why.
        unknown={name: reason for name, (value, reason) in found.items() if value is None},
        **{name: value for name, (value, _) in found.items()},
    )


def _uncertain(
    cost: ProgramCost, components: Components, target: Target
) -> dict[str, tuple[Any, str]]:
    """Totals that may be unknown, each with the reason."""
    counts, plan, counted = cost.counts, cost.schedule, cost.crossbars_counted
    # One reason is enough here; the notes name them all.
    first = next((left.reason for left in cost.left_out if left.kind == "crossbar"), "")
    happened = f"no layer can be counted: {first}"
    figure = "a figure of the target is missing"
    spent = figure if counted else happened
    late = cost.unscheduled if counted else happened
    energy = _per(total(components.energy), PJ_PER_UJ) if counted else None
    alone = total(energy_parts(cost.alone, target)) if counted else None
    lows = total_band(components.area), total_band(components.energy) if counted else (None, None)
    (area_low, area_high), (energy_low, energy_high) = lows
    macs, interval = counts.crossbar_macs + counts.digital_macs, cost.interval_ns
    untimed = "the target has no costs.digital_rate: not in the latency" if plan else late
    return {
        "macs_crossbar": (int(counts.crossbar_macs) if counted else None, happened),
        "macs_digital": (
            int(counts.digital_macs) if cost.digital_counted else None,
            "no digital work can be counted",
        ),
        "conversions": (int(counts.all_conversions) if counted else None, happened),
        "area_mm2": (_per(total(components.area), UM2_PER_MM2), figure),
        "energy_uj": (energy, spent),
        "energy_alone_uj": (_per(alone, PJ_PER_UJ), spent),
        "write_energy_uj": (_per(total(components.write), PJ_PER_UJ), _no_source("write_energy")),
        "latency_us": (_per(cost.latency_ns, 1e3), late),
        "digital_time_us": (_per(plan.digital_ps if plan else None, 1e6), untimed),
        "inferences_per_s": (
            1e9 / interval if interval else None,
            "no layer runs on a crossbar" if plan else late,
        ),
        "tops_per_watt": (
            # An operation a pJ is a TOPS/W.
            2 * macs / (energy * PJ_PER_UJ) if energy else None,
            "the program spends no energy" if counted else happened,
        ),
        "write_time_us": (_write_time_us(cost, target), _no_source("write_time")),
        "area_low_mm2": (_per(area_low, UM2_PER_MM2), figure),
        "area_high_mm2": (_per(area_high, UM2_PER_MM2), figure),
        "energy_low_uj": (_per(energy_low, PJ_PER_UJ), spent),
        "energy_high_uj": (_per(energy_high, PJ_PER_UJ), spent),
        "writes_borne": (
            None if target.costs.endurance is None else target.costs.endurance.value,
            _no_source("endurance"),
        ),
    }


def _no_source(figure: str) -> str:
    return f"the target has no costs.{figure}: no source gives it"


def _per(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _adc_settings(step: CrossbarStep, target: Target) -> int:
    """Settings that the hardware holds: one a conversion, and a cycle where it may change."""
    cycles = step.input_slices if target.adc.reference == "per-cycle" else 1
    made = conversions_made(step)
    # An axis of length 1 stands for all groups, whose settings are loaded one by one all the same.
    return int(np.count_nonzero(made) * (step.groups // made.shape[0]) * cycles)


def _confirmed_share(parts: Sequence[CostPart], target: Target) -> float:
    """Share of a total whose figures were all read in a source text."""
    known = dict(figures(target))
    whole = sum(part.total or 0.0 for part in parts)
    if not whole:
        return 1.0
    sure = 0.0
    for part in parts:
        # `costs.adc.*` stands for all figures of the converter's law: one that was not read spoils
        # the part.
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
    # All rows, used or not: cells that hold nothing are written to level 0.
    rows = target.array.rows if cost.counts.arrays else 0
    return rows * figure.value / 1e3


TOTALS = Section(totals_row)
