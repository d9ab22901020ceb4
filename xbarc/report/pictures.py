"""Which drawings a report gets, and from which of its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xbarc.cost import CostPart
from xbarc.report import charts, page
from xbarc.report.components import Components
from xbarc.report.full_chip import ChipRow
from xbarc.report.layers import LayerRow
from xbarc.report.schedule import ScheduleRow
from xbarc.report.totals import Totals
from xbarc.rows import number

_MOST_LAYERS = 80
_MOST_BARS = 60
_PS = 1e6  # in a microsecond


@dataclass(frozen=True)
class Drawn:
    """The parts of a report that drawings show."""

    totals: Totals
    layers: tuple[LayerRow, ...]
    components: Components
    schedule: ScheduleRow | None
    chip: ChipRow


def pictures(report: Drawn) -> tuple[str, ...]:
    """Every drawing with its heading; those without data are left out."""
    drawn = (
        ("Energy by component", _energy(report)),
        ("Area by component", _area(report)),
        ("Pipeline of one inference, strong: critical path", _timeline(report)),
        ("Roofline", _roofline(report)),
        ("Conversions of one inference by ADC bits", _bits(report)),
        ("Filling of arrays, a square each", _filling(report)),
    )
    return tuple(page.heading(title) + "\n" + svg for title, svg in drawn if svg)


def bars(report: Drawn) -> tuple[str, ...]:
    """Energy by layer, then energy and area by component, as bars."""
    return (
        _layer_bars(report.layers),
        _part_bars("Energy by component, pJ an inference", report.components.energy),
        _part_bars("Area by component, um2", report.components.area),
    )


def _energy(report: Drawn) -> str:
    values = [(part.name, (part.total or 0.0) / 1e6) for part in report.components.energy]
    return charts.pie("Energy by component", values, "uJ an inference")


def _area(report: Drawn) -> str:
    values = [(part.name, (part.total or 0.0) / 1e6) for part in report.components.area]
    return charts.pie("Area by component", values, "mm2")


def _timeline(report: Drawn) -> str:
    plan = report.schedule
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


def _roofline(report: Drawn) -> str:
    if not report.chip.levels:
        return ""  # such as sense amplifiers, which state no operations at full load
    array = report.chip.levels[0]
    peak = array.gops * report.totals.arrays
    rate = report.chip.buffer_rate
    bandwidth = None if rate is None else rate * report.totals.tiles
    points = [_point(row) for row in report.layers]
    return charts.roofline("Roofline", [p for p in points if p is not None], peak, bandwidth)


def _point(row: LayerRow) -> charts.Point | None:
    if not row.macs or not row.latency_us or not row.buffer_bytes:
        return None
    operations = 2 * row.macs
    return charts.Point(row.name, operations / row.buffer_bytes, operations / row.latency_us / 1e3)


def _bits(report: Drawn) -> str:
    counts: dict[int, float] = {}
    for row in report.layers:
        for bits, count in row.adc.histogram.items():
            counts[bits] = counts.get(bits, 0) + count * (row.positions or 0)
    values = [(f"{bits} bit", counts[bits]) for bits in sorted(counts)]
    return charts.histogram("Conversions by ADC bits", values)


def _filling(report: Drawn) -> str:
    rows = [(r.name, r.filling, r.arrays, r.copies) for r in report.layers[:_MOST_LAYERS]]
    return charts.filling("Filling of arrays", rows)


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
