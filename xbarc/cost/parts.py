"""Counts times figures: rows whose sum is a total."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from xbarc.cost.converters import (
    adc_area_um2,
    area_band,
    converter_figure,
    energy_band,
    step_energy_pj,
)
from xbarc.cost.counts import Counts
from xbarc.rows import Row, fact
from xbarc.target import Component, Figure, Target

Band = tuple[float, float]


class CostPart(Row, form="PartRow"):
    """One component; `total` is `count * unit_cost`, and totals are sums of these rows."""

    name: str = fact("component", head="component")
    count: float = fact("how many there are, or how often it is used", head="count>")
    figure: str = fact("dotted path of the target's figure", head="figure")
    unit_cost: float | None = fact("cost of one, in `unit`", head="each>")
    total: float | None = fact("`count * unit_cost`, in `unit`", head="in all>")
    unit: str = fact("pJ or um2")
    low: float | None = fact(
        "total by the least of the sources that disagree, in `unit`", default=None, later=True
    )
    high: float | None = fact(
        "total by the largest of the sources that disagree, in `unit`", default=None, later=True
    )


def total(parts: Iterable[CostPart]) -> float | None:
    """The sum of the parts; None when one of them is unknown."""
    return _sum(part.total for part in parts)


def total_band(parts: Iterable[CostPart]) -> tuple[float | None, float | None]:
    """The sums over the least and over the largest of the sources that disagree."""
    rows = tuple(parts)
    return _sum(part.low for part in rows), _sum(part.high for part in rows)


def _sum(values: Iterable[float | None]) -> float | None:
    found = list(values)
    known = [value for value in found if value is not None]
    # fsum: the total does not depend on the order of the rows
    return math.fsum(known) if len(known) == len(found) else None


def energy_parts(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """Energy per inference in pJ, by component."""
    costs = target.costs
    rows = (
        ("array read", counts.array_reads, "array_energy", costs.array_energy),
        ("array pulse", counts.array_pulses, "pulse_energy", costs.pulse_energy),
        ("wordline driver", counts.wordline_drives, "driver_energy", costs.driver_energy),
        ("sample and hold", counts.samples, "sample_hold_energy", costs.sample_hold_energy),
    )
    moved = (
        ("shift-add", counts.shift_adds, "shift_add_energy", costs.shift_add_energy),
        ("register, bytes", counts.register_bytes, "register_energy", costs.register_energy),
        ("buffer, bytes", counts.buffer_bytes, "buffer_energy", costs.buffer_energy),
        ("router, bytes", counts.router_bytes, "router_energy", costs.router_energy),
    )
    leakage = ("tile leakage, tile ns", counts.tile_time_ns, "tile_static", costs.tile_static)
    links = ("chip links, chip ns", counts.link_time_ns, "chip_static", costs.chip_static)
    return (
        # Hardware that a target does not have, such as pulses, has no row, while a figure that is
        # missing makes its total unknown.
        *(_part(*row, "pJ") for row in rows if row[3] is not None),
        *_conversions(counts, target),
        *_column_scale(counts.column_scalings, target, "pJ"),
        *(_part(*row, "pJ") for row in moved),
        digital_part(counts.digital_macs, target),
        _part(*leakage, "pJ"),
        *_optional_part(*links, "pJ"),
        *_components(counts, target, "pJ"),
    )


def digital_part(macs: float, target: Target) -> CostPart:
    """Energy of so many multiply-accumulates of digital fragments, in pJ."""
    return _part("digital MAC", macs, "digital_energy", target.costs.digital_energy, "pJ")


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
        *_converters(counts, target),
        *_column_scale(counts.all_adcs, target, "um2"),
        _part("shift-add", counts.all_adcs, "shift_add_area", costs.shift_add_area, "um2"),
        _part("registers of a macro", counts.macros, "register_area", costs.register_area, "um2"),
        _part("buffer, KiB", buffers, "buffer_area", costs.buffer_area, "um2"),
        _part("routers of a tile", routers, "router_area", costs.router_area, "um2"),
        _part("rest of a tile", counts.tiles, "tile_area", costs.tile_area, "um2"),
        *_optional_part("chip links", counts.linked_chips, "chip_area", costs.chip_area, "um2"),
        *_components(counts, target, "um2"),
    )


def write_parts(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """Energy of programming the cells once in pJ; unknown where no source gives the figure."""
    figure = target.costs.write_energy
    return (_part("cell write", counts.cells_written, "write_energy", figure, "pJ"),)


def _part(name: str, count: float, key: str, figure: Figure | None, unit: str) -> CostPart:
    path = f"costs.{key}"
    if figure is None:
        return CostPart(name, count, path, None, None, unit)
    low, high = figure_band(figure)
    cost = figure.value
    return CostPart(name, count, path, cost, count * cost, unit, count * low, count * high)


def figure_band(figure: Figure) -> Band:
    """Least and largest value that sources give."""
    low = figure.value if figure.low is None else figure.low
    return low, figure.value if figure.high is None else figure.high


def _optional_part(
    name: str, count: float, key: str, figure: Figure | None, unit: str
) -> tuple[CostPart, ...]:
    """No row for hardware that the target does not have."""
    return () if figure is None else (_part(name, count, key, figure, unit),)


def _column_scale(count: float, target: Target, unit: str) -> tuple[CostPart, ...]:
    """A row where the target multiplies what columns were read as, and does so."""
    if target.adc.scale_bits is None or not count:
        return ()
    key = "column_scale_energy" if unit == "pJ" else "column_scale_area"
    return (_part("column scale", count, key, getattr(target.costs, key), unit),)


def _conversions(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """A row for each width of converters; a conversion pays for each bit that it decides."""
    costs = target.costs.adc
    rows = []
    for bits, count in enumerate(counts.bit_steps):
        if not count:
            continue
        key = converter_figure("energy", bits, costs)
        cost, (low, high) = step_energy_pj(bits, costs), energy_band(bits, target)
        rows.append(
            CostPart(
                f"ADC of {bits} bit, bits decided",
                count,
                key,
                cost,
                count * cost,
                "pJ",
                # Bands are those of a whole conversion, and counts are bits.
                count * low / bits,
                count * high / bits,
            )
        )
    return tuple(rows)


def _converters(counts: Counts, target: Target) -> tuple[CostPart, ...]:
    """A row for each width of converters; 0 bits is a converter that always reads the same."""
    rows = []
    for bits, count in enumerate(counts.adcs):
        if not count:
            continue
        key = converter_figure("area", bits, target.costs.adc)
        cost, (low, high) = adc_area_um2(bits, target.costs.adc), area_band(bits, target)
        area = count * cost
        rows.append(
            CostPart(f"ADC, {bits} bit", count, key, cost, area, "um2", count * low, count * high)
        )
    return tuple(rows)


def _components(counts: Counts, target: Target, unit: str) -> tuple[CostPart, ...]:
    """Hardware of the target's own, by its level; nothing where a figure is left out."""
    array = target.array
    lines = {"row": array.rows, "column": array.columns + array.spare_columns}
    times = {
        **{line: counts.array_time_ns * number for line, number in lines.items()},
        "array": counts.array_time_ns,
        "macro": counts.macro_time_ns,
        "tile": counts.tile_time_ns,
        "chip": counts.chip_time_ns,
    }
    stands = {
        **{line: counts.arrays * number for line, number in lines.items()},
        "array": counts.arrays,
        "macro": counts.macros,
        "tile": counts.tiles,
        "chip": counts.chips,
    }
    have = times if unit == "pJ" else stands
    figure_of: Callable[[Component], Figure | None] = _power if unit == "pJ" else _area
    word = "power" if unit == "pJ" else "area"
    rows = []
    for index, item in enumerate(target.costs.components):
        figure = figure_of(item)
        if figure is not None:
            name = f"{item.name}, {item.per} ns" if unit == "pJ" else f"{item.name} of a {item.per}"
            count = have[item.per] * item.count
            rows.append(_part(name, count, f"components.{index}.{word}", figure, unit))
    return tuple(rows)


def _power(item: Component) -> Figure | None:
    return item.power


def _area(item: Component) -> Figure | None:
    return item.area
