"""Several reports side by side: what differs, totals with their ratio to the first, layers."""

from xbarc.report.program_comparison.compare import ProgramComparison, compare
from xbarc.report.program_comparison.formats import (
    render_comparison_csv,
    render_comparison_json,
    render_comparison_text,
)
from xbarc.report.program_comparison.page import render_comparison_html

__all__ = [
    "ProgramComparison",
    "compare",
    "render_comparison_csv",
    "render_comparison_html",
    "render_comparison_json",
    "render_comparison_text",
]
