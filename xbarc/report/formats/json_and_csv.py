"""JSON and CSV: every digit, for programs."""

from __future__ import annotations

import csv
import io

from xbarc.report.escaping import csv_cell, json_text
from xbarc.report.model import Report
from xbarc.report.records import columns_of, record_of
from xbarc.report.sections import LayerRow


def render_json(report: Report) -> str:
    """The whole report, indented, with a newline at its end."""
    return json_text(report)


def render_csv(report: Report) -> str:
    """A line per layer and a last one with the totals; unknown numbers are empty."""
    out = io.StringIO()
    # The standard's CRLF would make files differ from what `git` and `diff` expect.
    writer = csv.writer(out, lineterminator="\n")
    columns = columns_of(LayerRow)
    writer.writerow(columns)
    writer.writerows(map(csv_cell, record_of(row).values()) for row in report.layers)
    # By name: columns come and go with the facts of a layer, and the total of most of them means
    # nothing.
    totals = _totals(report)
    writer.writerow([totals.get(name) for name in columns])
    return out.getvalue()


def _totals(report: Report) -> dict[str, object]:
    totals = report.totals
    return {
        "name": "total",
        "blocks": totals.arrays_without_packing,
        "arrays": totals.arrays,
        "cells": totals.cells,
        "utilization": totals.cell_utilization,
        "macs": totals.macs_crossbar,
        "conversions": totals.conversions,
        "energy_uj": totals.energy_uj,
        "latency_us": totals.latency_us,
        "area_mm2": totals.area_mm2,
    }
