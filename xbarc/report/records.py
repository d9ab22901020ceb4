"""Rows of a report as flat records, for tables that machines read: CSV, Parquet, data frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from xbarc.cost import CostPart, LayerSchedule
from xbarc.errors import InputError
from xbarc.options import nearest
from xbarc.report.sections import AdcRow, DigitalRow, LayerRow, SourceRow, Totals
from xbarc.rows import Row, facts_of

if TYPE_CHECKING:
    import pandas

TableName = Literal["layers", "digital", "energy", "area", "schedule", "sources", "totals"]
_KINDS: dict[TableName, type[Row]] = {
    "layers": LayerRow,
    "digital": DigitalRow,
    "energy": CostPart,
    "area": CostPart,
    "schedule": LayerSchedule,
    "sources": SourceRow,
    "totals": Totals,
}
"""Rows of each table: one without lines has its columns all the same."""


def columns_of(kind: type[Row]) -> tuple[str, ...]:
    """Names in the record of a row."""
    own = [entry.name for entry in facts_of(kind) if entry.in_csv]
    if kind is LayerRow:  # and those of its converters, in the same line
        return (*own, *(f"adc_{name}" for name in columns_of(AdcRow)))
    return (*own, "values") if kind is SourceRow else tuple(own)


def record_of(row: Row) -> dict[str, Any]:
    """The facts of a row that are one number or text each, by name."""
    found = {entry.name: entry.value(row) for entry in facts_of(type(row)) if entry.in_csv}
    if isinstance(row, LayerRow):
        return found | {f"adc_{name}": value for name, value in record_of(row.adc).items()}
    return found | {"values": row.values} if isinstance(row, SourceRow) else found


def frame_of(tables: Mapping[TableName, Iterable[Row]], name: TableName) -> pandas.DataFrame:
    """One of several tables as a data frame, a line per row.

    Raises:
        InputError: pandas is not installed, or there is no such table.
    """
    if name not in tables:
        hint = nearest(str(name), tables) or f"one of {', '.join(tables)}"
        raise InputError(f"no table '{str(name)[:40]}'", where="to_frame", hint=hint)
    try:
        import pandas  # noqa: PLC0415  # it takes half a second, and most reports need none
    except ImportError as error:
        hint = "pip install 'xbarc[tables]'"
        raise InputError("needs pandas", where="to_frame", hint=hint) from error
    records = list(map(record_of, tables[name]))
    return pandas.DataFrame.from_records(records, columns=columns_of(_KINDS[name]))
