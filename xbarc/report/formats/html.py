"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from xbarc.report.model import Report
from xbarc.report.pages import page


def render_html(report: Report) -> str:
    """The whole report as a document."""
    return page.page(f"{report.name} on {report.target.name}", report._repr_html_())
