"""Tile maps with title, axes, marks of columns and a legend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from xbarc.ir import CrossbarStep
from xbarc.numerics import Int64Array, UInt8Array
from xbarc.report.inspection.heat_map import (
    REST,
    BlockGrid,
    block_grid,
    block_picture,
    colour,
    layer_picture,
)
from xbarc.report.inspection.lettering import text_width
from xbarc.report.inspection.marks import HUES, MINUS, NEITHER, PLUS, ColumnMarks, column_marks
from xbarc.report.inspection.names import name_input, name_output
from xbarc.report.inspection.sheet import LINE, QUIET, Colour, Patch, Picture, Sheet, TextLine
from xbarc.report.inspection.views import BlockView, inspect_block

# Pixels. With its rulers a sheet is then at most 1,000 wide: shown at 700, capitals of 11 keep 8.
_SIDE = 800
_SMALL, _LARGE = 11, 14  # heights of capitals: labels, and the title
_EDGE = 16  # around everything
_STRIP = 9  # height of a strip of marks
_ROW = 20  # from a line of labels to the next
# Room for labels of rows: the axis, a wordline of four digits, a channel of four with its place.
_LEFT = 176
# Narrower pictures are widened for their title and legend.
_NARROWEST = 420

_Part = TextLine | Patch | Picture


@dataclass(frozen=True)
class _Sample:
    """An item of the legend: one colour, or a row of them, and what they mean."""

    colours: tuple[Colour, ...]
    text: str


def block_sheet(step: CrossbarStep, view: BlockView) -> Sheet:
    """A block with the wordline and input of its rows, the bitline and output of its columns."""
    lines = view.bitlines
    # As on the chip: a search may have moved columns.
    order = np.argsort(lines)
    picture = block_picture(replace(view, cells=view.cells[:, order]))
    marks = column_marks(view).take(order)
    rows, columns = view.cells.shape
    place = f"{view.group},{view.row_block},{view.column_block}"
    title = f"{view.layer}, block {place}: cell levels"
    where = (
        f"Array {view.array}, {rows} wordlines x {columns} bitlines from wordline "
        f"{view.row_offset}, bitline {view.column_offset}. Encoding {step.encoding}, "
        f"{step.cells.bits}-bit cells."
    )
    rest = f"Cells of the array outside this block are not shown.{_mean_note(view, picture)}"

    def draw(left: int, top: int) -> Iterator[_Part]:
        height, width = picture.shape[:2]
        names = [
            name_output(step, view.group, at) if at >= 0 else "" for at in marks.output.tolist()
        ]
        yield from _draw_outputs(names, view.column_offset + lines[order], (left, top + 12), width)
        yield from _draw_marks([marks], [width], (left, top + 2 * _ROW + 6), 0)
        below = top + 2 * _ROW + 2 * _STRIP + 14
        yield from _draw_rows(step, view, (left, below), height)
        yield Picture(left, below, picture)

    above = 2 * _ROW + 2 * _STRIP + 14
    size = (picture.shape[1], picture.shape[0] + above)
    legend = [_level_samples(view.levels), *_mark_samples([marks])]
    return _compose(title, [where, rest], legend, size, draw)


def _mean_note(view: BlockView, picture: UInt8Array) -> str:
    factor = -(-view.cells.shape[1] // max(1, picture.shape[1]))
    return f" A square is the mean of {factor} x {factor} cells." if factor > 1 else ""


def layer_sheet(step: CrossbarStep) -> Sheet:
    """All blocks of a layer, with the inputs and outputs of each row and column of blocks."""
    grid = block_grid(step, _SIDE)
    picture = layer_picture(step, _SIDE)
    blocks = step.tiling.array.size
    title = f"{step.name}: cell levels of {blocks:,} block{'s' if blocks != 1 else ''}"
    if grid is None:
        return _compose(title, ["It has no cells."], [], (1, 1), lambda *_: iter(()))
    marks = _layer_marks(step, grid)
    above = (2 * _ROW if grid.is_matrix else _ROW) + (2 * _STRIP + 8 if marks else 0)

    def draw(left: int, top: int) -> Iterator[_Part]:
        if grid.is_matrix:
            yield from _draw_column_blocks(step, grid, (left, top + 12))
        if marks:
            widths = [mark.sign.size * grid.scale for mark in marks]
            yield from _draw_marks(marks, widths, (left, top + above - 2 * _STRIP - 6), grid.gap)
        yield from _draw_row_blocks(step, grid, (left, top + above))
        yield Picture(left, top + above, picture)

    size = (picture.shape[1], picture.shape[0] + above)
    rest = [_Sample((REST,), "no cell: between blocks, or beside a smaller one")]
    shown = rest if grid.gap or _has_rest(step, grid) else []
    legend = [_level_samples(1 << step.cells.bits), shown, *_mark_samples(marks)]
    return _compose(title, _layer_facts(step, grid), legend, size, draw)


def _layer_facts(step: CrossbarStep, grid: BlockGrid) -> list[str]:
    arrays = np.unique(step.tiling.array).size
    groups = f" in each of {step.groups:,} groups" if step.groups > 1 else ""
    what = f"{step.operator}, matrix of {step.inputs:,} inputs x {step.outputs:,} outputs{groups}"
    how = f"Encoding {step.encoding}, {step.cells.bits}-bit cells"
    places = f"on {arrays:,} array{'s' if arrays != 1 else ''}"
    facts = [f"{what}, {places}. {how}. Rows are wordlines, columns bitlines."]
    if step.tiling.column_order is not None:
        facts.append(
            "Columns stand in the order of the layer; on the chip they lie in another one."
        )
    if not grid.is_matrix:
        facts.append("Blocks follow each other line by line: group, row block, column block.")
    if grid.factor > 1:
        facts.append(f"A square is the mean of {grid.factor} x {grid.factor} cells.")
    left_out = step.groups * (len(step.tiling.row_bounds) - 1) - len(grid.strips)
    return [*facts, *([f"{left_out:,} further row blocks are not shown."] if left_out else [])]


def _has_rest(step: CrossbarStep, grid: BlockGrid) -> bool:
    """Whether the picture has places without a cell."""
    sides = (np.diff(step.tiling.row_bounds), np.diff(step.tiling.column_bounds))
    full = len(grid.strips) * grid.blocks == grid.down * grid.across
    return not full or any(np.unique(side).size > 1 for side in sides)


def _layer_marks(step: CrossbarStep, grid: BlockGrid) -> list[ColumnMarks]:
    """Marks of the first row of blocks; none where its columns are not shown one by one."""
    if not grid.is_matrix or grid.factor > 1:
        return []
    group, block = grid.strips[0]
    return [column_marks(inspect_block(step, group, block, j)) for j in range(grid.blocks)]


# Whoever composes a sheet says how wide and high its drawing is, and draws it at a place.
_Legend = Sequence[Sequence[_Sample]]  # a group begins a line
_Draw = Callable[[int, int], Iterator[_Part]]


def _compose(
    title: str, facts: Sequence[str], legend: _Legend, size: tuple[int, int], draw: _Draw
) -> Sheet:
    """Title, facts, the drawing and the legend below each other."""
    width, height = size
    whole = _LEFT + max(width, _NARROWEST) + 2 * _EDGE
    room = whole - 2 * _EDGE
    y = _EDGE + _LARGE
    parts: list[_Part] = [TextLine(shorten(title, room, _LARGE), _EDGE, y, _LARGE)]
    y += 6
    for text in (line for fact in facts for line in wrap(fact, room)):
        y += _ROW
        parts.append(TextLine(text, _EDGE, y, _SMALL, QUIET))
    y += 14
    parts += draw(_EDGE + _LEFT, y)
    y += height + 12
    for line in (line for group in legend for line in _legend_lines(group, room)):
        y += _ROW + 2
        parts += _draw_legend(line, _EDGE, y)
    return Sheet(title, whole, y + _EDGE, parts)


def wrap(text: str, room: float) -> list[str]:
    """Lines of whole words that fit."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, _SMALL) > room:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def shorten(text: str, room: float, size: float) -> str:
    """The text, cut where it would not fit."""
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "…", size) > room:
        text = text[:-1]
    return text + "…"


def _every(size: float, room: float) -> int:
    """Of labels along an axis: each how manieth has room, a power of two."""
    step = 1
    while step * size < room:
        step *= 2
    return step


def _draw_rows(
    step: CrossbarStep, view: BlockView, corner: tuple[int, int], height: int
) -> Iterator[_Part]:
    """Wordline and input of rows, and lines between rows that are never active together."""
    left, top = corner
    rows = view.cells.shape[0]
    side = height / max(1, rows)
    for row in range(0, rows, _every(side, _ROW - 2)):
        name = name_input(step, view.group, int(view.row_input[row]))
        text = shorten(f"{view.row_offset + row}  {name}", _LEFT - 34, _SMALL)
        y = top + (row + 0.5) * side
        yield TextLine(text, left - 10, y + _SMALL / 2, _SMALL, QUIET, "end")
        yield Patch(left - 6, y, 4, 1, QUIET)
    yield from _name_axis("wordline, input", left, top + height / 2)


def _name_axis(text: str, left: float, middle: float) -> Iterator[_Part]:
    yield TextLine(text, left - _LEFT + _SMALL, middle, _SMALL, QUIET, "middle", turned=True)


def _draw_outputs(
    names: Sequence[str], lines: Int64Array, corner: tuple[int, int], width: int
) -> Iterator[_Part]:
    """Output names over their columns, and bitlines below them; one of both for each column."""
    left, top = corner
    side, end, first = width / max(1, len(names)), -1e9, 0
    yield TextLine("output", left - 10, top, _SMALL, QUIET, "end")
    yield TextLine("bitline", left - 10, top + _ROW, _SMALL, QUIET, "end")
    for text, run in groupby(names):
        count = len(list(run))
        half = text_width(text, _SMALL) / 2
        middle = max(left + (first + count / 2) * side, left + half)
        if text and middle - half > end + 10 and middle + half <= left + max(width, 60):
            yield TextLine(text, middle, top, _SMALL, QUIET, "middle")
            end = middle + half
        first += count
    widest = max((text_width(str(line), _SMALL) for line in lines.tolist()), default=0) + 14
    for column in range(0, len(names), _every(side, widest)):
        text = str(lines[column])
        x = max(left + (column + 0.5) * side, left + text_width(text, _SMALL) / 2)
        yield TextLine(text, x, top + _ROW, _SMALL, QUIET, "middle")


def _draw_marks(
    marks: Sequence[ColumnMarks], widths: Sequence[int], corner: tuple[int, int], gap: int
) -> Iterator[_Part]:
    """Two strips over the columns: sign above, slice below."""
    left, top = corner
    yield TextLine("sign, slice", left - 10, top + _STRIP + 6, _SMALL, QUIET, "end")
    for mark, width in zip(marks, widths, strict=True):
        # A column has whole pixels where a cell has; shrunk blocks show the nearest column.
        index = np.arange(width) * mark.sign.size // max(1, width)
        for row, colours in enumerate((mark.sign_colours(), mark.slice_colours())):
            pixels = colours[index][None].repeat(_STRIP - 1, axis=0)
            yield Picture(left, top + row * _STRIP, pixels)
        left += width + gap


def _draw_column_blocks(
    step: CrossbarStep, grid: BlockGrid, corner: tuple[int, int]
) -> Iterator[_Part]:
    """Number and outputs of each column of blocks."""
    left, top = corner
    yield TextLine("column block", left - 10, top, _SMALL, QUIET, "end")
    yield TextLine("outputs", left - 10, top + _ROW, _SMALL, QUIET, "end")
    spans = [_outputs_of(step, j) for j in range(grid.blocks)]
    widest = max(text_width(text, _SMALL) for text in spans) + 12
    for j in range(0, grid.blocks, _every(grid.pitch[1], widest)):
        x = left + j * grid.pitch[1] + grid.width * grid.scale / 2
        yield TextLine(str(j), x, top, _SMALL, QUIET, "middle")
        yield TextLine(spans[j], x, top + _ROW, _SMALL, QUIET, "middle")


def _outputs_of(step: CrossbarStep, block: int) -> str:
    """First and last output of a column block, counted in a group."""
    first, last = step.tiling.conversion_bounds[block : block + 2]
    conversion = step.periphery.r_conversion
    found = step.periphery.r_output[(conversion >= first) & (conversion < last)]
    return _span(int(found.min()), int(found.max())) if found.size else "none"


def _draw_row_blocks(
    step: CrossbarStep, grid: BlockGrid, corner: tuple[int, int]
) -> Iterator[_Part]:
    """Inputs of each row of blocks; where lines are filled, the first block of each line."""
    left, top = corner
    bounds = step.tiling.row_bounds
    for line in range(0, grid.down, _every(grid.pitch[0], 2 * _ROW)):
        strip, j = divmod(line * grid.across, grid.blocks)
        if strip >= len(grid.strips):
            break
        group, i = grid.strips[strip]
        # The middle of the block that is there, which may be smaller than others.
        tall = -(-int(bounds[i + 1] - bounds[i]) // grid.factor) * grid.scale
        y = top + line * grid.pitch[0] + tall / 2
        if grid.is_matrix:
            inputs = step.tiling.row_input[int(bounds[i]) : int(bounds[i + 1])]
            head = f"group {group}, row block {i}" if step.groups > 1 else f"row block {i}"
            yield TextLine(head, left - 10, y - 3, _SMALL, QUIET, "end")
            text = f"inputs {_span(int(inputs.min()), int(inputs.max()))}"
        else:
            text = f"from {group},{i},{j} on"
        yield TextLine(text, left - 10, y + _SMALL + 4, _SMALL, QUIET, "end")


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"


def _level_samples(levels: int) -> list[_Sample]:
    shades = [tuple(rgb) for rgb in colour(np.linspace(0, 1, levels)).tolist()]
    if levels <= 8:
        return [_Sample((rgb,), f"level {level}") for level, rgb in enumerate(shades)]
    some = tuple(shades[at] for at in np.linspace(0, levels - 1, 8).astype(int))
    return [_Sample(some, f"levels 0 to {levels - 1}")]


def _mark_samples(marks: Sequence[ColumnMarks]) -> list[list[_Sample]]:
    if not marks:
        return []
    signs = {value for mark in marks for value in mark.sign.tolist()}
    told = [
        _Sample((rgb,), text)
        for value, rgb, text in (
            (1, PLUS, "adds to its output"),
            (-1, MINUS, "subtracts"),
            (0, NEITHER, "both, or no output"),
        )
        if value in signs
    ]
    exponents = sorted({value for mark in marks for value in mark.exponent.tolist()} - {-1})
    slices = [_Sample((HUES[e % len(HUES)],), f"slice x {1 << e}") for e in exponents]
    return [told, slices]


def _item_width(item: _Sample) -> float:
    return 14 * len(item.colours) + 6 + text_width(item.text, _SMALL) + 16


def _legend_lines(items: Sequence[_Sample], room: float) -> list[list[_Sample]]:
    lines: list[list[_Sample]] = []
    taken = room
    for item in items:
        if taken + _item_width(item) > room:
            lines.append([])
            taken = 0.0
        lines[-1].append(item)
        taken += _item_width(item)
    return lines


def _draw_legend(items: Sequence[_Sample], left: float, y: float) -> Iterator[_Part]:
    for item in items:
        x = left
        yield Patch(x - 1, y - _SMALL - 1, 14 * len(item.colours) + 1, _SMALL + 2, LINE)
        for rgb in item.colours:
            yield Patch(x, y - _SMALL, 13, _SMALL, rgb)
            x += 14
        yield TextLine(item.text, x + 6, y, _SMALL)
        left += _item_width(item)
