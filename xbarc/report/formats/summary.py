"""What matters of a report: accuracy, energy, area, latency, and what limits each."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group
from rich.text import Text

from xbarc.errors import say_count
from xbarc.report.escaping import text_lines
from xbarc.report.model import Report
from xbarc.report.notes import warnings
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import DigitalRow, largest_part, plain_line
from xbarc.rows import TableData, number, percent

# With three a summary fits a screen of 24 lines. A transformer has two such products in each of its
# layers, all for the same reason.
_REASONS = 3


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
    lines = [head, *_digital_lines(report.digital)]
    lines += [f"note: {note}" for note in warnings(report.notes)]
    # The table last: it is what is seen when a long compilation ends.
    return Group(Text(text_lines(lines)), rich_table(TableData("", ("", "", ""), rows)))


def _digital_lines(rows: Sequence[DigitalRow]) -> list[str]:
    """What stayed digital: the reasons, where operators with a matrix did."""
    reasons = [note for row in rows for note in row.notes]
    if not reasons:
        return [plain_line(rows)] if rows else []
    left = len(reasons) - _REASONS
    more = [f"note: {left} more stay digital; xbarc report has all reasons"] if left > 0 else []
    return [*(f"note: {reason}" for reason in reasons[:_REASONS]), *more]


def _size(report: Report) -> str:
    if not report.layers:
        return "no layer on crossbars"
    totals = report.totals
    room = say_count(max(1, totals.chips), "chip")
    used = f"{percent(totals.cell_utilization)} of cells used"
    layers, arrays = say_count(len(report.layers), "layer"), say_count(totals.arrays, "array")
    return f"{layers}, {arrays}, {room}, {used}"


def _rate(report: Report) -> str:
    plan = report.schedule
    if plan is None or not report.layers:
        return ""
    return f"{number(report.totals.inferences_per_s)} inferences/s; {plan.bottleneck} limits"
