"""What a reader must know before trusting a number: what the model leaves out."""

from __future__ import annotations

from collections.abc import Sequence

from xbarc.cost import ProgramCost
from xbarc.ir.program import Program
from xbarc.target import Target, figures

_KINDS = {
    "silicon": "The target's figures were measured on silicon.",
    "modelled": "The target was published as a model: nothing was ever built.",
    "assumed": "The target was put together here from several sources: nothing was ever built.",
}
_OF_THE_PROGRAM = ("The links of the chip", "The ADC law was fitted", "Input ranges found")
_ALWAYS = (
    "Energies do not depend on the data: each array read and each driven wordline costs the same.",
    "Latency is the sum over crossbar layers, one input vector after another, without overlap.",
    "The rate assumes that all layers run as a pipeline. Digital fragments take no time in either.",
    "Leakage lasts for the whole latency of one inference: in a full pipeline it is shared.",
    "Inputs are read from the buffer once an input vector: windows that overlap share nothing.",
    "Each row block's sums cross one router; inputs cross none.",
    "Digital energy is that of multiply-accumulates; element-wise work and moves are not priced.",
    "Digital area is what the tile figures hold.",
    "Clock, control, instruction fetch, power delivery and off-chip memory are not priced.",
    "Device estimates are first order, and the executor applies none of them.",
    "An uncalibrated model of this kind is good to a factor of two; an ADC figure to ten.",
)


def notes(program: Program, cost: ProgramCost) -> tuple[str, ...]:
    """Notes of one report, the general ones last."""
    target = program.target
    return (
        _KINDS[target.kind],
        *_unconfirmed(target),
        *_missing(target),
        *_links(target, cost),
        *_converters(target, cost),
        *_ranges(program),
        *_ALWAYS,
    )


def specific(notes: Sequence[str]) -> tuple[str, ...]:
    """Those that another program on the same target may not have."""
    return tuple(note for note in notes if note.startswith(_OF_THE_PROGRAM))


def _unconfirmed(target: Target) -> tuple[str, ...]:
    paths = [path for path, figure in figures(target) if not figure.confirmed]
    if not paths:
        return ()
    return (f"Not read in a source text, so not to be relied on alone: {', '.join(paths)}.",)


def _missing(target: Target) -> tuple[str, ...]:
    optional = {
        "costs.chip_static": (target.costs.chip_static, "links between chips use no energy here"),
        "costs.chip_area": (target.costs.chip_area, "links between chips take no area here"),
        "costs.write_energy": (target.costs.write_energy, "the energy of programming is unknown"),
    }
    return tuple(
        f"The target gives no {path}: {effect}."
        for path, (figure, effect) in optional.items()
        if figure is None
    )


def _links(target: Target, cost: ProgramCost) -> tuple[str, ...]:
    if cost.counts.linked_chips or target.costs.chip_static is None:
        return ()
    watts = target.costs.chip_static.value / 1e3
    return (f"The links of the chip ({watts:g} W) are left out: the program fits one chip.",)


def _converters(target: Target, cost: ProgramCost) -> tuple[str, ...]:
    found = []
    widest = max((bits for bits, count in enumerate(cost.counts.adcs) if count), default=0)
    if widest > 10:
        found.append(f"The ADC law was fitted up to 10 bits, and {widest} are in use.")
    if target.node_nm < 22:
        found.append("Capacitor arrays shrink more slowly than logic: the ADC area is optimistic.")
    return tuple(found)


def _ranges(program: Program) -> tuple[str, ...]:
    dynamic = [s.name for s in program.crossbar_steps if s.quantizer.kind == "dynamic"]
    if not dynamic:
        return ()
    text = (
        f"Input ranges found at run time, in {len(dynamic)} of {len(program.crossbar_steps)} layers"
    )
    return (f"{text}, are not priced; `--calibrate` makes them static.",)
