"""Where a program lies on the chip, and what to do when it does not fit: `xbarc place`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from rich.console import Group
from rich.text import Text

from xbarc.cost import ProgramCost, chip_arrays
from xbarc.errors import say_count
from xbarc.report.document import Document
from xbarc.report.escaping import json_text, text_lines
from xbarc.report.rich_tables import rich_table
from xbarc.rows import Row, Rows, Shown, TableData, cells, fact, headings, number, percent
from xbarc.target import Target

# Tiles in a cell of the table, so that a row stays a few lines; JSON has all.
_MOST_TILES_SHOWN = 12


class PlacedRow(Row, title="Places on the mesh"):
    """A layer on the mesh."""

    name: str = fact("name of the layer", head="layer")
    arrays: int = fact("arrays of all its copies, count", head="arrays>")
    tiles: tuple[tuple[int, int, int], ...] = fact(
        "row and column on the mesh, and arrays there, of each of its tiles",
        head="tiles>",
        text=lambda tiles: number(len(tiles)),
    )
    byte_hops: float = fact(
        "how many bytes times hops reach it in an inference", head="bytes x hops>"
    )


class PhaseRow(Row):
    """What runs between two times of writing."""

    loads: tuple[str, ...] = fact("layers, or parts of layers, that run")
    arrays: int = fact("arrays in use, what stays included, count")


class PhasesRow(Row):
    """A network larger than its chip, written in turns."""

    stays: tuple[str, ...] = fact("what is written once and for all")
    phases: tuple[PhaseRow, ...] = fact("phases in their order")
    arrays_written: int = fact("arrays that are written an inference, count")
    arrays_bound: int = fact("no choice with so many phases writes fewer, count")
    bytes_waiting: float = fact("how many bytes wait from a phase to a later one, an inference")
    write_energy_uj: float | None = fact("energy of that writing, uJ per inference")
    write_time_us: float | None = fact(
        "time of that writing, arrays of a phase side by side, us per inference"
    )
    inferences_borne: float | None = fact("how many inferences until the cells are worn out")


class PlacesReport(Document):
    """A program on its chip."""

    format: Literal[1] = Field(default=1, description="1: the first one")
    name: str = Field(description="name of the program")
    target: str = Field(description="name of the target")
    arrays: int = Field(description="arrays that the program needs, copies included, count")
    arrays_there: int = Field(description="arrays of one chip, count")
    arrays_missing: int = Field(description="arrays beyond one chip, count")
    advice: tuple[str, ...] = Field(description="what would make it fit; empty where it fits")
    mesh: tuple[int, int] = Field(description="rows and columns of the mesh; zero without one")
    layers: Rows[PlacedRow] = Field(description="layers on the mesh; empty without one")
    byte_hops: float = Field(description="how many bytes times hops an inference takes")
    byte_hops_bound: float = Field(description="how many any placement of these tiles takes")
    phases: Shown[PhasesRow] | None = Field(
        description="how to run it in turns; null where it fits"
    )


def places_report(
    name: str, target: Target, cost: ProgramCost, phases: PhasesRow | None
) -> PlacesReport:
    """Gather what `xbarc place` prints.

    Args:
        name: the program's.
        target: its target.
        cost: its counts, placement included.
        phases: how to run it in turns, where that was asked for or it does not fit.
    """
    arrays, there, mesh = int(cost.counts.arrays), chip_arrays(target), cost.placement
    return PlacesReport(
        name=name,
        target=target.name,
        arrays=arrays,
        arrays_there=there,
        arrays_missing=max(0, arrays - there),
        advice=advice(cost, target),
        mesh=(0, 0) if mesh is None else mesh.grid,
        layers=_placed_rows(cost),
        byte_hops=0.0 if mesh is None else mesh.total,
        byte_hops_bound=0.0 if mesh is None else mesh.bound,
        phases=phases,
    )


def _placed_rows(cost: ProgramCost) -> tuple[PlacedRow, ...]:
    mesh = cost.placement
    if mesh is None:
        return ()
    return tuple(
        PlacedRow(
            name=name,
            arrays=sum(arrays for _, arrays in tiles),
            tiles=tuple((*divmod(place, mesh.grid[1]), arrays) for place, arrays in tiles),
            byte_hops=mesh.byte_hops[name],
        )
        for name, tiles in mesh.tiles.items()
    )


def advice(cost: ProgramCost, target: Target) -> tuple[str, ...]:
    """What would make a program fit, each by itself; nothing where it fits."""
    arrays, there = int(cost.counts.arrays), chip_arrays(target)
    if arrays <= there:
        return ()
    found = [f"{say_count(-(-arrays // there), 'chip')} side by side"]
    if cost.arrays_once <= there:
        # Only where one copy of each fits: otherwise copies are not what is in the way.
        found.append(f"fewer copies: --duplicate budget={there} (one of each: {cost.arrays_once})")
    found += _fewer_slices(cost, target, there)
    most = max(cost.layers, key=lambda layer: layer.counts.arrays)
    share = most.counts.arrays / arrays
    found.append(f"{most.step.name} alone takes {percent(share)} of the arrays")
    return tuple(found)


def _fewer_slices(cost: ProgramCost, target: Target, there: int) -> list[str]:
    """Cells and weights of other widths, by the slices that they leave."""
    cell, found = target.cell.bits, []
    for bits in (2 * cell, 4 * cell):
        need = _arrays_at(cost, cell, bits)
        # A target has cells of 8 bits at most, and advice that does not lead to a fit is none.
        if bits <= 8 and need <= there:
            found.append(f"cells of {say_count(bits, 'bit')}: about {number(need)} arrays")
            break
    # The widest that fits is told, since each bit less costs accuracy.
    for weight in (6, 4, 3, 2):
        fewer = _arrays_of_weights(cost, -(-weight // cell))
        if fewer <= there:
            found.append(f"--weight-bits {weight}: about {number(fewer)} arrays")
            break
    return found


def _arrays_of_weights(cost: ProgramCost, slices: int) -> int:
    need = 0.0
    for layer in cost.layers:
        need += (
            # An estimate, which the text calls "about": the arrays of a layer go with its slices,
            # up to the rounding of its blocks.
            layer.counts.arrays * min(slices, layer.step.weight_slices) / layer.step.weight_slices
        )
    return round(need)


def _arrays_at(cost: ProgramCost, cell: int, bits: int) -> int:
    need = 0.0
    for layer in cost.layers:
        slices = -(-layer.step.weight_slices * cell // bits)
        need += layer.counts.arrays * slices / layer.step.weight_slices
    return round(need)


def render_places_json(report: PlacesReport) -> str:
    """Every digit."""
    return json_text(report)


def render_places_text(report: PlacesReport) -> Group:
    """Tables for a terminal."""
    fits = f"{report.name} on {report.target}: {number(report.arrays)} arrays, the chip has "
    fits += number(report.arrays_there)
    if report.arrays_missing:
        fits += f"; {number(report.arrays_missing)} more than fit"
    lines = [fits, *(f"  - {line}" for line in report.advice)]
    if report.byte_hops:
        gap = report.byte_hops / report.byte_hops_bound - 1 if report.byte_hops_bound else 0.0
        lines.append(
            f"bytes x hops of an inference: {number(report.byte_hops)}; no placement takes fewer "
            f"than {number(report.byte_hops_bound)} (gap at most {percent(gap)})"
        )
    tables = [_placed_table(report.layers), _phases_table(report.phases)]
    shown = (rich_table(table) for table in tables if table.rows)
    return Group(Text(text_lines([*lines, ""])), *shown, Text(_describe_phases(report.phases)))


def _placed_table(layers: Sequence[PlacedRow]) -> TableData:
    names = (*headings(PlacedRow), "row,column: arrays")
    lines = ((*cells(row), _where(row)) for row in layers)
    return TableData(PlacedRow.title, names, tuple(lines))


def _where(row: PlacedRow) -> str:
    shown = [f"{r},{c}: {n}" for r, c, n in row.tiles[:_MOST_TILES_SHOWN]]
    more = len(row.tiles) - len(shown)
    return "; ".join([*shown, *([f"and {more} more"] if more else [])])


def _phases_table(phases: PhasesRow | None) -> TableData:
    rows = (
        ()
        if phases is None
        else tuple(
            (str(i + 1), number(row.arrays), ", ".join(row.loads))
            for i, row in enumerate(phases.phases)
        )
    )
    return TableData("In turns", ("phase>", "arrays>", "runs"), rows)


def _describe_phases(phases: PhasesRow | None) -> str:
    if phases is None:
        return ""
    stays = ", ".join(phases.stays) or "nothing"
    return (
        f"stays: {stays}; {number(phases.arrays_written)} arrays are "
        f"written an inference (at least {number(phases.arrays_bound)}), "
        f"{number(phases.bytes_waiting)} bytes wait; energy {number(phases.write_energy_uj)} uJ, "
        f"time {number(phases.write_time_us)} us, inferences until cells wear out "
        f"{number(phases.inferences_borne)}"
    )
