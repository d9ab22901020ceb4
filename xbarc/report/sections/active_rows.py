"""Wordlines driven at a time: bits against cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xbarc.ir import Program, RowsPoint
from xbarc.report.section import Section
from xbarc.rows import TableData, table_of

ALL = "all rows at once"
_LAWS = {
    "least b": ("by b", "bits"),
    "least 2^b": ("by 2^b", "levels"),
    "least converter": ("by the target's converter", "adc_pj"),
}


def rows_tables(points: Sequence[RowsPoint]) -> tuple[TableData, ...]:
    """Energy against time, all rows at once first, with how many times its time each takes."""
    base = points[0].time_ns if points else 0.0
    times = [f"{point.time_ns / base:.2f}" if base else "" for point in points]
    table = table_of(RowsPoint, points)
    # The last column says what was chosen; times belong with the numbers before it.
    *before, last = table.headings
    lines = ((*cells, more, end) for (*cells, end), more in zip(table.rows, times, strict=True))
    return (replace(table, headings=(*before, "times>", last), rows=tuple(lines)),)


def rows_notes(program: Program) -> tuple[str, ...]:
    """By which laws fewer rows never win, and whether a limit could not be kept."""
    points = {point.kind: point for point in program.rows}
    base = points.get(ALL)
    if base is None:
        return ()
    found = []
    for kind, (law, name) in _LAWS.items():
        gain = 1 - getattr(points[kind], name) / max(getattr(base, name), 1e-300)
        # All rows at once need more bits than the target's converters have: to save against what
        # cannot be built means nothing.
        if not base.buildable:
            continue
        if gain <= 0:
            found.append(f"{law} fewer rows at a time never win: all rows at once is cheapest")
        else:
            times = points[kind].time_ns / max(base.time_ns, 1e-300)
            found.append(
                f"{law} fewer rows at a time save at most {100 * gain:.1f} %,"
                f" in {times:.2f} times the time"
            )
    return (*found, *_limit(program.rows, base))


def _limit(points: Sequence[RowsPoint], base: RowsPoint) -> tuple[str, ...]:
    chosen = next((point for point in points if point.chosen), None)
    if chosen is None or chosen.bound_pj is not None:
        return ()
    times = chosen.time_ns / max(base.time_ns, 1e-300)
    return (
        f"no rows that the converters can read keep --rows-latency: {times:.2f} times is least",
    )


ACTIVE_ROWS = Section(
    lambda subject: subject.program.rows, rows_tables, rows_notes, chapter="Converters"
)
