"""Reports: one collector, and one small renderer a format.

`collect` turns a program into a `Report`, plain values that every renderer prints; `inspect` shows
where the cells of a layer or of a block stand. A renderer is a function from those values to text,
JSON, CSV or HTML. To add a format, write its file and name its function here. To add a section,
write its file (`section` says how) and give it a field of `Report`.
"""

from xbarc.report.chip import ChipReport, chip_report, render_chip_json, render_chip_text
from xbarc.report.collect import collect
from xbarc.report.data import render_csv, render_json
from xbarc.report.html import render_html
from xbarc.report.inspect import (
    BlockView,
    LayerView,
    find_layer,
    inspect_block,
    inspect_layer,
)
from xbarc.report.inspect_data import (
    render_block_html,
    render_block_json,
    render_layer_html,
    render_layer_json,
)
from xbarc.report.inspect_text import render_block_text, render_layer_text
from xbarc.report.layers import layers_table, placement_table
from xbarc.report.model import Report
from xbarc.report.picture import block_picture, layer_picture, png_bytes, write_png
from xbarc.report.program_comparison import (
    Comparison,
    compare,
    render_comparison_csv,
    render_comparison_json,
    render_comparison_text,
)
from xbarc.report.sources import source_rows
from xbarc.report.targets import render_target_json, render_target_text, target_reference
from xbarc.report.text import render_text, rich_table
from xbarc.rows.table import TableData

__all__ = [
    "BlockView",
    "ChipReport",
    "Comparison",
    "LayerView",
    "Report",
    "TableData",
    "block_picture",
    "chip_report",
    "collect",
    "compare",
    "find_layer",
    "inspect_block",
    "inspect_layer",
    "layer_picture",
    "layers_table",
    "placement_table",
    "png_bytes",
    "render_block_html",
    "render_block_json",
    "render_block_text",
    "render_chip_json",
    "render_chip_text",
    "render_comparison_csv",
    "render_comparison_json",
    "render_comparison_text",
    "render_csv",
    "render_html",
    "render_json",
    "render_layer_html",
    "render_layer_json",
    "render_layer_text",
    "render_target_json",
    "render_target_text",
    "render_text",
    "rich_table",
    "source_rows",
    "target_reference",
    "write_png",
]
