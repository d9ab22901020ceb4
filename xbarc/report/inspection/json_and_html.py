"""Layers and blocks as JSON, and as HTML pages with a picture of the cells."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.report.inspection.text import block_table, blocks_table, layer_table
from xbarc.report.inspection.tile_sheets import block_sheet, layer_sheet
from xbarc.report.inspection.views import BlockView, LayerView
from xbarc.report.pages import page
from xbarc.rows import fill_form

FORMAT = 1  # 1: the first one
# Rows of the table of an HTML page: bounds its size.
_MOST_BLOCKS = 2000


def render_layer_json(view: LayerView) -> str:
    """A layer and the place of each block; axes of the arrays: group, row block, column block."""
    step, tiling = view.step, view.step.tiling
    data = {
        "format": FORMAT,
        "layer": step.name,
        "operator": step.operator,
        "encoding": step.encoding,
        "inputs": step.inputs,
        "outputs": step.outputs,
        "groups": step.groups,
        "weight_bits": step.weight_bits,
        "weight_slices": step.weight_slices,
        "input_bits": step.input_bits,
        "input_slices": step.input_slices,
        "activation_range": view.activation_range,
        "cell_bits": step.cells.bits,
        "cells": step.cells.count,
        "arrays": view.arrays,
        "adc": fill_form(view.adc).model_dump(),
        "row_bounds": tiling.row_bounds.tolist(),
        "segment_bounds": tiling.segment_bounds.tolist(),
        "column_bounds": tiling.column_bounds.tolist(),
        "array": tiling.array.tolist(),
        "row_offset": tiling.row_offset.tolist(),
        "column_offset": tiling.column_offset.tolist(),
        "block_adc_bits": view.block_bits.tolist(),
    }
    return _dump(data)


def render_block_json(view: BlockView) -> str:
    """Everything about a block; `A` and `R` as lists of entries, indices are the block's own.

    Column `c` stands on bitline `column_offset + bitlines[c]`. Where columns have factors,
    `column_scale` lists them, and `R` is multiplied by them.
    """
    data: dict[str, Any] = {
        "format": FORMAT,
        "layer": view.layer,
        "group": view.group,
        "block": [view.row_block, view.column_block],
        "array": view.array,
        "row_offset": view.row_offset,
        "column_offset": view.column_offset,
        "levels": view.levels,
        "row_input": view.row_input.tolist(),
        "segments": view.segments.tolist(),
        "cells": view.cells.tolist(),
        "bitlines": view.bitlines.tolist(),
        "A": {"columns": ["conversion", "column", "sign"], "entries": view.a.tolist()},
        "R": {"columns": ["output", "conversion", "value"], "entries": view.r.tolist()},
        "outputs": view.outputs.tolist(),
        "constant": view.constant.tolist(),
        "input_sum": view.input_sum.tolist(),
        "adc": {
            "axes": ["segment", "conversion", "input slice"],
            "lo": view.lo.tolist(),
            "step": view.step.tolist(),
            "bits": view.bits.tolist(),
        },
    }
    if view.column_scale is not None:
        data["column_scale"] = view.column_scale.tolist()
    return _dump(data)


def _dump(data: dict[str, Any]) -> str:
    """A key a line, so that the lists stay short and a diff stays readable."""
    lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
    return "{\n" + lines + "\n}\n"


def render_layer_html(view: LayerView) -> str:
    """A page with the cells of all blocks of a layer."""
    name = view.step.name
    body = page.fragment(
        page.render_heading(f"Layer {name}", 1),
        layer_sheet(view.step).svg(),
        page.table(layer_table(view)),
        page.table(blocks_table(view, _MOST_BLOCKS)),
    )
    return page.page(f"layer {name}", body)


def render_block_html(step: CrossbarStep, view: BlockView) -> str:
    """A page with the cells of one block of a layer."""
    name = f"{view.layer}, block {view.group},{view.row_block},{view.column_block}"
    body = page.fragment(
        page.render_heading(name, 1),
        block_sheet(step, view).svg(),
        page.table(block_table(view)),
        page.paragraph(_level_line(view)),
    )
    return page.page(name, body)


def _level_line(view: BlockView) -> str:
    counts = np.bincount(view.cells.reshape(-1), minlength=view.levels)
    shown = ", ".join(f"{level}: {count}" for level, count in enumerate(counts.tolist()) if count)
    return f"Cells by level: {shown}"
