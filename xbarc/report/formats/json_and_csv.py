"""JSON and CSV: every digit, for programs."""

from __future__ import annotations

import csv
import io

from xbarc.report.escaping import csv_cell, json_text
from xbarc.report.model import Report
from xbarc.report.sections import AdcRow, LayerRow
from xbarc.rows import facts_of

_COLUMNS, _ADC = (
    [entry for entry in facts_of(kind) if entry.in_csv] for kind in (LayerRow, AdcRow)
)


def render_json(report: Report) -> str:
    """The whole report, indented, with a newline at its end."""
    return json_text(report)


def render_csv(report: Report) -> str:
    """A line per layer and a last one with the totals; unknown numbers are empty."""
    out = io.StringIO()
    # The standard's CRLF would make files differ from what `git` and `diff` expect.
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*(each.name for each in _COLUMNS), *(f"adc_{each.name}" for each in _ADC)])
    writer.writerows(map(csv_cell, _line(row)) for row in report.layers)
    writer.writerow(_total_line(report))
    return out.getvalue()


def _line(row: LayerRow) -> list[object]:
    return [
        *(each.value(row) for each in _COLUMNS),
        *(each.value(row.adc) for each in _ADC),
    ]


def _total_line(report: Report) -> list[object]:
    totals = report.totals
    values = {
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
    # By name: columns come and go with the facts of a layer, and the total of most of them means
    # nothing.
    return [values.get(each.name) for each in _COLUMNS] + [None] * len(_ADC)
