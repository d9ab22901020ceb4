"""Which drawings a report gets, and from which of its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.cost import CostPart
from xbarc.report.pages import charts, page
from xbarc.report.sections import ChipRow, Components, LayerRow, ScheduleRow, Totals
from xbarc.rows import number

# Rows of a drawing: bounds the length of a page; tables have every layer.
_MOST_LAYERS = 80
# As above, of the layers that take most energy.
_MOST_BARS = 60
_PS = 1e6  # in a microsecond


def pictures(
    layers: Sequence[LayerRow],
    components: Components,
    plan: ScheduleRow | None,
    totals: Totals,
    chip: ChipRow,
) -> tuple[str, ...]:
    """Every drawing with its heading; those without data are left out."""
    drawn = (
        ("Energy by component", _pie("Energy", components.energy, "uJ per inference")),
        ("Area by component", _pie("Area", components.area, "mm2")),
        ("Pipeline of one inference, strong: critical path", _timeline(plan)),
        ("Roofline", _roofline(layers, totals, chip)),
        ("Conversions of one inference by ADC bits", _bits(layers)),
        ("Utilisation of arrays, one square per array", _filling_picture(layers)),
    )
    return tuple(page.render_heading(title) + "\n" + svg for title, svg in drawn if svg)


def bars(layers: Sequence[LayerRow], components: Components) -> tuple[str, ...]:
    """Energy by layer, then energy and area by component, as bars."""
    return (
        _layer_bars(layers),
        _part_bars("Energy by component, pJ per inference", components.energy),
        _part_bars("Area by component, um2", components.area),
    )


def _pie(what: str, parts: Sequence[CostPart], unit: str) -> str:
    values = [(part.name, (part.total or 0.0) / 1e6) for part in parts]
    return charts.pie(f"{what} by component", values, unit)


def _timeline(plan: ScheduleRow | None) -> str:
    if plan is None:
        return ""
    marks: dict[str, list[tuple[float, float]]] = {}
    for part in plan.path:
        marks.setdefault(part.name, []).append((part.begin_ps / _PS, part.end_ps / _PS))
    bars = [
        charts.Bar(
            row.name,
            row.start_ps / _PS,
            row.end_ps / _PS,
            row.busy_ps / (row.end_ps - row.start_ps) if row.end_ps > row.start_ps else 0.0,
            tuple(marks.get(row.name, ())),
        )
        for row in plan.layers[:_MOST_LAYERS]
    ]
    end = max([plan.latency_us, *(bar.end for bar in bars)])
    return charts.timeline("Pipeline of one inference", bars, end, "us")


def _roofline(layers: Sequence[LayerRow], totals: Totals, chip: ChipRow) -> str:
    if not chip.levels:
        return ""  # such as sense amplifiers, which state no operations at full load
    array = chip.levels[0]
    peak = array.gops * totals.arrays
    rate = chip.buffer_rate
    bandwidth = None if rate is None else rate * totals.tiles
    points = [_point(row) for row in layers]
    return charts.roofline("Roofline", [p for p in points if p is not None], peak, bandwidth)


def _point(row: LayerRow) -> charts.Point | None:
    if not row.macs or not row.latency_us or not row.buffer_bytes:
        return None
    operations = 2 * row.macs
    return charts.Point(row.name, operations / row.buffer_bytes, operations / row.latency_us / 1e3)


def _bits(layers: Sequence[LayerRow]) -> str:
    counts: dict[int, float] = {}
    for row in layers:
        for bits, count in row.adc.histogram.items():
            counts[bits] = counts.get(bits, 0) + count * (row.positions or 0)
    values = [(f"{bits} bit", counts[bits]) for bits in sorted(counts)]
    return charts.histogram("Conversions by ADC bits", values)


def _filling_picture(layers: Sequence[LayerRow]) -> str:
    rows = [(r.name, r.filling, r.arrays, r.copies) for r in layers[:_MOST_LAYERS]]
    return charts.draw_filling("Utilisation of arrays", rows)


def _layer_bars(layers: Sequence[LayerRow]) -> str:
    known = [row for row in layers if row.energy_uj is not None]
    shown = sorted(known, key=lambda row: -(row.energy_uj or 0.0))[:_MOST_BARS]
    names = {row.name for row in shown}
    values = [
        (row.name, row.energy_uj or 0.0, f"{number(row.energy_uj)} uJ")
        for row in layers
        if row.name in names
    ]
    return page.bars("Energy by layer", values)


def _part_bars(title: str, parts: Sequence[CostPart]) -> str:
    values = [(part.name, part.total or 0.0, number(part.total)) for part in parts if part.total]
    return page.bars(title, values)
