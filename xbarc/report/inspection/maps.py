"""The cells of a layer or of one block as a picture that a notebook shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from xbarc.errors import InputError, say_count, visible
from xbarc.ir import CrossbarStep, whole_file
from xbarc.numerics import UInt8Array
from xbarc.report.inspection.json_and_html import (
    render_block_html,
    render_block_json,
    render_layer_html,
    render_layer_json,
)
from xbarc.report.inspection.sheet import Sheet
from xbarc.report.inspection.tile_sheets import block_sheet, layer_sheet
from xbarc.report.inspection.views import BlockView, inspect_block, inspect_layer


@dataclass(frozen=True, eq=False)
class TileMap:
    """Levels of cells, and their picture: rows are wordlines, columns are bitlines.

    Attributes:
        step: the layer.
        block: one block of it, with everything that its array is loaded with; None: all blocks.
    """

    step: CrossbarStep
    block: BlockView | None = None

    @property
    def levels(self) -> UInt8Array:
        """Levels of the cells; axes: row, column of the block, or group, row, column of all."""
        return self.step.cells.unpack() if self.block is None else self.block.cells

    def png(self) -> bytes:
        """The picture as a PNG file."""
        return self._sheet().png()

    def svg(self) -> str:
        """The picture as an SVG file, whose text stays text."""
        return self._sheet().svg()

    def _sheet(self) -> Sheet:
        if self.block is None:
            return layer_sheet(self.step)
        return block_sheet(self.step, self.block)

    def html(self) -> str:
        """A page with the picture and what is known of the cells."""
        if self.block is None:
            return render_layer_html(inspect_layer(self.step))
        return render_block_html(self.step, self.block)

    def json(self) -> str:
        """What `xbarc inspect --json` prints: of a block every level, of a layer its blocks."""
        if self.block is None:
            return render_layer_json(inspect_layer(self.step))
        return render_block_json(self.block)

    def save(self, path: str | Path) -> None:
        """Write a file, whole or not at all; the end of its name says of which kind.

        Args:
            path: ends in `.png`, `.svg`, `.html` or `.json`.

        Raises:
            InputError: it ends otherwise, or cannot be written.
        """
        place = Path(path)
        if place.suffix not in _KINDS:
            raise InputError(
                f"'{place.suffix}' is no kind of tile map",
                where=str(place),
                hint=f"a name that ends in {', '.join(_KINDS)}",
            )
        data = self.encode(place.suffix)
        with whole_file(place) as file:
            file.write(data)

    def encode(self, kind: str) -> bytes:
        """What a file of a kind holds: `.png`, `.svg`, `.html` or `.json`."""
        made = _KINDS[kind](self)
        # Half of a surrogate pair, which a name may hold, is no UTF-8.
        return made if isinstance(made, bytes) else made.encode("utf-8", "replace")

    def __repr__(self) -> str:
        name = visible(self.step.name)
        if self.block is None:
            return f"<TileMap of {name}: {say_count(self.step.tiling.array.size, 'block')}>"
        rows, columns = self.block.cells.shape
        place = f"{self.block.group},{self.block.row_block},{self.block.column_block}"
        return f"<TileMap of {name}, block {place}: {rows} x {columns} cells>"

    def _repr_png_(self) -> bytes:
        return self.png()


_KINDS: dict[str, Callable[[TileMap], bytes | str]] = {
    ".png": TileMap.png,
    ".svg": TileMap.svg,
    ".html": TileMap.html,
    ".json": TileMap.json,
}


def tile_map(step: CrossbarStep, block: tuple[int, ...] | None = None) -> TileMap:
    """The tile map of a layer, or of one of its blocks.

    Args:
        step: the layer.
        block: row block and column block, with the group before them where there are several.

    Raises:
        InputError: there is no such block.
    """
    if block is None:
        return TileMap(step)
    if len(block) not in (2, 3):
        hint = "(row block, column block), or (group, row block, column block)"
        raise InputError(f"{block!r} names no block", where=step.name, hint=hint)
    group, i, j = block if len(block) == 3 else (0, *block)
    return TileMap(step, inspect_block(step, group, i, j))
