"""Which drawings a report gets, and from which of its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from xbarc.cost import CostPart
from xbarc.errors import InputError, visible
from xbarc.ir import whole_file
from xbarc.options import nearest
from xbarc.report.pages import charts, page
from xbarc.report.sections import ChipRow, Components, LayerRow, ScheduleRow, Totals
from xbarc.rows import number

# Rows of a drawing: bounds the length of a page; tables have every layer.
_MOST_LAYERS = 80
# As above, of the layers that take most energy.
_MOST_BARS = 60
_PS = 1e6  # in a microsecond

DrawingName = Literal["energy", "area", "layers", "schedule", "roofline", "adc-bits", "utilisation"]


class Drawable(Protocol):
    """What drawings read of a report."""

    @property
    def layers(self) -> Sequence[LayerRow]:
        """Layers on crossbars."""

    @property
    def components(self) -> Components:
        """The parts of every total."""

    @property
    def schedule(self) -> ScheduleRow | None:
        """When each layer works."""

    @property
    def totals(self) -> Totals:
        """The whole program."""

    @property
    def chip(self) -> ChipRow:
        """One whole chip."""


@dataclass(frozen=True)
class Drawing:
    """A picture of a report: a notebook shows it, `save` writes it.

    Attributes:
        title: what it shows.
        inline: as SVG inside a page, which has its font and its colours.
    """

    title: str
    inline: str

    @property
    def svg(self) -> str:
        """As SVG that needs no page; light or dark as the reader's screen."""
        return page.standalone(self.inline, self.title)

    def save(self, path: str | Path) -> None:
        """Write an SVG file, whole or not at all.

        Raises:
            InputError: the path cannot be written.
        """
        with whole_file(Path(path)) as file:
            file.write(self.svg.encode())

    def __repr__(self) -> str:
        return f"<Drawing: {visible(self.title)}>"

    def _repr_svg_(self) -> str:
        return self.svg


def draw(name: DrawingName, report: Drawable) -> Drawing:
    """One drawing.

    Args:
        name: which one.
        report: what is drawn.

    Raises:
        InputError: there is no such drawing, or the report has nothing to draw.
    """
    if name not in _DRAWN:
        hint = nearest(str(name), _DRAWN) or f"one of {', '.join(_DRAWN)}"
        raise InputError(f"no drawing '{str(name)[:40]}'", where="plot", hint=hint)
    title, function = _full_title(name, report), _DRAWN[name][1]
    svg = function(title, report)
    if not svg:
        raise InputError(f"nothing to draw: the program has no {name}", where="plot")
    return Drawing(title, svg)


def drawings_of(report: Drawable) -> dict[DrawingName, Drawing]:
    """Every drawing that has something to show, by name."""
    drawn: dict[DrawingName, Drawing] = {}
    for name, (_, make) in _DRAWN.items():
        title = _full_title(name, report)
        drawn[name] = Drawing(title, make(title, report))
    return {name: drawing for name, drawing in drawn.items() if drawing.inline}


def _unknown_parts(parts: Sequence[CostPart]) -> list[str]:
    return [part.name for part in parts if part.total is None and part.count]


_UNKNOWN: dict[str, Callable[[Drawable], list[str]]] = {
    "energy": lambda report: _unknown_parts(report.components.energy),
    "area": lambda report: _unknown_parts(report.components.area),
    "layers": lambda report: [row.name for row in report.layers if row.energy_uj is None],
    "adc-bits": lambda report: [row.name for row in report.layers if row.positions is None],
    "roofline": lambda report: [row.name for row in report.layers if row.positions is None],
}
"""What a drawing leaves out because its figure is not known."""


def _full_title(name: DrawingName, report: Drawable) -> str:
    """What a drawing shows, and what it has to leave out."""
    find = _UNKNOWN.get(name)
    return charts.name_unknown(_DRAWN[name][0], find(report) if find else [])


def _energy(title: str, report: Drawable) -> str:
    return _pie(title, report.components.energy, "uJ per inference")


def _area(title: str, report: Drawable) -> str:
    return _pie(title, report.components.area, "mm2")


def _pie(title: str, parts: Sequence[CostPart], unit: str) -> str:
    known = [(part.name, part.total / 1e6) for part in parts if part.total is not None]
    return charts.pie(title, known, unit)


def _timeline(title: str, report: Drawable) -> str:
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
    return charts.timeline(title, bars, end, "us")


def _roofline(title: str, report: Drawable) -> str:
    chip, totals = report.chip, report.totals
    if not chip.levels:
        return ""  # such as sense amplifiers, which state no operations at full load
    array = chip.levels[0]
    peak = array.gops * totals.arrays
    rate = chip.buffer_rate
    bandwidth = None if rate is None else rate * totals.tiles
    points = [_point(row) for row in report.layers]
    return charts.roofline(title, [p for p in points if p is not None], peak, bandwidth)


def _point(row: LayerRow) -> charts.Point | None:
    if not row.macs or not row.latency_us or not row.buffer_bytes:
        return None
    operations = 2 * row.macs
    return charts.Point(row.name, operations / row.buffer_bytes, operations / row.latency_us / 1e3)


def _bits(title: str, report: Drawable) -> str:
    counts: dict[int, float] = {}
    for row in report.layers:
        for bits, count in row.adc.histogram.items():
            counts[bits] = counts.get(bits, 0) + count * (row.positions or 0)
    return charts.histogram(title, [(f"{bits} bit", counts[bits]) for bits in sorted(counts)])


def _utilisation(title: str, report: Drawable) -> str:
    rows = [(r.name, r.filling, r.arrays, r.copies) for r in report.layers[:_MOST_LAYERS]]
    return charts.draw_utilisation(title, rows)


def _layers(title: str, report: Drawable) -> str:
    known = [row for row in report.layers if row.energy_uj is not None]
    shown = sorted(known, key=lambda row: -(row.energy_uj or 0.0))[:_MOST_BARS]
    names = {row.name for row in shown}
    values = [
        (row.name, row.energy_uj or 0.0, f"{number(row.energy_uj)} uJ")
        for row in report.layers
        if row.name in names
    ]
    return charts.draw_bars(title, values)


_DRAWN: dict[DrawingName, tuple[str, Callable[[str, Drawable], str]]] = {
    "energy": ("Energy per inference by component", _energy),
    "area": ("Area by component", _area),
    "layers": ("Energy per inference by layer", _layers),
    "schedule": ("Schedule of one inference; dark: critical path, in %: arrays at work", _timeline),
    "roofline": ("Roofline", _roofline),
    "adc-bits": ("Conversions by ADC bits, % of one inference", _bits),
    "utilisation": ("Utilisation of arrays, one square per array", _utilisation),
}
