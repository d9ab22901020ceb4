"""Layers as a Parquet file: the columns of the CSV with their types, and their meaning beside."""

from __future__ import annotations

import io

from xbarc.errors import InputError
from xbarc.report.model import Report
from xbarc.report.records import columns_of, record_of
from xbarc.report.sections import AdcRow, LayerRow
from xbarc.rows import facts_of


def parquet_bytes(report: Report) -> bytes:
    """A row per layer on crossbars.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow  # noqa: PLC0415  # an extra, and only this format needs it
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        hint = "pip install 'xbarc[tables]'"
        raise InputError("needs pyarrow", where="--format parquet", hint=hint) from error
    rows = [record_of(row) for row in report.layers]
    columns = columns_of(LayerRow)
    table = pyarrow.table({name: [row[name] for row in rows] for name in columns})
    meaning = _meanings()
    fields = [field.with_metadata({"meaning": meaning[field.name]}) for field in table.schema]
    about = {"program": report.name, "target": report.target.name, "model": report.model_sha256}
    made = table.cast(pyarrow.schema(fields, metadata=about))
    out = io.BytesIO()
    parquet.write_table(made, out)
    return out.getvalue()


def _meanings() -> dict[str, str]:
    """What each column means, as the schema of the report says."""
    own = {entry.name: entry.meaning for entry in facts_of(LayerRow)}
    return own | {f"adc_{entry.name}": entry.meaning for entry in facts_of(AdcRow)}
