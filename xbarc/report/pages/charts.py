"""Drawings of a report as inline SVG: shares, bars, roofline, timeline, histogram, utilisation.

All are at most 640 pixels wide, so that a narrow page shows them without shrinking their text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xbarc.pages import SERIES
from xbarc.report.escaping import markup
from xbarc.rows import number, percent

_GREY, _INK, _PALE = "var(--line)", "var(--ink)", "var(--pale)"  # of the page, light or dark
# Pixels: the widest drawing; a name beside it; from one bar to the next.
_WIDE, _LEFT, _STEP = 640, 170, 20
# Letters of a name that take _LEFT pixels at 12 pixels a letter's height.
_LETTERS = 25
_REST = "others"
# Layers that a roofline names: two columns of fifteen lines.
_NAMED = 29
# Names of what a drawing leaves out: a title of one line.
_UNKNOWN = 3
# Of a ring: 5 degrees. Thinner slices are hard to see, and join the last one.
_SMALLEST_SHARE = 0.015


@dataclass(frozen=True)
class Bar:
    """A stretch of the timeline.

    Attributes:
        work: share of the stretch in which its arrays work.
        marks: stretches of the critical path in it.
    """

    name: str
    begin: float
    end: float
    work: float
    marks: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Point:
    """A layer under the roofline: operations a byte, and operations a nanosecond."""

    name: str
    intensity: float
    rate: float


def _svg(title: str, width: int, height: int, body: Sequence[str]) -> str:
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    inside = "\n".join(body)
    return f'<svg {size} role="img">\n<title>{markup(title)}</title>\n{inside}\n</svg>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{markup(text)}</text>'


def _box(x: float, y: float, width: float, height: float, fill: str, title: str = "") -> str:
    tip = f"<title>{markup(title)}</title>" if title else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:.1f}" '
        f'fill="{fill}">{tip}</rect>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, colour: str = _GREY) -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} stroke="{colour}"/>'


def shorten_name(name: str, most: int = _LETTERS) -> str:
    """A name that fits beside a drawing."""
    return name if len(name) <= most else name[: most - 1] + "…"


def name_unknown(title: str, names: Sequence[str]) -> str:
    """A title that says what the drawing leaves out: nothing unknown is drawn as 0 in silence."""
    if not names:
        return title
    more = f" and {len(names) - _UNKNOWN} more" if len(names) > _UNKNOWN else ""
    return f"{title}; not known, left out: {', '.join(names[:_UNKNOWN])}{more}"


def pie(title: str, values: Sequence[tuple[str, float]], unit: str) -> str:
    """Shares of a whole as a ring, the small ones together; empty where there is nothing."""
    whole = math.fsum(value for _, value in values)
    if whole <= 0:
        return ""
    slices = merge_small(values, whole)
    parts, start = [], 0.0
    for index, (name, value) in enumerate(slices):
        colour = SERIES[index % len(SERIES)]
        parts.append(_sector(start, start + value / whole, colour, f"{name}: {number(value)}"))
        y = 24 + 20 * index
        parts.append(_box(230, y - 10, 12, 12, colour))
        parts.append(_text(250, y, f"{shorten_name(name, 34)}  {percent(value / whole)}"))
        # Added up as drawn: the last slice ends where rounding leaves it, a hair before the first.
        start += value / whole
    parts.append(_text(105, 102, number(whole), "middle"))
    parts.append(_text(105, 120, unit, "middle"))
    return _svg(title, 540, max(215, 30 + 20 * len(slices)), parts)


def merge_small(values: Sequence[tuple[str, float]], whole: float) -> list[tuple[str, float]]:
    """Largest first; what is beyond the colours or too thin to see becomes one slice."""
    ranked = sorted((item for item in values if item[1] > 0), key=lambda item: -item[1])
    room = len(SERIES) - 1
    kept = [item for item in ranked[:room] if item[1] / whole >= _SMALLEST_SHARE]
    rest = ranked[len(kept) :]
    # A slice "1 others" would take the place of the one that it hides.
    if len(rest) == 1:
        return ranked
    return [*kept, (f"{len(rest)} others", math.fsum(v for _, v in rest))] if rest else kept


def _sector(begin: float, end: float, colour: str, title: str) -> str:
    """A piece of the ring; a whole ring is drawn as two halves."""
    # An SVG arc whose ends coincide is not drawn at all.
    if end - begin > 0.9999:
        middle = (begin + end) / 2
        return _sector(begin, middle, colour, title) + _sector(middle, end, colour, title)
    corners = []
    for turn, radius in ((begin, 100), (end, 100), (end, 58), (begin, 58)):
        # From the top, clockwise, as clocks and pie charts go.
        angle = 2 * math.pi * turn - math.pi / 2
        corners.append((105 + radius * math.cos(angle), 107 + radius * math.sin(angle)))
    large = int(end - begin > 0.5)
    (a, b), (c, d), (e, f), (g, h) = corners
    path = f"M {a:.2f} {b:.2f} A 100 100 0 {large} 1 {c:.2f} {d:.2f} L {e:.2f} {f:.2f} "
    path += f"A 58 58 0 {large} 0 {g:.2f} {h:.2f} Z"
    tip = f"<title>{markup(title)}</title>"
    return f'<path d="{path}" fill="{colour}" stroke="var(--paper)">{tip}</path>'


def draw_bars(title: str, values: Sequence[tuple[str, float, str]]) -> str:
    """Horizontal bars: name, length, label. Nothing where there is nothing to compare."""
    largest = max((value for _, value, _ in values), default=0.0)
    if largest <= 0:
        return ""
    room = _WIDE - _LEFT - 90  # pixels: the label of the longest bar stands behind it
    parts = []
    for index, (name, value, label) in enumerate(values):
        y, long = _STEP * index, max(1.0, room * value / largest)
        parts.append(_text(_LEFT - 8, y + 15, shorten_name(name), "end"))
        parts.append(_box(_LEFT, y + 3, long, 14, "var(--bar)", f"{name}: {label}"))
        parts.append(_text(_LEFT + long + 6, y + 15, label))
    return _svg(title, _WIDE, _STEP * len(values) + 4, parts)


def draw_stacks(title: str, stacks: Sequence[tuple[str, Mapping[str, float]]], unit: str) -> str:
    """One bar per program, made of its components, all to one scale; the small ones together.

    Args:
        title: what the drawing is called.
        stacks: name of the program, and its components.
        unit: of the values.
    """
    largest = max((math.fsum(parts.values()) for _, parts in stacks), default=0.0)
    if largest <= 0:
        return ""
    named, drawn = _largest_parts([parts for _, parts in stacks]), []
    for index, (name, parts) in enumerate(stacks):
        drawn += _stack(30 * index + 4, name, _pieces(parts, named), (largest, unit))
    top = 30 * len(stacks) + 14
    for place, name in enumerate([*named, _REST]):
        x, y = 20 + 310 * (place % 2), top + 20 * (place // 2)
        drawn.append(_box(x, y, 12, 12, SERIES[place % len(SERIES)]))
        drawn.append(_text(x + 20, y + 11, shorten_name(name, 36)))
    return _svg(title, _WIDE, top + 20 * -(-(len(named) + 1) // 2) + 4, drawn)


def _largest_parts(stacks: Sequence[Mapping[str, float]]) -> list[str]:
    """Components that have a colour: by their share of the program that owes them most."""
    most: dict[str, float] = {}
    for parts in stacks:
        whole = math.fsum(parts.values()) or 1.0
        for name, value in parts.items():
            most[name] = max(most.get(name, 0.0), value / whole)
    return sorted(most, key=lambda name: -most[name])[: len(SERIES) - 1]


def _pieces(parts: Mapping[str, float], named: Sequence[str]) -> list[tuple[str, float]]:
    rest = math.fsum(value for name, value in parts.items() if name not in named)
    return [*((name, parts.get(name, 0.0)) for name in named), (_REST, rest)]


def _stack(
    y: float, name: str, pieces: Sequence[tuple[str, float]], scale: tuple[float, str]
) -> list[str]:
    (largest, unit), x = scale, float(_LEFT)
    room = _WIDE - _LEFT - 130  # pixels, as in `_group_bars`
    drawn = [_text(_LEFT - 8, y + 15, shorten_name(name), "end")]
    for place, (piece, value) in enumerate(pieces):
        long, tip = room * value / largest, f"{piece}: {number(value)} {unit}"
        drawn.append(_box(x, y, long, 22, SERIES[place % len(SERIES)], tip))
        x += long
    whole = math.fsum(value for _, value in pieces)
    return [*drawn, _text(x + 6, y + 15, f"{number(whole)} {unit}")]


@dataclass(frozen=True)
class Group:
    """What is compared: its name, its value in each program (None: unknown), and their unit."""

    name: str
    values: Sequence[float | None]
    unit: str


def draw_groups(
    title: str, names: Sequence[str], groups: Sequence[Group], *, shared: bool = True
) -> str:
    """Groups of bars, a bar per program in its colour.

    Args:
        title: what the drawing is called.
        names: of the programs.
        groups: what is compared.
        shared: whether all groups have one scale, or each its own.
    """
    largest = max((_most(group) for group in groups), default=0.0)
    if largest <= 0:
        return ""
    drawn, y = [], 4
    for index, name in enumerate(names):
        drawn.append(_box(_LEFT, y, 12, 12, SERIES[index % len(SERIES)]))
        drawn.append(_text(_LEFT + 20, y + 11, shorten_name(name, 60)))
        y += 20
    for group in groups:
        middle = y + 8 + 8 * len(group.values) + 3
        drawn.append(_text(_LEFT - 8, middle, shorten_name(group.name), "end"))
        scale = largest if shared else _most(group) or 1.0
        drawn += _group_bars(group, names, y + 8, scale)
        y += 8 + 16 * len(group.values)
    return _svg(title, _WIDE, y + 6, drawn)


def _most(group: Group) -> float:
    return max((value for value in group.values if value is not None), default=0.0)


def _group_bars(group: Group, names: Sequence[str], y: float, scale: float) -> list[str]:
    drawn = []
    room = _WIDE - _LEFT - 130  # pixels: a number with its unit stands behind the longest bar
    for index, value in enumerate(group.values):
        long = room * (value or 0.0) / scale
        label = number(value) if value is None else f"{number(value)} {group.unit}".strip()
        tip = f"{group.name}, {names[index]}: {label}"
        drawn.append(_box(_LEFT, y, long, 13, SERIES[index % len(SERIES)], tip))
        drawn.append(_text(_LEFT + long + 6, y + 11, label))
        y += 16
    return drawn


def timeline(title: str, bars: Sequence[Bar], end: float, unit: str) -> str:
    """Begin to end of each layer; dark where it is on the critical path."""
    if not bars or end <= 0:
        return ""
    left, width, step = _LEFT, _WIDE - _LEFT - 60, 18  # 60: the share behind the last bar
    parts = _ticks(left, width, 20 + step * len(bars), end, unit)
    for index, bar in enumerate(bars):
        y = 24 + step * index
        x, length = left + width * bar.begin / end, width * (bar.end - bar.begin) / end
        note = f"{bar.name}: {number(bar.begin)} to {number(bar.end)} {unit}, works "
        parts.append(_text(left - 8, y + 11, shorten_name(bar.name), "end"))
        parts.append(_box(x, y, max(1.0, length), 13, "var(--work)", note + percent(bar.work)))
        for begin, stop in bar.marks:
            at, long = left + width * begin / end, width * (stop - begin) / end
            parts.append(_box(at, y, max(1.0, long), 13, "var(--path)", "critical path"))
        parts.append(_text(min(left + width, x + length) + 6, y + 11, percent(bar.work)))
    return _svg(title, _WIDE, 30 + step * len(bars) + 6, parts)


def _ticks(left: int, width: int, bottom: int, end: float, unit: str) -> list[str]:
    parts = []
    step = nice_step(end)
    for index in range(int(end / step) + 1):
        x = left + width * index * step / end
        parts.append(_line(x, 20, x, bottom, _PALE))
        parts.append(_text(x, 14, number(index * step), "middle"))
    parts.append(_text(left - 8, 14, unit, "end"))
    return parts


def nice_step(end: float) -> float:
    """1, 2 or 5 times a power of ten: at most about eight steps."""
    rough = end / 8
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough)


def histogram(title: str, counts: Sequence[tuple[str, float]]) -> str:
    """Upright bars with their numbers on top."""
    largest = max((value for _, value in counts), default=0.0)
    if largest <= 0:
        return ""
    # Seventeen widths fit: their shares then stand a few pixels apart.
    parts, height, step = [], 150, min(62, (_WIDE - 40) // len(counts))
    whole = math.fsum(value for _, value in counts)
    for index, (name, value) in enumerate(counts):
        x, tall = 20 + step * index, max(1.0 if value else 0.0, height * value / largest)
        wide = min(40, step - 6)
        tip = f"{name}: {number(value)}"
        parts.append(_box(x, 30 + height - tall, wide, tall, SERIES[0], tip))
        share = f"{100 * value / whole:.3g}"
        parts.append(_text(x + wide / 2, 24 + height - tall, share, "middle"))
        parts.append(_text(x + wide / 2, 48 + height, name, "middle"))
    parts.append(_line(10, 30 + height, 20 + step * len(counts), 30 + height))
    return _svg(title, 40 + step * len(counts), height + 62, parts)


def draw_utilisation(title: str, layers: Sequence[tuple[str, Sequence[float], int, int]]) -> str:
    """A row of squares a layer, a square an array, the darker the fuller.

    Args:
        title: what the drawing is called.
        layers: name, share of cells in use of the first arrays, arrays of a copy, copies.
    """
    if not any(shares for _, shares, _, _ in layers):
        return ""
    parts, step, most = [], 16, 24
    for index, (name, shares, arrays, copies) in enumerate(layers):
        y = 6 + step * index
        parts.append(_text(_LEFT - 8, y + 11, shorten_name(name), "end"))
        for at, share in enumerate(shares[:most]):
            tip = f"{name}, array {at}: {percent(share)} of the cells"
            parts.append(_box(_LEFT + 14 * at, y, 12, 12, shade(share), tip))
        shown = min(len(shares), most)
        more = f", {number(arrays - shown)} more" if arrays > shown else ""
        times = f", x {number(copies)}" if copies > 1 else ""
        mean = percent(math.fsum(shares) / len(shares)) if shares else ""
        parts.append(_text(_LEFT + 8 + 14 * shown, y + 11, f"{mean}{more}{times}"))
    return _svg(title, _WIDE, 12 + step * len(layers), parts)


def shade(share: float) -> str:
    """From nearly the page's colour at 0 to that of the critical path at 1."""
    return f"color-mix(in srgb, var(--path) {100 * min(1.0, share):.0f}%, var(--pale))"


def roofline(title: str, points: Sequence[Point], peak: float, bandwidth: float | None) -> str:
    """Layers below what arrays and buffers allow, both axes logarithmic.

    Args:
        title: what the drawing is called.
        points: the layers.
        peak: operations a nanosecond of all arrays in use.
        bandwidth: bytes a nanosecond of all buffers in use, None where it is unknown.
    """
    shown = [p for p in points if p.intensity > 0 and p.rate > 0]
    if not shown or peak <= 0:
        return ""
    xs = _decades([p.intensity for p in shown])
    ys = _decades([*(p.rate for p in shown), peak])
    frame = _Axes(xs, ys)
    parts = frame.grid()
    knee = 10.0 ** xs[0] if bandwidth is None else max(peak / bandwidth, 10.0 ** xs[0])
    knee = min(knee, 10.0 ** xs[1])
    top = peak if bandwidth is None else min(peak, bandwidth * 10.0 ** xs[1])
    parts.append(_line(frame.x(knee), frame.y(top), frame.x(10.0 ** xs[1]), frame.y(top), _INK))
    parts.append(_text(frame.x(10.0 ** xs[1]), frame.y(top) - 5, "arrays in use", "end"))
    if bandwidth is not None:
        least = max(10.0 ** xs[0], 10.0 ** ys[0] / bandwidth)
        if least < knee:
            roof = (frame.x(least), frame.y(bandwidth * least), frame.x(knee), frame.y(top))
            parts.append(_line(*roof, _INK))
            parts.append(_text(frame.x(least) + 6, frame.y(bandwidth * least) + 16, "buffers"))
    for index, point in enumerate(shown):
        parts.append(frame.dot(point, SERIES[index % len(SERIES)], index + 1))
    parts += _legend(shown)
    return _svg(title, _WIDE, 436 + 16 * -(-min(len(shown), _NAMED + 1) // 2), parts)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def _legend(points: Sequence[Point]) -> list[str]:
    rows = [
        f"{index + 1}  {shorten_name(point.name)}  {number(point.rate)} GOPS"
        for index, point in enumerate(points[:_NAMED])
    ]
    rows += [f"and {len(points) - _NAMED} more"] if len(points) > _NAMED else []
    half = -(-len(rows) // 2)
    places = [(70 + 290 * (index // half), 444 + 16 * (index % half)) for index in range(len(rows))]
    return [_text(x, y, row) for (x, y), row in zip(places, rows, strict=True)]


@dataclass(frozen=True)
class _Axes:
    """Logarithmic axes: first and last decade of each."""

    xs: tuple[int, int]
    ys: tuple[int, int]

    def x(self, value: float) -> float:
        return 70 + 540 * (math.log10(value) - self.xs[0]) / (self.xs[1] - self.xs[0])

    def y(self, value: float) -> float:
        return 380 - 350 * (math.log10(value) - self.ys[0]) / (self.ys[1] - self.ys[0])

    def grid(self) -> list[str]:
        parts = []
        for decade in range(self.xs[0], self.xs[1] + 1):
            x = self.x(10.0**decade)
            parts += [_line(x, 30, x, 380, _PALE), _text(x, 397, _power(decade), "middle")]
        for decade in range(self.ys[0], self.ys[1] + 1):
            y = self.y(10.0**decade)
            parts += [_line(70, y, 610, y, _PALE), _text(62, y + 4, _power(decade), "end")]
        parts.append(_text(340, 418, "operations a byte of buffer traffic", "middle"))
        parts.append(_text(8, 18, "GOPS while its arrays work"))
        return parts

    def dot(self, point: Point, colour: str, index: int) -> str:
        x, y = self.x(point.intensity), self.y(point.rate)
        tip = f"<title>{markup(point.name)}: {number(point.rate)} GOPS</title>"
        circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">{tip}</circle>'
        return circle + _text(x + 7, y - 4, str(index))


def _power(decade: int) -> str:
    return number(10.0**decade) if -4 < decade < 7 else f"1e{decade}"
