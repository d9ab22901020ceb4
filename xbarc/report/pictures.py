"""Which drawings a report gets, and from which of its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xbarc.report import charts, page

if TYPE_CHECKING:  # Report prints itself through this file
    from xbarc.report.model import LayerRow, Report

_MOST_LAYERS = 80
_PS = 1e6  # in a microsecond


def pictures(report: Report) -> tuple[str, ...]:
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


def _energy(report: Report) -> str:
    values = [(part.name, (part.total or 0.0) / 1e6) for part in report.components.energy]
    return charts.pie("Energy by component", values, "uJ an inference")


def _area(report: Report) -> str:
    values = [(part.name, (part.total or 0.0) / 1e6) for part in report.components.area]
    return charts.pie("Area by component", values, "mm2")


def _timeline(report: Report) -> str:
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


def _roofline(report: Report) -> str:
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


def _bits(report: Report) -> str:
    counts: dict[int, float] = {}
    for row in report.layers:
        for bits, count in row.adc.histogram.items():
            counts[bits] = counts.get(bits, 0) + count * (row.positions or 0)
    values = [(f"{bits} bit", counts[bits]) for bits in sorted(counts)]
    return charts.histogram("Conversions by ADC bits", values)


def _filling(report: Report) -> str:
    rows = [(r.name, r.filling, r.arrays, r.copies) for r in report.layers[:_MOST_LAYERS]]
    return charts.filling("Filling of arrays", rows)
