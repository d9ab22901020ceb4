"""Rows about time, trust and other models' opinions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xbarc.cost import (
    LEVELS,
    CostPart,
    FullLoad,
    LayerCost,
    ProgramCost,
    chip_cost,
    stated_load,
)
from xbarc.cost.adc_models import AdcOpinion, adc_opinions, further_opinions
from xbarc.cost.operands import operand_energy
from xbarc.ir.operands import OperandStatistics
from xbarc.report.chip_rows import LevelRow
from xbarc.report.model import OperandRow, OperandsRow, ScheduleRow
from xbarc.target import Target, figures

_PS_PER_US = 1e6


def schedule_row(cost: ProgramCost, target: Target) -> ScheduleRow | None:
    """The schedule; None where a shape is not known."""
    plan = cost.schedule
    if plan is None:
        return None
    return ScheduleRow(
        duplicate=str(cost.policy),
        latency_us=plan.latency_ps / _PS_PER_US,
        interval_us=plan.interval_ps / _PS_PER_US,
        bottleneck=plan.bottleneck,
        utilization=plan.utilization,
        buffer_kib=sum(layer.buffer_bytes for layer in plan.layers) / 1024,
        buffer_kib_there=cost.counts.tiles * target.hierarchy.buffer_kib,
        layers=plan.layers,
        path=plan.path,
    )


def operands_row(
    cost: ProgramCost,
    target: Target,
    seen: Mapping[str, OperandStatistics] | None,
    energy_uj: float | None,
) -> OperandsRow | None:
    """Energies by data; None where no data was given.

    Args:
        cost: the program's counts.
        target: its target.
        seen: what the wordlines of each layer carried.
        energy_uj: the headline.
    """
    if seen is None:
        return None
    rows = tuple(_operands(layer, target, seen[layer.step.name]) for layer in cost.layers)
    changed = [_change(row) for row in rows]
    known = [value for value in changed if value is not None]
    whole = energy_uj is not None and len(known) == len(rows)
    return OperandsRow(
        vectors=sum(statistics.vectors for statistics in seen.values()),
        energy_uj=(energy_uj or 0.0) + sum(known) if whole else None,
        layers=rows,
    )


def _operands(layer: LayerCost, target: Target, seen: OperandStatistics) -> OperandRow:
    found, times = operand_energy(layer.step, seen, target), (layer.positions or 0) / 1e6
    costs = target.costs
    return OperandRow(
        name=layer.step.name,
        driven=found.driven,
        mean_level=found.mean_level,
        array_uj=None if found.array_pj is None else found.array_pj * times,
        array_constant_uj=layer.vector.array_reads * costs.array_energy.value * times,
        driver_uj=found.driver_pj * times,
        driver_constant_uj=layer.vector.wordline_drives * costs.driver_energy.value * times,
    )


def _change(row: OperandRow) -> float | None:
    if row.array_uj is None:
        return None
    return row.array_uj - row.array_constant_uj + row.driver_uj - row.driver_constant_uj


def adc_model_rows(cost: ProgramCost, target: Target) -> tuple[AdcOpinion, ...]:
    """Every width of converters in use by every model that holds there."""
    return tuple(
        opinion
        for bits, count in enumerate(cost.counts.adcs)
        if count and bits
        for opinion in (*adc_opinions(bits, target), *further_opinions(bits, target))
    )


def level_rows(target: Target, load: FullLoad | None = None) -> tuple[LevelRow, ...]:
    """The target's own chip at full load; none where nobody says what a full array does."""
    if load is None and stated_load(target) is None:
        return ()
    rows = []
    for level in LEVELS:
        cost = chip_cost(target, level, load=load)
        area = cost.area_um2
        rows.append(
            LevelRow(
                level=level,
                power_mw=cost.power_mw,
                area_mm2=None if area is None else area / 1e6,
                gops=cost.gops,
                capacity_mib=cost.capacity_mib,
                vector_ns=cost.timing.vector_ns,
                conversions_per_mac=cost.conversions_per_mac,
            )
        )
    return tuple(rows)


def confirmed_share(parts: Sequence[CostPart], target: Target) -> float:
    """Share of a total whose figures were all read in a source text."""
    known = dict(figures(target))
    whole = sum(part.total or 0.0 for part in parts)
    if not whole:
        return 1.0
    sure = 0.0
    for part in parts:
        stem = part.figure.removesuffix("*")
        used = [figure for path, figure in known.items() if path.startswith(stem)]
        sure += (part.total or 0.0) * all(figure.confirmed for figure in used)
    return sure / whole


def write_time_us(cost: ProgramCost, target: Target) -> float | None:
    """Arrays are written side by side, the rows of each one after another."""
    figure = target.costs.write_time
    if figure is None:
        return None
    rows = target.array.rows if cost.counts.arrays else 0
    return rows * figure.value / 1e3
