"""How the integers of each layer were chosen, and what is left of the error."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import TYPE_CHECKING

from xbarc.ir.program import FitRecord
from xbarc.report.row import FitRow
from xbarc.rows.table import TableData

if TYPE_CHECKING:
    from xbarc.report.model import LayerRow


def fit_row(record: FitRecord | None) -> FitRow | None:
    """The record as a part of the report; None where nothing was chosen."""
    if record is None or record == FitRecord("rounding"):
        return None
    return FitRow(
        method=record.method,
        weight_error=record.weight_error,
        plain_error=record.plain_error,
        output_error=record.output_error,
        order_cost=record.order_cost,
        greedy_cost=record.greedy_cost,
        natural_cost=record.natural_cost,
        order_bound=record.order_bound,
    )


def fit_table(layers: Sequence[LayerRow]) -> TableData:
    """A row for each layer whose weights were fitted or whose outputs were put in order."""
    rows = tuple(
        (
            row.name,
            row.fit.method,
            _decibels(row.fit.plain_error),
            _decibels(row.fit.output_error),
            _share(row.fit.order_cost, row.fit.natural_cost),
            _share(row.fit.order_cost, row.fit.greedy_cost),
            _share(row.fit.order_bound, row.fit.order_cost),
        )
        for row in layers
        if row.fit is not None
    )
    headings = ("layer", "integers by", "SQNR rounded>", "SQNR as set>")
    order = ("order cost of natural>", "of greedy>", "bound of cost>")
    return TableData("Weights fitted, on held-back samples", (*headings, *order), rows)


def _decibels(error: float | None) -> str:
    return "-" if not error else f"{-10 * log10(error):.1f} dB"


def _share(part: float | None, whole: float | None) -> str:
    return "-" if part is None or not whole else f"{100 * part / whole:.0f} %"
