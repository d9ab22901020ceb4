"""A comparison as text, JSON and CSV."""

from __future__ import annotations

import csv
import io

from rich.console import Group
from rich.text import Text

from xbarc.report.escaping import csv_cell, json_text, text_lines
from xbarc.report.program_comparison.compare import ProgramComparison
from xbarc.report.rich_tables import rich_table


def render_comparison_json(comparison: ProgramComparison) -> str:
    """Every digit."""
    return json_text(comparison)


def render_comparison_csv(comparison: ProgramComparison) -> str:
    """A line a quantity, a column a program."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(map(csv_cell, ["name", "unit", *comparison.programs]))
    for row in (*comparison.totals, *comparison.layers):
        writer.writerow(map(csv_cell, [row.name, row.unit, *row.values]))
    return out.getvalue()


def render_comparison_text(comparison: ProgramComparison) -> Group:
    """Tables for a terminal."""
    head = text_lines(f"{i + 1}: {name}" for i, name in enumerate(comparison.programs))
    return Group(Text(head + "\n"), *map(rich_table, comparison.tables()))
