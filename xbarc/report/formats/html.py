"""A report as one HTML file that needs nothing else."""

from __future__ import annotations

from xbarc.report.model import Report
from xbarc.report.pages import page, render_chapters, render_contents


def render_html(report: Report) -> str:
    """The whole report as a document: contents at the side, chapters that fold."""
    chapters = report.chapters()
    main = "\n".join([*report.heading(), report.key_figures(), render_chapters(chapters)])
    split = f'<div class="split">{render_contents(chapters)}\n<main>\n{main}\n</main></div>'
    return page.page(f"{report.name} on {report.target.name}", page.fragment(split), script=True)
