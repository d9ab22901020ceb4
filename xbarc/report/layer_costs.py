"""One layer's costs by component, with the source of every figure: `xbarc report --layer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from rich.console import Group, RenderableType
from rich.text import Text

from xbarc.errors import InputError
from xbarc.options import nearest
from xbarc.report.document import Document
from xbarc.report.escaping import json_text, text_lines
from xbarc.report.inspection import list_layers
from xbarc.report.model import Report
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import (
    COMPONENTS,
    Components,
    DigitalRow,
    LayerRow,
    SourceRow,
    citation_table,
    layers_table,
    sources_of,
)
from xbarc.rows import Row, Rows, Shown, TableData, table_of


class LayerCosts(Document):
    """A layer or a digital fragment: what it costs, of which parts, by which figures."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    program: str = Field(description="name of the program")
    target: str = Field(description="name of the target")
    layer: Shown[LayerRow] | None = Field(
        description="the layer as in `layers` of the report; null for a digital fragment"
    )
    digital: Shown[DigitalRow] | None = Field(
        description="the fragment as in `digital` of the report; null for a layer"
    )
    not_counted: tuple[str, ...] = Field(description="why work of it is in no total")
    sources: Rows[SourceRow] = Field(description="every figure that its parts are counted with")

    @property
    def row(self) -> LayerRow | DigitalRow | None:
        """Whichever of the two it is."""
        return self.layer or self.digital


def layer_costs(report: Report, name: str) -> LayerCosts:
    """One layer or fragment of a report.

    Raises:
        InputError: the report has none of that name.
    """
    layer = next((row for row in report.layers if row.name == name), None)
    digital = next((row for row in report.digital if row.name == name), None)
    row = layer or digital
    if row is None:
        names = [row.name for row in report.layers] + [row.name for row in report.digital]
        hint = nearest(name, names) or list_layers(names)
        raise InputError(f"'{name}' is not a layer of the program", where="--layer", hint=hint)
    parts = row.components
    used = () if parts is None else parts.energy + parts.area + parts.write
    return LayerCosts(
        program=report.name,
        target=report.target.name,
        layer=layer,
        digital=None if layer else digital,
        not_counted=tuple(left.reason for left in report.left_out if left.name == name),
        sources=sources_of([part for part in used if part.count], report.sources),
    )


def render_layer_costs_json(costs: LayerCosts) -> str:
    """Every digit."""
    return json_text(costs)


def render_layer_costs_text(costs: LayerCosts) -> RenderableType:
    """What it is, its parts, and the figures behind them."""
    row = costs.row
    if row is None:
        return ""
    head = [f"{row.name} of {costs.program} on {costs.target}"]
    head += [f"not counted: {reason}" for reason in costs.not_counted]
    figures = _figures_table(costs.sources), citation_table(costs.sources)
    tables = (*_row_tables(row), *_part_tables(row.components), *figures)
    shown = [rich_table(table) for table in tables if table.rows]
    return Group(Text(text_lines([*head, ""])), *shown)


def _row_tables(row: LayerRow | DigitalRow) -> tuple[TableData, ...]:
    if isinstance(row, DigitalRow):
        return (table_of(DigitalRow, (row,)),)
    return (layers_table((row,)),)


def _part_tables(components: Components | None) -> Sequence[TableData]:
    return () if components is None else tuple(COMPONENTS.tables(components))


def _figures_table(sources: Sequence[Row]) -> TableData:
    return table_of(SourceRow, sources, title="Figures of these parts")
