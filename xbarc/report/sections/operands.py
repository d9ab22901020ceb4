"""Energies by the data that wordlines carried, beside the constant figures of the headline."""

from __future__ import annotations

from xbarc.cost import LayerCost, operand_energy
from xbarc.ir import OperandStatistics
from xbarc.report.section import Section, Subject
from xbarc.report.sections.components import energy_uj
from xbarc.rows import Row, Share, TableData, fact, number, table_of
from xbarc.target import Target


class OperandRow(Row):
    """Energy of one layer's arrays by the data that it was given."""

    name: str = fact("name of the layer", head="layer")
    driven: Share = fact(
        "share of wordlines and slices that are not zero, 0 to 1", head="lines driven>"
    )
    mean_level: Share = fact("mean level of an input slice, 0 to 1", head="mean level>")
    array_uj: float | None = fact(
        "arrays by `t sum V**2 G`, uJ per inference; null without a read pulse", head="array uJ>"
    )
    array_constant_uj: float = fact(
        "arrays by the constant figure, uJ per inference", head="constant>"
    )
    driver_uj: float = fact(
        "drivers of lines that are not zero, uJ per inference", head="driver uJ>"
    )
    driver_constant_uj: float = fact("drivers of all lines, uJ per inference", head="constant>")


class OperandsRow(Row):
    """Energies by data, beside the constant figures of the headline."""

    vectors: int = fact("input vectors of all layers that were looked at, count")
    energy_uj: float | None = fact(
        "energy per inference with these in place of the constant ones, uJ"
    )
    layers: tuple[OperandRow, ...] = fact("layers, in execution order")


def operands_row(subject: Subject) -> OperandsRow | None:
    """Energies by data; None where no data was given."""
    cost, target, seen = subject.cost, subject.target, subject.operands
    if seen is None:
        return None
    rows = tuple(_operands(layer, target, seen[layer.step.name]) for layer in cost.layers)
    changed = [_change(row) for row in rows]
    # Differences to the headline and not a second sum: what data does not change (converters,
    # buffers, links) then is the same number in both.
    known = [value for value in changed if value is not None]
    headline = energy_uj(subject)
    # One layer that cannot be told leaves no total: a mixture of both models would be neither.
    whole = headline is not None and len(known) == len(rows)
    return OperandsRow(
        vectors=sum(statistics.vectors for statistics in seen.values()),
        energy_uj=(headline or 0.0) + sum(known) if whole else None,
        layers=rows,
    )


def _operands(layer: LayerCost, target: Target, seen: OperandStatistics) -> OperandRow:
    # Of one input vector, in pJ: times the positions and over 1e6 it is an inference in uJ.
    found, times = operand_energy(layer.step, seen, target), (layer.positions or 0) / 1e6
    costs = target.costs
    return OperandRow(
        name=layer.step.name,
        driven=found.driven,
        mean_level=found.mean_level,
        array_uj=None if found.array_pj is None else found.array_pj * times,
        array_constant_uj=layer.vector.array_reads * costs.array_energy.value * times,
        driver_uj=found.driver_pj * times,
        driver_constant_uj=layer.vector.wordline_drives * costs.driver_energy.value * times,
    )


def _change(row: OperandRow) -> float | None:
    if row.array_uj is None:
        return None
    return row.array_uj - row.array_constant_uj + row.driver_uj - row.driver_constant_uj


def operands_tables(seen: OperandsRow | None) -> tuple[TableData, ...]:
    """Energies by data beside the constant ones."""
    if seen is None:
        return ()
    title = f"Energies by data; one inference: {number(seen.energy_uj)} uJ"
    return (table_of(OperandRow, seen.layers, title=title),)


OPERANDS = Section(operands_row, operands_tables, chapter="Energy and area")
