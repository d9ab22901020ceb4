"""Reports for viewers that people have: Perfetto, Model Explorer, Netron, and Parquet readers.

To add one, write its file here and name its function in `api`, which finds what it reads.
"""

from xbarc.report.viewers.model_explorer import render_model_explorer
from xbarc.report.viewers.netron import model_notes, node_notes
from xbarc.report.viewers.parquet import parquet_bytes
from xbarc.report.viewers.perfetto import render_perfetto

__all__ = [
    "model_notes",
    "node_notes",
    "parquet_bytes",
    "render_model_explorer",
    "render_perfetto",
]
