"""What a reader must know before trusting a number: what the model leaves out."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from xbarc.cost import ProgramCost, law_of_costs, level_zero_clipping
from xbarc.errors import say_count
from xbarc.ir import Dim, DynamicInput, Program, SignResult
from xbarc.target import Figure, Target, figures

_WORTH_A_WORD = 0.001  # of the draws: below, the mean of a level moves by less than 1e-4 sigma
_KINDS = {
    "silicon": "The target's figures were measured on silicon.",
    "modelled": "The target was published as a model: nothing was ever built.",
    "assumed": "The target was put together here from several sources: nothing was ever built.",
}
# By how they begin: a note is one sentence in one place, and the brief report leaves out what holds
# for every program on the target.
_OF_A_LAYER = "Converters of layer "
_OF_THE_PROGRAM = (
    "Declared integers of layer ",
    "The links of the chip",
    "Left out of the totals",
    "Open axes",
    "The first axis of",
    "Layer ",
    "The ADC law was fitted",
    "Input ranges found",
    _OF_A_LAYER,
    "Converters were set on ideal cells",
    "Adjacent columns with converters",
    "Error feedback was forced",
    "Converter bits were judged",
    "The output error of the chosen",
    "The mapping that the model carries",
)
# What no figure of ours can tell, whatever the program. Two decimals in a table look like
# certainty.
_ALWAYS = (
    "The totals do not depend on data: each read and each wordline costs the same; see `--data`.",
    "A layer takes an input vector once its window is there; buffers hold what that asks for.",
    "The rate is that of inferences that follow at once; the latency is that of a single one.",
    "What is always on is charged for the interval at full rate; energy_alone_uj: for the latency.",
    "Inputs are read from the buffer once an input vector: windows that overlap share nothing.",
    "Each row block's sums cross one router; inputs cross none. Layers lie side by side on tiles.",
    "Digital energy is that of multiply-accumulates; element-wise work and moves are not priced.",
    "Digital area is what the tile figures hold.",
    "Clock, control, instruction fetch, power delivery and off-chip memory are not priced.",
    "Device estimates enter no other figure; wires are solved exactly, cells are first order.",
    "An uncalibrated model of this kind is good to a factor of two; an ADC figure to ten.",
)


def notes(program: Program, cost: ProgramCost) -> tuple[str, ...]:
    """Notes of one report, the general ones last."""
    target = program.target
    return (
        _KINDS[target.kind],
        *_unconfirmed_figures(target),
        *_target_changes(target),
        *_carried_figures(target),
        *_clipping_notes(target),
        *_missing_figures(target),
        *_untimed_parts(target),
        *_left_out(cost),
        *_open_axes(program, cost),
        *_samples(program),
        *_links(target, cost),
        *_converters(target, cost),
        *_mapped_anew(program),
        *_integers(program),
        *_zeros_of_signs(program),
        *_ranges(program),
        *_solver_notes(program),
        *of_converters(program),
        *_ALWAYS,
    )


def specific(notes: Sequence[str]) -> tuple[str, ...]:
    """Those that another program on the same target may not have."""
    return tuple(note for note in notes if note.startswith(_OF_THE_PROGRAM))


def warnings(notes: Sequence[str]) -> tuple[str, ...]:
    """Those that a user may have to act on: no account of every layer's converters."""
    return tuple(note for note in specific(notes) if not note.startswith(_OF_A_LAYER))


def _integers(program: Program) -> tuple[str, ...]:
    """Integers that the model declares and that a layer computes without."""
    return tuple(item.note(step.name) for step in program.crossbar_steps for item in step.unkept)


def _mapped_anew(program: Program) -> tuple[str, ...]:
    """Why a mapping that the model carries was not taken."""
    taken, _, reason = dict(program.settings).get("carried_mapping", "").partition(": ")
    if taken != "not taken":
        return ()
    told = (
        f"The mapping that the model carries was not taken, since {reason}: layers were mapped anew"
        " from its integers."
    )
    return (told,)


def _solver_notes(program: Program) -> tuple[str, ...]:
    """What a solver found and proved for each layer's converters."""
    return tuple(
        f"{_OF_A_LAYER}{step.name}: {note}"
        for step in program.crossbar_steps
        for note in step.adc.notes
    )


def of_rounding(program: Program) -> tuple[str, ...]:
    """What the rounding of inputs costs an output, where ranges are taken at run time."""
    bits = [
        s.quantizer.bits for s in program.crossbar_steps if isinstance(s.quantizer, DynamicInput)
    ]
    if not bits:
        return ()
    told = (
        f"{len(bits)} of {len(program.crossbar_steps)} layers round their inputs to"
        f" {say_count(min(bits), 'bit')}, over ranges taken at run time: `--activation-bits` and"
        " `--weight-bits` up to 16 make steps finer, `--calibrate DATA.npz` chooses ranges from"
        " data. Compiled with 16 bits, what is left is not rounding."
    )
    return (told,)


def of_converters(program: Program) -> tuple[str, ...]:
    """What converters that were set from data can cost, on wires above all."""
    return (
        *_set_on_ideal_cells(program),
        *_coarse_chains(program),
        *_forced_feedback(program),
    )


def _set_on_ideal_cells(program: Program) -> tuple[str, ...]:
    """What converters from data do not know: the wires of a target that the program ignores."""
    settings, wires = dict(program.settings), program.target.wires
    fitted = "compensate" in settings or settings.get("placement", "none") != "none"
    policies = {step.adc.policy.partition(":")[0] for step in program.crossbar_steps}
    # On ideal wires there is nothing that converters could miss.
    if not (wires.wordline.value or wires.bitline.value):
        return ()
    if "uniform" in policies:
        told = (
            "Converters were set on ideal cells: the one setting that all layers share is chosen"
            " before a program is fitted to its wires, which make sums smaller (`--effects lines`)."
            " `--adc calibrated` without `--uniform` sets converters on the sums that are left."
        )
        return (told,)
    # Fitted programs had their converters set again on the sums that wires leave.
    if fitted or not policies & {"calibrated", "budget"}:
        return ()
    told = (
        "Converters were set on ideal cells. Wires (`--effects lines`) make sums smaller, and what"
        " that costs can grow with error feedback or equalised channels; `--compensate gain` adapts"
        " the program to its wires, and sets converters on the sums that are left."
    )
    return (told,)


def _coarse_chains(program: Program) -> tuple[str, ...]:
    """Columns whose neighbours are subtracted, read with as few bits as was asked for."""
    coarse = [
        step.name
        for step in program.crossbar_steps
        # The analog kind subtracts neighbours before they are converted, and is not concerned.
        if step.encoding == "acm" and step.adc.policy.startswith("calibrated:")
    ]
    if not coarse:
        return ()
    told = (
        "Adjacent columns with converters of a fixed width, in"
        f" {say_count(len(coarse), 'layer')}: each output is the"
        " difference of two rounded sums that are larger than it, so the same bits cost more"
        " than on pairs of columns: 4 points of top-1 where we measured 5 bits (fashion-mlp), 9 on"
        " wires (`--effects lines`) with `--compensate gain` and most answers without;"
        " `--adc-budget` refuses what keeps too little, differential needs less."
    )
    return (told,)


def _forced_feedback(program: Program) -> tuple[str, ...]:
    """Weights that compensate each other, read by converters that they do not know."""
    policies = (step.adc.policy for step in program.crossbar_steps)
    coarse = any(policy.startswith("calibrated:") for policy in policies)
    if not coarse or dict(program.settings).get("feedback") != "on":
        return ()
    told = (
        "Error feedback was forced (`--feedback on`) beside converters of a fixed width: it chooses"
        " weights for converters that lose nothing, and few bits can cost more with it (1.1 points"
        " of top-1 where we measured 5 bits, fashion-mlp); `auto`, the default, keeps it only where"
        " held-back samples gain by it."
    )
    return (told,)


def _left_out(cost: ProgramCost) -> tuple[str, ...]:
    """What no total holds, layer by layer and operator by operator."""
    return tuple(f"Left out of the totals: {left.name}, {left.reason}." for left in cost.left_out)


def _open_axes(program: Program, cost: ProgramCost) -> tuple[str, ...]:
    """Sizes that nobody gave, and the layers that get no input vector for it."""
    found = dict(program.settings).get("open_axes")
    if found is None:
        return ()
    empty = [layer.step.name for layer in cost.layers if layer.positions == 0]
    effect = f": {', '.join(empty[:3])} has no input vector and costs nothing" if empty else ""
    return (
        f"Open axes count as 1 ({found}){effect}. --shape NAME=N,C,H,W counts with real sizes.",
    )


def _zeros_of_signs(program: Program) -> tuple[str, ...]:
    """What comparators make of a Sign of real numbers that met exactly 0."""
    if dict(program.settings).get("sign_of_zero", "onnx") != "onnx":
        return ()
    signs = [step for step in program.digital_steps if "Sign" in dict(step.operators)]
    given = {name for step in signs for name in step.outputs}
    return tuple(
        f"Layer {step.name} reads the Sign of real numbers: an exact 0 there drives no wordline,"
        " and a sum that it makes 0 is read as one of the two signs, where ONNX gives 0."
        " `--sign-of-zero plus` or `minus` chooses which."
        for step in program.crossbar_steps
        if isinstance(step.result, SignResult) and step.sense is not None and step.input in given
    )


def _samples(program: Program) -> tuple[str, ...]:
    """How much one inference is, where the model or `--shape` fixes more than one sample."""
    firsts = {value.name: value.shape[0] for value in program.inputs if value.shape}
    given = dict(program.settings).get("shapes", "")
    for name, _, sizes in (part.rpartition("=") for part in given.split("; ") if part):
        # What `--shape` fixed wins over the model's open or other size.
        # The text comes from a file, so that it may be anything.
        with contextlib.suppress(ValueError):
            firsts[name] = int(sizes.partition(",")[0])
    many = [f"'{name}' is {size}" for name, size in firsts.items() if _is_many(size)]
    if not many:
        return ()
    told = (
        f"The first axis of {', '.join(many)}: counts, energy and latency are those of one run over"
        " all of it, not of one sample."
    )
    return (told,)


def _is_many(size: Dim) -> bool:
    return isinstance(size, int) and size > 1


def _unconfirmed_figures(target: Target) -> tuple[str, ...]:
    paths = [path for path, figure in figures(target) if not figure.confirmed]
    if not paths:
        return ()
    return (f"Not read in a source text, so not to be relied on alone: {', '.join(paths)}.",)


def _target_changes(target: Target) -> tuple[str, ...]:
    """What sets the target apart from the one that people know."""
    if not target.changed:
        return ()
    other = target.base or target.name
    differs = ", ".join(target.changed)
    return (f"The target is {other} but for {differs}: what is published of that is not of this.",)


def _carried_figures(target: Target) -> tuple[str, ...]:
    """Figures that were given for another array."""
    moved = [
        f"{path} ({figure.carried.value:g} to {figure.value:.4g} {figure.unit})"
        for path, figure in figures(target)
        if isinstance(figure, Figure) and figure.carried is not None
    ]
    if not moved:
        return ()
    return (f"Given for another array and carried to this one by our laws: {', '.join(moved)}.",)


def _clipping_notes(target: Target) -> tuple[str, ...]:
    """What the law of variation does to cells near zero, where it is worth a word."""
    found = level_zero_clipping(target.cell)
    if found.share < _WORTH_A_WORD:
        return ()
    what = (
        f"{found.share:.0%} of the draws at level 0 with `--effects variation` are clipped at zero "
        f"conductance: mean {found.shift:.2g} level high, sigma {found.sigma:.3g} for "
        f"{found.unclipped:.3g}."
    )
    other = "compare them with cell.variation.law = log-normal or normal"
    return (f"{what} Encodings with many cells at level 0 gain by it; {other}.",)


def _missing_figures(target: Target) -> tuple[str, ...]:
    # One table of what may be missing and what follows from that, so a new optional figure is one
    # line.
    optional = {
        "costs.chip_static": (target.costs.chip_static, "links between chips use no energy here"),
        "costs.chip_area": (target.costs.chip_area, "links between chips take no area here"),
        "costs.write_energy": (target.costs.write_energy, "the energy of programming is unknown"),
        "costs.write_time": (target.costs.write_time, "the time of programming is unknown"),
        "costs.endurance": (target.costs.endurance, "the endurance of cells is unknown"),
    }
    return tuple(
        f"The target gives no {path}: {effect}."
        for path, (figure, effect) in optional.items()
        if figure is None
    )


def _untimed_parts(target: Target) -> tuple[str, ...]:
    costs = target.costs
    given = {
        "digital fragments": costs.digital_rate,
        "links between tiles": costs.link_rate,
        "routers": costs.hop,
    }
    free = [name for name, figure in given.items() if figure is None]
    return (f"The target times no {', no '.join(free)}: they take no time.",) if free else ()


def _links(target: Target, cost: ProgramCost) -> tuple[str, ...]:
    if cost.counts.linked_chips or target.costs.chip_static is None:
        return ()
    watts = target.costs.chip_static.value / 1e3
    return (f"The links of the chip ({watts:g} W) are left out: the program fits one chip.",)


def _converters(target: Target, cost: ProgramCost) -> tuple[str, ...]:
    if law_of_costs(target) is not None:
        return ()
    found = []
    # Of converters in use, not of what the target could build: an unused width needs no warning.
    widest = max((bits for bits, count in enumerate(cost.counts.adcs) if count), default=0)
    if widest > 10:
        found.append(
            f"The ADC law was fitted up to 10 bits, and {widest} are in use{_noise(target)}."
        )
    # Our choice of a boundary: below it nodes are FinFETs, named by more than their metal shrank.
    if target.node_nm < 22:
        found.append("Capacitor arrays shrink more slowly than logic: the ADC area is optimistic.")
    return tuple(found)


def _noise(target: Target) -> str:
    """What is added for thermal noise."""
    term, margin = target.costs.adc.thermal, target.costs.adc.thermal_margin
    if term is None:
        return ", without a term for thermal noise"
    times = 1.0 if margin is None else margin.value
    return f"; thermal noise is charged with {term.value:g} pJ 4**bits, {times:g} times the floor"


def _ranges(program: Program) -> tuple[str, ...]:
    dynamic = [s.name for s in program.crossbar_steps if s.quantizer.kind == "dynamic"]
    if not dynamic:
        return ()
    text = (
        f"Input ranges found at run time, in {len(dynamic)} of {len(program.crossbar_steps)} layers"
    )
    why = "are not priced, and convolutions among them wait for their whole input"
    return (f"{text}, {why}; `--calibrate` makes them static.",)
