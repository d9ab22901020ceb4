"""Text, JSON, CSV and HTML: a function from a `Report` to each."""

from xbarc.report.formats.html import render_html
from xbarc.report.formats.json_and_csv import render_csv, render_json
from xbarc.report.formats.text import render_text

__all__ = [
    "render_csv",
    "render_html",
    "render_json",
    "render_text",
]
