"""What matters of a report: accuracy, energy, area, latency, and what limits each."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from xbarc.report.escaping import text_lines
from xbarc.report.model import Report
from xbarc.report.notes import warnings
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import largest_part, plain_line
from xbarc.rows import TableData, number, percent


def render_summary(report: Report, accuracy: tuple[str, str]) -> Group:
    """The lines that matter of a program, and notes on it alone.

    Args:
        report: of the program.
        accuracy: the figure, and what it was measured on.
    """
    totals = report.totals
    rows = (
        ("accuracy", *accuracy),
        (
            "energy",
            f"{number(totals.energy_uj)} uJ per inference",
            largest_part(report.components.energy),
        ),
        ("area", f"{number(totals.area_mm2)} mm2", largest_part(report.components.area)),
        ("latency", f"{number(totals.latency_us)} us", _rate(report)),
    )
    head = f"{report.name} on {report.target.name}: {_size(report)}"
    lines = [head, *([plain_line(report.digital)] if report.digital else [])]
    lines += [f"note: {note}" for note in warnings(report.notes)]
    # The table last: it is what is seen when a long compilation ends.
    return Group(Text(text_lines(lines)), rich_table(TableData("", ("", "", ""), rows)))


def _size(report: Report) -> str:
    totals = report.totals
    room = "1 chip" if totals.fits_one_chip else f"{number(totals.chips)} chips"
    used = f"{percent(totals.cell_utilization)} of cells used"
    return f"{len(report.layers)} layers, {number(totals.arrays)} arrays, {room}, {used}"


def _rate(report: Report) -> str:
    plan = report.schedule
    if plan is None:
        return ""
    return f"{number(report.totals.inferences_per_s)} inferences/s; {plan.bottleneck} limits"
