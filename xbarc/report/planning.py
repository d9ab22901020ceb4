"""Rows about time, trust and other models' opinions."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.cost import LEVELS, CostPart, LayerSchedule, ProgramCost, chip_cost
from xbarc.cost.adc_models import adc_opinions
from xbarc.report.model import AdcModelRow, LevelRow, PathRow, ScheduledRow, ScheduleRow
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
        layers=tuple(_layer(layer, plan.interval_ps) for layer in plan.layers),
        path=tuple(
            PathRow(
                name=part.name,
                begin_us=part.begin_ps / _PS_PER_US,
                end_us=part.end_ps / _PS_PER_US,
                rounds=part.rounds,
            )
            for part in plan.path
        ),
    )


def _layer(layer: LayerSchedule, interval_ps: int) -> ScheduledRow:
    return ScheduledRow(
        name=layer.name,
        copies=layer.copies,
        rounds=layer.rounds,
        round_ns=layer.round_ps / 1e3,
        start_us=layer.start_ps / _PS_PER_US,
        end_us=layer.end_ps / _PS_PER_US,
        busy_us=layer.busy_ps / _PS_PER_US,
        utilization=layer.busy_ps / interval_ps if interval_ps else 0.0,
        buffer_positions=layer.buffer_positions,
        buffer_bytes=layer.buffer_bytes,
        waits_for_all=layer.waits_for_all,
    )


def adc_model_rows(cost: ProgramCost, target: Target) -> tuple[AdcModelRow, ...]:
    """Every width of converters in use by every model that holds there."""
    return tuple(
        AdcModelRow(
            bits=bits,
            model=opinion.model,
            source=opinion.source,
            energy_pj=opinion.energy_pj,
            area_um2=opinion.area_um2,
        )
        for bits, count in enumerate(cost.counts.adcs)
        if count and bits
        for opinion in adc_opinions(bits, target)
    )


def level_rows(target: Target) -> tuple[LevelRow, ...]:
    """The target's own chip at full load."""
    rows = []
    for level in LEVELS:
        cost = chip_cost(target, level)
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
