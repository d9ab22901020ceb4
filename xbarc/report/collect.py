"""The one collector: from a program to the values that every renderer prints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from xbarc.cost import (
    CostPart,
    ProgramCost,
    area_parts,
    device_estimates,
    energy_parts,
    full_chip,
    program_cost,
    total,
    write_parts,
)
from xbarc.ir.program import CrossbarStep, DigitalStep, Program
from xbarc.report.converters import converter_rows, front_notes, front_rows
from xbarc.report.layers import layer_row
from xbarc.report.model import (
    ChipRow,
    Components,
    DeviceRow,
    DigitalRow,
    PartRow,
    Report,
    SourceRow,
    TargetRow,
    Totals,
)
from xbarc.report.notes import notes
from xbarc.target import Figure, FigureList, Provenance, Target, figures

_PJ_PER_UJ = 1e6
_UM2_PER_MM2 = 1e6


def collect(program: Program) -> Report:
    """Gather counts, costs, estimates and sources of a program."""
    target, cost = program.target, program_cost(program)
    components = _components(cost, target)
    return Report(
        name=program.name,
        model_sha256=program.source.sha256,
        target=_target_row(target),
        settings=dict(program.settings),
        totals=_totals(program, cost, components),
        layers=tuple(layer_row(layer, target) for layer in cost.layers),
        digital=tuple(_digital_row(step, target) for step in program.digital_steps),
        converters=converter_rows(cost.layers, target),
        front=front_rows(program),
        components=components,
        chip=_chip_row(target),
        device=tuple(
            DeviceRow(name=item.name, value=item.value, unit=item.unit, formula=item.formula)
            for item in device_estimates(target, cost.levels)
        ),
        sources=source_rows(target),
        notes=(*front_notes(program), *notes(program, cost)),
    )


def _target_row(target: Target) -> TargetRow:
    return TargetRow(
        name=target.name,
        description=target.description,
        kind=target.kind,
        technology=target.cell.technology,
        node_nm=target.node_nm,
    )


def _components(cost: ProgramCost, target: Target) -> Components:
    return Components(
        area=_rows(area_parts(cost.counts, target)),
        energy=_rows(energy_parts(cost.counts, target)),
        write=_rows(write_parts(cost.counts, target)),
    )


def _rows(parts: Iterable[CostPart]) -> tuple[PartRow, ...]:
    return tuple(
        PartRow(
            name=part.name,
            count=part.count,
            figure=part.figure,
            unit_cost=part.unit_cost,
            total=part.total,
            unit=part.unit,
        )
        for part in parts
    )


def sum_rows(rows: Iterable[PartRow], divisor: float) -> float | None:
    """The total of printed parts; None when one of them is unknown."""
    parts = (CostPart(r.name, r.count, r.figure, r.unit_cost, r.total, r.unit) for r in rows)
    found = total(parts)
    return None if found is None else found / divisor


def _totals(program: Program, cost: ProgramCost, components: Components) -> Totals:
    counts, target = cost.counts, program.target
    capacity = program.arrays * array_cells(target)
    values = _performance(cost, components)
    reasons = _reasons(cost)
    unknown = {name: reasons[name] for name, value in values.items() if value is None}
    return Totals(
        arrays=program.arrays,
        arrays_without_packing=sum(step.tiling.array.size for step in program.crossbar_steps),
        cells=int(counts.cells_written),
        cell_utilization=counts.cells_written / capacity if capacity else None,
        adcs=int(counts.all_adcs),
        adc_settings=sum(_adc_settings(step, target) for step in program.crossbar_steps),
        macros=int(counts.macros),
        tiles=int(counts.tiles),
        chips=int(counts.chips),
        fits_one_chip=counts.chips <= 1,
        unknown=unknown,
        **values,
    )


def array_cells(target: Target) -> int:
    """Cells of one array, spare columns included."""
    return target.array.rows * (target.array.columns + target.array.spare_columns)


def _adc_settings(step: CrossbarStep, target: Target) -> int:
    """Settings that the hardware holds: one a conversion, and a cycle where it may change."""
    cycles = step.input_slices if target.adc.reference == "per-cycle" else 1
    row_blocks = len(step.tiling.row_bounds) - 1
    return step.groups * row_blocks * step.conversions * cycles


def _performance(cost: ProgramCost, components: Components) -> dict[str, Any]:
    """Totals that may be unknown."""
    counts = cost.counts
    happened, digital = not cost.unknown.positions, not cost.unknown.digital
    energy = sum_rows(components.energy, _PJ_PER_UJ) if happened and digital else None
    macs = counts.crossbar_macs + counts.digital_macs
    interval, latency = cost.interval_ns, cost.latency_ns
    return {
        "macs_crossbar": int(counts.crossbar_macs) if happened else None,
        "macs_digital": int(counts.digital_macs) if digital else None,
        "conversions": int(counts.all_conversions) if happened else None,
        "area_mm2": sum_rows(components.area, _UM2_PER_MM2),
        "energy_uj": energy,
        "write_energy_uj": sum_rows(components.write, _PJ_PER_UJ),
        "latency_us": None if latency is None else latency / 1e3,
        "inferences_per_s": 1e9 / interval if interval else None,
        "tops_per_watt": 2 * macs / (energy * _PJ_PER_UJ) if energy else None,
    }


def _reasons(cost: ProgramCost) -> dict[str, str]:
    """Why each total would be unknown."""
    happened, digital = cost.unknown.positions, cost.unknown.digital
    either = happened or digital
    return {
        "macs_crossbar": happened,
        "macs_digital": digital,
        "conversions": happened,
        "area_mm2": "a figure of the target is missing",
        "energy_uj": either,
        "write_energy_uj": "the target has no costs.write_energy: no source gives it",
        "latency_us": happened,
        "inferences_per_s": happened or "no layer runs on a crossbar",
        "tops_per_watt": either or "the program spends no energy",
    }


def _digital_row(step: DigitalStep, target: Target) -> DigitalRow:
    cost = target.costs.digital_energy.value
    return DigitalRow(
        name=step.name,
        operators=dict(step.operators),
        macs=step.macs,
        energy_uj=None if step.macs is None else step.macs * cost / _PJ_PER_UJ,
        notes=step.notes,
    )


def _chip_row(target: Target) -> ChipRow:
    counts = full_chip(target)
    parts = _rows(area_parts(counts, target))
    return ChipRow(
        arrays=int(counts.arrays),
        cells=int(counts.arrays) * array_cells(target),
        adcs=int(counts.all_adcs),
        adc_bits=target.adc.max_bits,
        area_mm2=sum_rows(parts, _UM2_PER_MM2),
        parts=parts,
    )


def source_rows(target: Target) -> tuple[SourceRow, ...]:
    """Every figure of a target with the text that it comes from."""
    return tuple(_source_row(path, figure, target) for path, figure in figures(target))


def _source_row(path: str, figure: Provenance, target: Target) -> SourceRow:
    source = target.sources.get(figure.source)
    return SourceRow(
        path=path,
        values=_values(figure),
        unit=figure.unit,
        source=figure.source,
        via=figure.via,
        confirmed=figure.confirmed,
        note=figure.note,
        kind=source.kind if source else "assumed",
        cite=source.cite if source else "",
        url=source.url if source else "",
    )


def _values(figure: Provenance) -> tuple[float, ...]:
    if isinstance(figure, FigureList):
        return figure.values
    return (figure.value,) if isinstance(figure, Figure) else ()
