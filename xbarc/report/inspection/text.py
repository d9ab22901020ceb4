"""Layers and blocks for a terminal: tables and a heat map of cell levels."""

from __future__ import annotations

import numpy as np
from rich.console import Group
from rich.text import Text

from xbarc.errors import say_count
from xbarc.numerics import Int64Array
from xbarc.report.inspection.heat_map import shrink
from xbarc.report.inspection.views import BlockView, LayerView
from xbarc.report.rich_tables import rich_table
from xbarc.rows import TableData, histogram, number

_SHADES = " ░▒▓█"
_PLAIN = ".:-=+*#%@"
# About one screen of rows.
_MOST_BLOCKS = 64


def render_layer_text(view: LayerView) -> Group:
    """Facts about a layer and a table of its blocks."""
    return Group(rich_table(layer_table(view)), rich_table(blocks_table(view)))


def layer_table(view: LayerView) -> TableData:
    """Facts about a layer."""
    step, adc = view.step, view.adc
    groups, row_blocks, column_blocks = step.tiling.array.shape
    slices = say_count(step.input_slices, "slice")
    inputs = f"{step.input_bits} bit in {slices}, {view.activation_range}"
    rows = (
        ("operator", step.operator),
        ("matrix", f"{step.inputs} x {step.outputs}"),
        ("groups", number(groups)),
        ("encoding", step.encoding),
        ("weights", f"{step.weight_bits} bit in {say_count(step.weight_slices, 'slice')}"),
        ("inputs", inputs),
        ("blocks", f"{groups} x {row_blocks} x {column_blocks} (group, row, column)"),
        ("arrays", number(view.arrays)),
        ("cells", f"{number(step.cells.count)} of {step.cells.bits} bit"),
        ("ADC", f"{adc.policy}, {adc.min_bits} to {adc.max_bits} bit, mean {adc.mean_bits:.3g}"),
        ("conversions of one vector by ADC bits", histogram(adc.histogram)),
    )
    return TableData(f"Layer {step.name}", ("", ""), rows)


def blocks_table(view: LayerView, most: int = _MOST_BLOCKS) -> TableData:
    """Size and place of each block, the first ones where there are many."""
    tiling = view.step.tiling
    heights, widths = np.diff(tiling.row_bounds), np.diff(tiling.column_bounds)
    rows = [
        (
            f"{group},{i},{j}",
            f"{heights[i]} x {widths[j]}",
            number(int(tiling.array[group, i, j])),
            f"{tiling.row_offset[group, i, j]}, {tiling.column_offset[group, i, j]}",
            str(view.block_bits[group, i, j]),
        )
        for group, i, j in _first_indices(tiling.array.shape, most)
    ]
    total = tiling.array.size
    title = "Blocks" if total <= most else f"Blocks, the first {most} of {number(total)}"
    headings = ("group, row, column", "cells>", "array>", "wordline, bitline>", "ADC bits>")
    return TableData(title, headings, tuple(rows))


def _first_indices(shape: tuple[int, ...], most: int) -> Int64Array:
    count = min(most, int(np.prod(shape)))
    return np.stack(np.unravel_index(np.arange(count), shape), axis=1).astype(np.int64)


def render_block_text(view: BlockView, *, width: int = 80, terminal: bool = False) -> Group:
    """Facts about a block and a heat map of its levels.

    Args:
        view: the block.
        width: columns that the map may take.
        terminal: shades for a terminal, plain letters otherwise.
    """
    return Group(rich_table(block_table(view)), Text(heat_map(view, width, terminal=terminal)))


def block_table(view: BlockView) -> TableData:
    """Facts about a block."""
    rows, columns = view.cells.shape
    segments = len(view.segments) - 1
    zero = np.count_nonzero(view.cells == 0) / max(1, view.cells.size)
    facts = (
        ("array", f"{view.array}, from wordline {view.row_offset}, bitline {view.column_offset}"),
        ("cells", f"{rows} wordlines x {columns} bitlines, {view.levels} levels"),
        ("at level 0", f"{100 * zero:.3g} %"),
        ("inputs", _span(view.row_input.astype(np.int64))),
        ("outputs", _span(view.outputs)),
        ("active together", f"{say_count(segments, 'set')} of rows"),
        ("A", f"{len(view.a)} entries"),
        ("R", f"{len(view.r)} entries, {_span(view.r[:, 2])}"),
        ("ADC bits", _span(view.bits)),
        ("ADC lowest sum", _span(view.lo)),
        ("ADC step", _span(view.step)),
    )
    place = f"{view.group},{view.row_block},{view.column_block}"
    return TableData(f"Block {place} of {view.layer}", ("", ""), facts)


def _span(values: Int64Array) -> str:
    if not values.size:
        return "none"
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"{low} to {high}"


def heat_map(view: BlockView, width: int, *, terminal: bool) -> str:
    """One character a cell, or the mean of a square of cells where `width` is too small.

    Plain maps print levels as digits while a character is a cell.
    """
    # The same factor down as across, so that squares stay squares.
    factor = max(1, -(-view.cells.shape[1] // max(1, width)))
    # Digits can be read back by a script.
    if factor == 1 and not terminal and view.levels <= 10:
        return "\n".join("".join(str(level) for level in row) for row in view.cells)
    shades = _SHADES if terminal else _PLAIN
    shares = shrink(view.cells, factor) / (view.levels - 1)
    index = np.rint(shares * (len(shades) - 1)).astype(np.int64)
    note = f"\n({_caption(factor)})" if factor > 1 else ""
    return "\n".join("".join(shades[i] for i in row) for row in index) + note


def _caption(factor: int) -> str:
    size = f"{factor} x {factor}"
    return f"each character is the mean level of {size} cells; --json has every level"
