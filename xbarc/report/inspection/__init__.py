"""`xbarc inspect`: the cells of a layer or of a block, in every format."""

from xbarc.report.inspection.heat_map import REST, block_picture, layer_picture
from xbarc.report.inspection.json_and_html import (
    render_block_html,
    render_block_json,
    render_layer_html,
    render_layer_json,
)
from xbarc.report.inspection.maps import TileMap, tile_map
from xbarc.report.inspection.marks import HUES, MINUS, NEITHER, PLUS
from xbarc.report.inspection.png import png_bytes
from xbarc.report.inspection.text import layer_table, render_block_text, render_layer_text
from xbarc.report.inspection.tile_sheets import block_sheet, layer_sheet
from xbarc.report.inspection.views import (
    BlockView,
    LayerView,
    find_layer,
    inspect_block,
    inspect_layer,
    list_layers,
)
from xbarc.report.inspection.weights import (
    WeightView,
    inspect_weight,
    render_weight_json,
    render_weight_text,
)

__all__ = [
    "HUES",
    "MINUS",
    "NEITHER",
    "PLUS",
    "REST",
    "BlockView",
    "LayerView",
    "TileMap",
    "WeightView",
    "block_picture",
    "block_sheet",
    "find_layer",
    "inspect_block",
    "inspect_layer",
    "inspect_weight",
    "layer_picture",
    "layer_sheet",
    "layer_table",
    "list_layers",
    "png_bytes",
    "render_block_html",
    "render_block_json",
    "render_block_text",
    "render_layer_html",
    "render_layer_json",
    "render_layer_text",
    "render_weight_json",
    "render_weight_text",
    "tile_map",
]
