"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from xbarc.report import page
from xbarc.report.model import Report


def render_html(report: Report) -> str:
    """The whole report as a document."""
    return page.page(f"{report.name} on {report.target.name}", report._repr_html_())
