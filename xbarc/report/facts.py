"""What inputs of layers provably are, and what converters gain by it."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from xbarc.cost.converters import Widths
from xbarc.cost.counting import reading_widths
from xbarc.ir.program import CrossbarStep, Program
from xbarc.report.row import Row
from xbarc.rows.format import number
from xbarc.rows.table import TableData


class FactsRow(Row):
    """A layer of whose inputs something is known, whatever the network reads."""

    layer: str = Field(description="name of the layer")
    input_bits: int = Field(description="bits of a code as it is fed")
    plain_input_bits: int = Field(description="bits of a code had nothing been known")
    cycles: int = Field(description="input slices of a vector, count")
    plain_cycles: int = Field(description="the same had nothing been known")
    inputs_known: int = Field(description="inputs that cannot carry every code as it is fed, count")
    inputs: int = Field(description="inputs of the layer, count")
    mean_bits: float = Field(description="mean bits of a reading; 0 where no conversion is made")
    plain_mean_bits: float = Field(
        description="the same had nothing been known of the codes fed, bits"
    )
    mean_levels: float = Field(
        description="mean of 2**bits of a reading; 0 where no conversion is made"
    )
    plain_mean_levels: float = Field(
        description="mean of 2**bits of a reading had nothing been known"
    )
    facts: tuple[str, ...] = Field(description="which operators the knowledge comes from")


def facts_rows(program: Program) -> tuple[FactsRow, ...]:
    """A row for each layer of whose inputs something is known."""
    return tuple(
        _row(step) for step in program.crossbar_steps if step.facts or step.narrowed is not None
    )


def _row(step: CrossbarStep) -> FactsRow:
    widths = Widths("as set", reading_widths(step))
    count = max(1.0, widths.readings)
    bits, levels = widths.bits / count, widths.levels / count
    facts, narrowed = step.facts, step.narrowed
    plain = (bits, levels)
    if facts is not None and facts.plain_bits is not None and facts.plain_levels is not None:
        plain = (facts.plain_bits, facts.plain_levels)
    format_bits = step.input_bits if narrowed is None else narrowed.bits
    reasons = (*(narrowed.reasons if narrowed else ()), *(facts.reasons if facts else ()))
    return FactsRow(
        layer=step.name,
        input_bits=step.input_bits,
        plain_input_bits=format_bits,
        cycles=step.input_slices,
        plain_cycles=-(-format_bits // step.dac_bits),
        inputs_known=0 if facts is None else facts.known((1 << step.input_bits) - 1),
        inputs=step.inputs,
        mean_bits=bits,
        plain_mean_bits=plain[0],
        mean_levels=levels,
        plain_mean_levels=plain[1],
        facts=tuple(dict.fromkeys(reasons)),
    )


def facts_table(rows: Sequence[FactsRow]) -> TableData:
    """Bits with and without what is known."""
    cells = tuple(
        (
            row.layer,
            f"{row.plain_input_bits} -> {row.input_bits}",
            f"{row.plain_cycles} -> {row.cycles}",
            f"{number(row.inputs_known)} of {number(row.inputs)}",
            f"{row.plain_mean_bits:.3g} -> {row.mean_bits:.3g}",
            f"{row.plain_mean_levels:.4g} -> {row.mean_levels:.4g}",
            ", ".join(row.facts),
        )
        for row in rows
    )
    what = (
        "layer",
        "input bits>",
        "cycles>",
        "inputs known>",
        "mean b>",
        "mean 2^b>",
        "because of",
    )
    return TableData("What inputs provably are", what, cells)
