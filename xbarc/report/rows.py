"""Wordlines driven at a time: bits against cycles."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from xbarc.ir.front import RowsPoint
from xbarc.ir.program import Program
from xbarc.report.format import number
from xbarc.report.row import Row
from xbarc.report.table import TableData

ALL = "all rows at once"
_LAWS = {
    "least b": ("by b", "bits"),
    "least 2^b": ("by 2^b", "levels"),
    "least converter": ("by the target's converter", "adc_pj"),
}


class RowsRow(Row):
    """A choice of wordlines driven at a time for every layer; all give the same results."""

    kind: str = Field(
        description="all alike, least by one law, or within a time; times are of `us`"
    )
    bits: float = Field(description="sum over the conversions of an inference, bits")
    levels: float = Field(description="sum of 2**bits over the conversions of an inference")
    adc_uj: float = Field(description="all conversions, by the target's converter, uJ")
    energy_uj: float = Field(
        description="all that crossbar layers do, uJ; what only waits is left out"
    )
    time_us: float = Field(description="that arrays work, one layer after another, us")
    buildable: bool = Field(description="whether the target's converter has the bits")
    bound_uj: float | None = Field(
        description="no choice within this time costs less, as the solver proved, uJ; null where "
        "it was not asked or nothing is so fast"
    )
    chosen: bool = Field(description="whether the program has these rows")


def rows_rows(program: Program) -> tuple[RowsRow, ...]:
    """Choices that were looked at with the lever `rows`."""
    return tuple(
        RowsRow(
            kind=point.kind,
            bits=point.bits,
            levels=point.levels,
            adc_uj=point.adc_pj / 1e6,
            energy_uj=point.energy_pj / 1e6,
            time_us=point.time_ns / 1e3,
            buildable=point.buildable,
            bound_uj=None if point.bound_pj is None else point.bound_pj / 1e6,
            chosen=point.chosen,
        )
        for point in program.rows
    )


def rows_table(rows: Sequence[RowsRow]) -> TableData:
    """Energy against time, all rows at once first."""
    base = rows[0] if rows else None
    cells = tuple(
        (
            f"{row.kind} (chosen)" if row.chosen else row.kind,
            number(row.bits),
            number(row.levels),
            number(row.adc_uj),
            number(row.energy_uj),
            number(row.time_us),
            f"{row.time_us / base.time_us:.2f}" if base and base.time_us else "",
            "" if row.buildable else "converter too narrow",
        )
        for row in rows
    )
    what = (
        "rows",
        "sum b>",
        "sum 2^b>",
        "converters uJ>",
        "energy uJ>",
        "arrays us>",
        "times>",
        "",
    )
    return TableData("Rows at a time: energy against cycles", what, cells)


def rows_notes(program: Program) -> tuple[str, ...]:
    """By which laws fewer rows never win, and whether a limit could not be kept."""
    points = {point.kind: point for point in program.rows}
    base = points.get(ALL)
    if base is None:
        return ()
    found = []
    for kind, (law, name) in _LAWS.items():
        gain = 1 - getattr(points[kind], name) / max(getattr(base, name), 1e-300)
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
