"""Range analysis of the inputs of layers, and what converters gain by it."""

from __future__ import annotations

from xbarc.cost import Widths, reading_widths
from xbarc.ir import CrossbarStep
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, fact, number, shows


class FactsRow(Row, title="Range analysis of inputs"):
    """A layer of whose inputs something is known, whatever the network reads."""

    layer: str = fact("name of the layer", head="layer")
    input_bits: int = fact(
        "bits of a code as it is fed",
        head="input bits>",
        of=lambda row: f"{row.plain_input_bits} -> {row.input_bits}",
    )
    plain_input_bits: int = fact("bits of a code had nothing been known")
    cycles: int = fact(
        "input slices of a vector, count",
        head="cycles>",
        of=lambda row: f"{row.plain_cycles} -> {row.cycles}",
    )
    plain_cycles: int = fact("the same had nothing been known")
    inputs_known: int = fact(
        "inputs that cannot carry every code as it is fed, count",
        head="inputs known>",
        of=lambda row: f"{number(row.inputs_known)} of {number(row.inputs)}",
    )
    inputs: int = fact("inputs of the layer, count")
    mean_bits: float = fact(
        "mean bits of a reading; 0 where no conversion is made",
        head="mean b>",
        of=lambda row: f"{row.plain_mean_bits:.3g} -> {row.mean_bits:.3g}",
    )
    plain_mean_bits: float = fact("the same had nothing been known of the codes fed, bits")
    mean_levels: float = fact(
        "mean of 2**bits of a reading; 0 where no conversion is made",
        head="mean 2^b>",
        of=lambda row: f"{row.plain_mean_levels:.4g} -> {row.mean_levels:.4g}",
    )
    plain_mean_levels: float = fact("mean of 2**bits of a reading had nothing been known")
    facts: tuple[str, ...] = fact(
        "which operators the knowledge comes from", head="because of", text=", ".join
    )


def facts_rows(subject: Subject) -> tuple[FactsRow, ...]:
    """A row for each layer of whose inputs something is known."""
    return tuple(
        _row(step)
        for step in subject.program.crossbar_steps
        if step.facts or step.narrowed is not None
    )


def _row(step: CrossbarStep) -> FactsRow:
    widths = Widths("as set", reading_widths(step))
    count = max(1.0, widths.readings)
    bits, levels = widths.bits / count, widths.levels / count
    facts, narrowed = step.facts, step.narrowed
    # A program stores what it would have been only where something was narrowed; else it is what it
    # is.
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
        # Each reason once, in order: the width and the range of an input often follow from the same
        # fact.
        facts=tuple(dict.fromkeys(reasons)),
    )


FACTS = Section(facts_rows, shows(FactsRow), chapter="Converters")
