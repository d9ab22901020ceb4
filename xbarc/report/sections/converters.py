"""Converters of a program beside other rules for their width, the front of a budget, and models."""

from __future__ import annotations

from collections.abc import Mapping

from xbarc.cost import AdcOpinion, Widths, adc_opinions, converter_widths, further_opinions
from xbarc.ir import FrontPoint, Program
from xbarc.report.section import Section, Subject
from xbarc.rows import Row, fact, histogram, shows
from xbarc.target import Target

_FACTOR_2 = 3.01
"""A factor of two in power, dB."""
_ENOUGH_LABELS = 1000
"""One answer is .1 points of so many, a fifth of the usual budget of half a point."""


class ConverterRow(Row, title="Converters, as set and by other rules"):
    """Converters of a layer under one rule for their width; `as set` is the program."""

    layer: str = fact("name of the layer, or all layers", head="layer")
    rule: str = fact("as set, from cells, D.U.B. or worst case", head="rule")
    mean_bits: float = fact(
        "energy law b: mean bits of a reading; 0 where no conversion is made",
        head="mean b>",
        text="{:.2f}",
    )
    mean_levels: float = fact(
        "energy law 2^b: mean of 2**bits of a reading; 0 where no conversion is made",
        head="mean 2^b>",
        text="{:.1f}",
    )
    energy_uj: float | None = fact("by the target's converter, uJ per inference", head="energy uJ>")
    histogram: dict[int, int] = fact(
        "readings by width in bits, count, of one input vector or an inference; those "
        "of 0 bits make no conversion",
        head="conversions by ADC bits",
        text=histogram,
    )


def converter_rows(subject: Subject) -> tuple[ConverterRow, ...]:
    """A row for each layer and rule, then the sums over layers whose positions are known."""
    layers, target = subject.cost.layers, subject.target
    rows, sums = [], dict[str, list[float]]()
    for layer in layers:
        for widths in converter_widths(layer.step):
            rows.append(_row(layer.step.name, widths, layer.positions, target))
            total = sums.setdefault(widths.rule, [0.0] * len(widths.histogram))
            for bits, count in enumerate(widths.histogram):
                # A convolution's converter works once for each position: rules are compared by what
                # an inference converts, not by what stands on the chip.
                total[bits] += count * (layer.positions or 0)
    # A sum over some layers would pass for that of the network.
    if any(layer.positions is None for layer in layers):
        return tuple(rows)
    whole = (Widths(rule, tuple(counts)) for rule, counts in sums.items())
    return (*rows, *(_row("all layers", widths, 1, target) for widths in whole))


def _row(layer: str, widths: Widths, positions: int | None, target: Target) -> ConverterRow:
    readings = widths.readings
    energy = None if positions is None else positions * widths.energy_pj(target.costs.adc) / 1e6
    return ConverterRow(
        layer=layer,
        rule=widths.rule,
        mean_bits=widths.bits / readings if readings else 0.0,
        mean_levels=widths.levels / readings if readings else 0.0,
        energy_uj=energy,
        histogram={bits: int(n) for bits, n in enumerate(widths.histogram) if n},
    )


def front_notes(program: Program) -> tuple[str, ...]:
    """Who judged the chosen bits, and a warning where the model was a factor of two off."""
    notes = []
    for point in program.front:
        if not point.chosen:
            continue
        if point.judged is not None:
            notes.append(_who_judged(point.judged, point.parts))
            notes += _few_labels(point, point.judged, dict(program.settings))
        predicted, measured = point.predicted_db, point.measured_db
        if predicted is not None and measured is not None and abs(predicted - measured) > _FACTOR_2:
            notes.append(
                f"The output error of the chosen converter bits was predicted as {predicted:.1f}"
                f" dB and measured as {measured:.1f} dB: trust what was measured"
            )
    return tuple(notes)


def _few_labels(point: FrontPoint, judged: int, settings: Mapping[str, str]) -> list[str]:
    """How far a budget in points can be trusted, where few labels judged it."""
    counts_labels = point.top1 is not None and not settings.get("adc_budget", "").endswith("dB")
    if not counts_labels or judged >= _ENOUGH_LABELS:
        return []
    # Where hardly an answer changed the estimates are near 0, but one answer is 1 of `judged`.
    error = max(point.top1_error or 0.0, point.expected_error or 0.0, 1 / judged)
    note = (
        f"Converter bits were judged by few labels ({judged:,}): one standard error of the loss is"
        f" {100 * error:.2f} points of top-1, and other data may lose more than the budget; give"
        f" {_ENOUGH_LABELS:,} labels or more, or ask for less"
    )
    return [note]


def _who_judged(samples: int, parts: int) -> str:
    """One sentence on the samples behind the figures of a front."""
    if parts < 2:
        return (
            f"Converter bits were judged by the {samples} samples that they were fitted to, which"
            " flatters them: give more samples, or a model whose batch is not fixed"
        )
    return (
        f"Converter bits were judged by all {samples} samples of the data in {parts} parts, each"
        " through digital numbers that were fitted to the other parts"
    )


def model_rows(subject: Subject) -> tuple[AdcOpinion, ...]:
    """Every width of converters in use by every model that holds there."""
    cost, target = subject.cost, subject.target
    return tuple(
        opinion
        for bits, count in enumerate(cost.counts.adcs)
        # 0 bits convert nothing, and no model prices that.
        if count and bits
        for opinion in (*adc_opinions(bits, target), *further_opinions(bits, target))
    )


_MODELS = "bits model energy_pj area_um2 node_factor source"
CONVERTERS = Section(converter_rows, shows(ConverterRow), chapter="Converters")
FRONT = Section(
    lambda subject: subject.program.front, shows(FrontPoint), front_notes, chapter="Converters"
)
ADC_MODELS = Section(model_rows, shows(AdcOpinion, _MODELS), chapter="Converters")
