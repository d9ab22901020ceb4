from .chip import ChipReport, chip_report, render_chip_json, render_chip_text
from .collector import collect
from .formats.html import render_html
from .formats.json_and_csv import render_csv, render_json
from .formats.summary import render_summary
from .formats.text import render_text
from .inspection.heat_map import REST, block_picture, layer_picture, level_colours
from .inspection.json_and_html import (
    render_block_html,
    render_block_json,
    render_layer_html,
    render_layer_json,
)
from .inspection.maps import TileMap, tile_map
from .inspection.marks import HUES, MINUS, NEITHER, PLUS
from .inspection.png import png_bytes
from .inspection.text import layer_table, render_block_text, render_layer_text
from .inspection.tile_sheets import block_sheet, layer_sheet
from .inspection.views import BlockView, LayerView, find_layer, inspect_block, inspect_layer
from .inspection.weights import (
    WeightView,
    inspect_weight,
    render_weight_json,
    render_weight_text,
)
from .layer_costs import (
    LayerCosts,
    layer_costs,
    render_layer_costs_json,
    render_layer_costs_text,
)
from .model import Report
from .notes import of_converters, of_rounding
from .pages.drawings import Drawing, DrawingName
from .places import PhaseRow, PhasesRow, places_report, render_places_json, render_places_text
from .program_comparison.compare import ProgramComparison, compare
from .program_comparison.formats import (
    render_comparison_csv,
    render_comparison_json,
    render_comparison_text,
)
from .program_comparison.page import render_comparison_html
from .records import TableName
from .rich_tables import rich_table
from .section import Subject, subject_of
from .sections.digital import DigitalRow
from .sections.layers import LayerRow, layer_rows, layers_table, placement_table
from .sections.sources import source_rows
from .sections.totals import Totals, totals_row
from .targets import render_target_json, render_target_text, target_reference
from .viewers.model_explorer import render_model_explorer
from .viewers.netron import model_notes, node_notes
from .viewers.parquet import parquet_bytes
from .viewers.perfetto import render_perfetto

__all__ = [
    "HUES",
    "MINUS",
    "NEITHER",
    "PLUS",
    "REST",
    "BlockView",
    "ChipReport",
    "DigitalRow",
    "Drawing",
    "DrawingName",
    "LayerCosts",
    "LayerRow",
    "LayerView",
    "PhaseRow",
    "PhasesRow",
    "ProgramComparison",
    "Report",
    "Subject",
    "TableName",
    "TileMap",
    "Totals",
    "WeightView",
    "block_picture",
    "block_sheet",
    "chip_report",
    "collect",
    "compare",
    "find_layer",
    "inspect_block",
    "inspect_layer",
    "inspect_weight",
    "layer_costs",
    "layer_picture",
    "layer_rows",
    "layer_sheet",
    "layer_table",
    "layers_table",
    "level_colours",
    "model_notes",
    "node_notes",
    "of_converters",
    "of_rounding",
    "parquet_bytes",
    "placement_table",
    "places_report",
    "png_bytes",
    "render_block_html",
    "render_block_json",
    "render_block_text",
    "render_chip_json",
    "render_chip_text",
    "render_comparison_csv",
    "render_comparison_html",
    "render_comparison_json",
    "render_comparison_text",
    "render_csv",
    "render_html",
    "render_json",
    "render_layer_costs_json",
    "render_layer_costs_text",
    "render_layer_html",
    "render_layer_json",
    "render_layer_text",
    "render_model_explorer",
    "render_perfetto",
    "render_places_json",
    "render_places_text",
    "render_summary",
    "render_target_json",
    "render_target_text",
    "render_text",
    "render_weight_json",
    "render_weight_text",
    "rich_table",
    "source_rows",
    "subject_of",
    "target_reference",
    "tile_map",
    "totals_row",
]
