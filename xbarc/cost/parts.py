"""Counts times figures: rows whose sum is a total."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from xbarc.cost.counts import Counts, Histogram
from xbarc.target import AdcCosts, Figure, Target


@dataclass(frozen=True)
class CostPart:
    """One row of a breakdown.

    Attributes:
        figure: dotted path of the target's figure that the unit cost comes from.
        unit_cost: None where no source gives the figure.
        total: `count * unit_cost`, in `unit`; None where the unit cost is unknown.
        unit: pJ or um2.
    """

    name: str
    count: float
    figure: str
    unit_cost: float | None
    total: float | None
    unit: str


def total(parts: Iterable[CostPart]) -> float | None:
    """The sum of the parts; None when one of them is unknown."""
    values = [part.total for part in parts]
    known = [value for value in values if value is not None]
    return math.fsum(known) if len(known) == len(values) else None


def adc_energy_pj(bits: int, costs: AdcCosts) -> float:
    """Energy of one conversion: a comparator at 1 bit, the split SAR law above."""
    if bits <= 1:
        return bits * costs.comparator_energy.value
    law = costs.energy_linear.value * bits + costs.energy_exponential.value * 2.0**bits
    return costs.energy_scale.value * law


def adc_area_um2(bits: int, costs: AdcCosts) -> float:
    """Area of one converter of this width."""
    if bits <= 1:
        return bits * costs.comparator_area.value
    return costs.area_linear.value * bits + costs.area_exponential.value * 2.0**bits


def energy_parts(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """Energy of one inference in pJ, by component."""
    costs = target.costs
    return (
        _part("array read", counts.array_reads, "array_energy", costs.array_energy, "pJ"),
        _part(
            "wordline driver", counts.wordline_drives, "driver_energy", costs.driver_energy, "pJ"
        ),
        _part(
            "sample and hold", counts.samples, "sample_hold_energy", costs.sample_hold_energy, "pJ"
        ),
        *_converters(counts.conversions, "energy", costs.adc, adc_energy_pj, "pJ"),
        _part("shift-add", counts.shift_adds, "shift_add_energy", costs.shift_add_energy, "pJ"),
        _part(
            "register, bytes", counts.register_bytes, "register_energy", costs.register_energy, "pJ"
        ),
        _part("buffer, bytes", counts.buffer_bytes, "buffer_energy", costs.buffer_energy, "pJ"),
        _part("router, bytes", counts.router_bytes, "router_energy", costs.router_energy, "pJ"),
        _part("digital MAC", counts.digital_macs, "digital_energy", costs.digital_energy, "pJ"),
        _part("tile leakage, tile ns", counts.tile_time_ns, "tile_static", costs.tile_static, "pJ"),
        *_given("chip links, chip ns", counts.link_time_ns, "chip_static", costs.chip_static, "pJ"),
    )


def area_parts(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """Area in um2, by component."""
    costs, array = target.costs, target.array
    columns = array.columns + array.spare_columns
    wordlines, bitlines = counts.arrays * array.rows, counts.arrays * columns
    buffers = counts.tiles * target.hierarchy.buffer_kib
    routers = counts.tiles if target.hierarchy.network == "mesh" else 0
    return (
        _part("cell", wordlines * columns, "cell_area", costs.cell_area, "um2"),
        _part("wordline driver", wordlines, "driver_area", costs.driver_area, "um2"),
        _part("sample and hold", bitlines, "sample_hold_area", costs.sample_hold_area, "um2"),
        *_converters(counts.adcs, "area", costs.adc, adc_area_um2, "um2"),
        _part("shift-add", counts.all_adcs, "shift_add_area", costs.shift_add_area, "um2"),
        _part("registers of a macro", counts.macros, "register_area", costs.register_area, "um2"),
        _part("buffer, KiB", buffers, "buffer_area", costs.buffer_area, "um2"),
        _part("routers of a tile", routers, "router_area", costs.router_area, "um2"),
        _part("rest of a tile", counts.tiles, "tile_area", costs.tile_area, "um2"),
        *_given("chip links", counts.linked_chips, "chip_area", costs.chip_area, "um2"),
    )


def write_parts(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """Energy of programming the cells once in pJ; unknown where no source gives the figure."""
    figure = target.costs.write_energy
    return (_part("cell write", counts.cells_written, "write_energy", figure, "pJ"),)


def _part(name: str, count: float, key: str, figure: Figure | None, unit: str) -> CostPart:
    cost = None if figure is None else figure.value
    return CostPart(name, count, f"costs.{key}", cost, _product(count, cost), unit)


def _given(
    name: str, count: float, key: str, figure: Figure | None, unit: str
) -> tuple[CostPart, ...]:
    """No row for hardware that the target does not have."""
    return () if figure is None else (_part(name, count, key, figure, unit),)


def _converters(
    counts: Histogram, what: str, costs: AdcCosts, law: Callable[[int, AdcCosts], float], unit: str
) -> tuple[CostPart, ...]:
    """A row for each width in use; 0 bits is a conversion that always reads the same."""
    rows = []
    for bits, count in enumerate(counts):
        if not count:
            continue
        key = f"costs.adc.comparator_{what}" if bits <= 1 else f"costs.adc.{what}_*"
        cost = law(bits, costs)
        rows.append(CostPart(f"ADC, {bits} bit", count, key, cost, count * cost, unit))
    return tuple(rows)


def _product(count: float, cost: float | None) -> float | None:
    return None if cost is None else count * cost
