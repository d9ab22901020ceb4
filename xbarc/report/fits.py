"""How the integers of each layer were chosen, and what is left of the error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xbarc.ir.choices import FitRecord
from xbarc.rows import TableData, cells, headings

if TYPE_CHECKING:
    from xbarc.report.model import LayerRow


def fitted(record: FitRecord | None) -> FitRecord | None:
    """The record where anything was chosen; None where integers were plainly rounded."""
    return None if record == FitRecord("rounding") else record


def fit_table(layers: Sequence[LayerRow]) -> TableData:
    """A row for each layer whose weights were fitted or whose outputs were put in order."""
    rows = tuple((row.name, *cells(row.fit)) for row in layers if row.fit is not None)
    return TableData(FitRecord.title, ("layer", *headings(FitRecord)), rows)
