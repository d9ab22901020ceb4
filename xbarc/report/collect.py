"""The one collector: from a program to the values that every renderer prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from xbarc.cost import (
    CostPart,
    FullLoad,
    Policy,
    ProgramCost,
    area_parts,
    chip_arrays,
    energy_parts,
    full_chip,
    parse_policy,
    program_cost,
    total,
    total_band,
    write_parts,
)
from xbarc.cost.counting import conversions_made
from xbarc.ir.operands import OperandStatistics
from xbarc.ir.program import CrossbarStep, DigitalStep, Program
from xbarc.report.active_rows import rows_notes
from xbarc.report.converters import converter_rows, front_notes
from xbarc.report.devices import device_rows
from xbarc.report.facts import facts_rows
from xbarc.report.layers import layer_row
from xbarc.report.model import (
    ChipRow,
    Components,
    DigitalRow,
    Report,
    TargetRow,
    Totals,
)
from xbarc.report.notes import notes
from xbarc.report.planning import (
    adc_model_rows,
    confirmed_share,
    level_rows,
    operands_row,
    schedule_row,
    write_time_us,
)
from xbarc.report.solver import solver_rows
from xbarc.report.sources import source_rows
from xbarc.target import Target, describe

_PJ_PER_UJ = 1e6
_UM2_PER_MM2 = 1e6


def collect(
    program: Program,
    policy: Policy | None = None,
    operands: Mapping[str, OperandStatistics] | None = None,
    load: FullLoad | None = None,
) -> Report:
    """Gather counts, costs, schedule, estimates and sources of a program.

    Args:
        program: what is reported.
        policy: how copies of weights are chosen; what the program was compiled with by default.
        operands: what the wordlines of each layer carried on some data, for energies by data.
        load: what a full array does, for a target that states no `[peak]`; without it the report
            leaves the chip at full load out.

    Raises:
        MappingError: the policy cannot be met.
    """
    target = program.target
    asked = policy or parse_policy(dict(program.settings).get("duplicate", "none"), target)
    cost = program_cost(program, asked)
    components = _components(cost, target)
    totals = _totals(program, cost, components)
    return Report(
        name=program.name,
        model_sha256=program.source.sha256,
        target=_target_row(target),
        settings=dict(program.settings),
        totals=totals,
        left_out=cost.left_out,
        layers=tuple(layer_row(layer, target) for layer in cost.layers),
        digital=tuple(_digital_row(step, target) for step in program.digital_steps),
        converters=converter_rows(cost.layers, target),
        front=program.front,
        facts=facts_rows(program),
        rows=program.rows,
        solver=solver_rows(program),
        components=components,
        schedule=schedule_row(cost, target),
        operands=operands_row(cost, target, operands, totals.energy_uj),
        adc_models=adc_model_rows(cost, target),
        chip=_chip_row(target, load),
        device=device_rows(target, cost.levels),
        sources=source_rows(target),
        notes=(*front_notes(program), *rows_notes(program), *notes(program, cost)),
    )


def _target_row(target: Target) -> TargetRow:
    return TargetRow(
        name=target.name,
        description=describe(target),
        kind=target.kind,
        technology=target.cell.technology,
        node_nm=target.node_nm,
    )


def _components(cost: ProgramCost, target: Target) -> Components:
    return Components(
        area=area_parts(cost.counts, target),
        energy=energy_parts(cost.counts, target),
        write=write_parts(cost.counts, target),
    )


def sum_rows(parts: Iterable[CostPart], divisor: float) -> float | None:
    """The total of printed parts; None when one of them is unknown."""
    found = total(parts)
    return None if found is None else found / divisor


def _totals(program: Program, cost: ProgramCost, components: Components) -> Totals:
    counts, target = cost.counts, program.target
    capacity = counts.arrays * array_cells(target)
    values = {
        **_performance(cost, components, target),
        "write_time_us": write_time_us(cost, target),
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
        area_confirmed=confirmed_share(area_parts(counts, target), target),
        energy_confirmed=confirmed_share(energy_parts(counts, target), target),
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
    made = conversions_made(step)
    return int(np.count_nonzero(made) * (step.groups // made.shape[0]) * cycles)


def _performance(cost: ProgramCost, components: Components, target: Target) -> dict[str, Any]:
    """Totals that may be unknown."""
    counts = cost.counts
    happened, digital = cost.crossbars_counted, cost.digital_counted
    energy = sum_rows(components.energy, _PJ_PER_UJ) if happened else None
    macs = counts.crossbar_macs + counts.digital_macs
    interval, latency = cost.interval_ns, cost.latency_ns
    plan = cost.schedule
    work = None if plan is None else plan.digital_ps
    return {
        "macs_crossbar": int(counts.crossbar_macs) if happened else None,
        "macs_digital": int(counts.digital_macs) if digital else None,
        "conversions": int(counts.all_conversions) if happened else None,
        "area_mm2": sum_rows(components.area, _UM2_PER_MM2),
        "energy_uj": energy,
        "energy_alone_uj": _energy_alone(cost, target) if happened else None,
        "write_energy_uj": sum_rows(components.write, _PJ_PER_UJ),
        "latency_us": None if latency is None else latency / 1e3,
        "digital_time_us": None if work is None else work / 1e6,
        "inferences_per_s": 1e9 / interval if interval else None,
        "tops_per_watt": 2 * macs / (energy * _PJ_PER_UJ) if energy else None,
    }


def _energy_alone(cost: ProgramCost, target: Target) -> float | None:
    """Energy of an inference that follows no other, uJ."""
    found = total(energy_parts(cost.alone, target))
    return None if found is None else found / _PJ_PER_UJ


def _bands(cost: ProgramCost, components: Components) -> dict[str, float | None]:
    """Totals over the least and the largest of the sources that disagree."""
    happened = cost.crossbars_counted
    area = _ends(components.area, _UM2_PER_MM2)
    energy = _ends(components.energy, _PJ_PER_UJ) if happened else (None, None)
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


def _digital_row(step: DigitalStep, target: Target) -> DigitalRow:
    cost = target.costs.digital_energy.value
    return DigitalRow(
        name=step.name,
        operators=dict(step.operators),
        macs=step.macs,
        energy_uj=None if step.macs is None else step.macs * cost / _PJ_PER_UJ,
        notes=step.notes,
        uncounted=step.uncounted,
    )


def _chip_row(target: Target, load: FullLoad | None) -> ChipRow:
    counts = full_chip(target)
    parts = area_parts(counts, target)
    return ChipRow(
        arrays=int(counts.arrays),
        cells=int(counts.arrays) * array_cells(target),
        adcs=int(counts.all_adcs),
        adc_bits=target.adc.max_bits,
        area_mm2=sum_rows(parts, _UM2_PER_MM2),
        parts=parts,
        buffer_rate=_buffer_rate(target),
        levels=level_rows(target, load),
    )


def _buffer_rate(target: Target) -> float | None:
    rate = None if target.peak is None else target.peak.buffer_rate
    return None if rate is None else rate.value
