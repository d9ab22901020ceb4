"""The stages of the compiler, from an ONNX file to a program that fits its chip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from json import dumps
from math import prod

from xbarc.calibration import (
    FOLDS,
    Choose,
    Prefix,
    Whole,
    calibrate_converters,
    fit_budget,
    plan_whole,
    uniform,
)
from xbarc.chips import ConverterCalibration, FitOptions, fit_program
from xbarc.circuit import Effects, FaultMap, program_faults
from xbarc.compiler.carrying import choose_carried, count_as_asked, said_of_carried
from xbarc.compiler.compilation import Compilation
from xbarc.compiler.lowering import lower_network
from xbarc.errors import MappingError
from xbarc.estimates import tell_search
from xbarc.executor import calibration_labels
from xbarc.frontend import read_network
from xbarc.instruments import FloatModel, channel_statistics, sampled_sums
from xbarc.ir import (
    CrossbarStep,
    DigitalFragment,
    Network,
    verify_network,
    verify_program,
)
from xbarc.mapping import (
    SumHistogram,
    check_integers,
    choose_rows,
    chosen_by,
    load_converters,
    search_seconds,
)
from xbarc.memo import Memo, Same
from xbarc.options import BY_BUDGET, FIXED, CompileOptions, fixed_text
from xbarc.passes import remove_dead_layers
from xbarc.pipeline import Observer, Progress, Stage
from xbarc.plan import (
    Plan,
    binary_options,
    compares,
    settings_of,
    shape_settings,
)

PLACED = "placement.json"


def _read(made: Compilation, _: Progress) -> Compilation:
    plan = made.plan
    scales, fixed = plan.whole.scales, plan.options.fix_input
    shapes, binary = plan.options.shapes, binary_options(plan)

    def read() -> Network:
        return read_network(made.path, shapes=shapes, scales=scales, binary=binary, fixed=fixed)

    key = ("network", made.path, repr((shapes, scales, binary, fixed)))
    network = made.memo.recall(key, read, _network_bytes)
    return replace(made, read=Whole(network, None, plan.whole.bits))


def _network_bytes(network: Network) -> int:
    """Weights of a network, which its layers load from the model that they keep."""
    sizes = (prod(layer.weight.tensor.shape) for layer in network.matrix_layers)
    return 4 * sum(sizes)


def _check_network(made: Compilation) -> None:
    verify_network(made.network)


def _may_carry(made: Compilation) -> bool:
    asked = made.plan.options.carried_mapping
    return asked == "require" or (asked == "use" and made.network.carries_mapping)


def _take_carried(made: Compilation, _: Progress) -> Compilation:
    options = made.plan.options
    shapes = dict(shape_settings(made.network.inputs, options.shapes))
    # the carried program may have seen data that nobody has to give again
    asked = [
        dict(settings_of(made.plan, made.whole, calibrated=calibrated)) | shapes
        for calibrated in dict.fromkeys((bool(made.calibration), True))
    ]
    given = made.given or CompileOptions()
    program, reason = choose_carried(made.path, made.plan.target, given, asked)
    carried = said_of_carried(program, reason)
    if program is None:
        return replace(made, carried=carried)
    if options.exact_weights:
        check_integers(program.steps)
    counted = count_as_asked(dict(program.settings), given, asked[0])
    return replace(
        made,
        steps=program.steps,
        arrays=program.arrays,
        settings=tuple(sorted((counted | carried).items())),
        front=program.front,
        rows=program.rows,
        carried=carried,
        taken=True,
    )


def _simplify(made: Compilation, _: Progress) -> Compilation:
    # Here and not at the start: whether a network is binary is known once it is read.
    _check_senses(made.network, made.plan)
    before = made.network
    network = made.memo.recall(("simplified", Same(before)), lambda: remove_dead_layers(before))
    return (
        made
        if network is made.network
        else replace(made, read=replace(made.whole, network=network))
    )


def _check_senses(network: Network, plan: Plan) -> None:
    """On a target that compares, refuse converter options and networks without binary layers."""
    if not compares(plan):
        return
    if plan.options.from_data:
        raise MappingError(
            f"{plan.target.name} compares sums with thresholds and has no converters to set",
            where="--adc-budget" if plan.options.adc_policy == BY_BUDGET else "--adc",
            hint="leave it out: thresholds follow from the calibration data",
        )
    if network.matrix_layers:
        return
    notes = sum(len(layer.notes) for layer in network.layers if isinstance(layer, DigitalFragment))
    if notes:
        raise MappingError(
            f"none of the {notes} matrix operators is binary, and {plan.target.name} only compares"
            " sums with thresholds",
            where=network.name,
            hint="a target with converters, or --adc 1 for 1-bit sums that saturate",
        )


def _scale(made: Compilation, _: Progress) -> Compilation:
    # From the file and not from the network read: scales are chosen for values that nobody scaled.
    def plan() -> Whole:
        source, batches = FloatModel(made.path, made.plan.options.fix_input), made.batches()
        statistics = channel_statistics(made.network, source, batches) if batches else None
        return plan_whole(made.network, statistics, made.plan.whole)

    key = ("scaled", Same(made.network), Same(made.calibration), made.plan.whole)
    return replace(made, read=made.memo.recall(key, plan))


def _share_converter(made: Compilation, progress: Progress) -> Compilation:
    """Choose the one converter setting from the sums of a lossless program."""
    sums: list[SumHistogram] = []

    def watch(step: CrossbarStep, prefix: Prefix) -> None:
        sums.append(sampled_sums(step, prefix.batches))

    # Its program is thrown away: one setting for all can only be chosen once every sum is seen.
    lower_network(made.whole, made.layer_plan, made.batches(), progress, watch)
    return replace(made, read=made.whole.read_by(sums))


def _map(made: Compilation, progress: Progress) -> Compilation:
    batches = made.batches()
    shapes = shape_settings(made.network.inputs, made.plan.options.shapes)
    settings = settings_of(made.plan, made.whole, calibrated=bool(batches))
    _tell_savings(made.network, made.plan.options)
    memo = _memo_of_data(made)
    steps, arrays = lower_network(made.whole, made.layer_plan, batches, progress, memo=memo)
    if made.plan.options.exact_weights:
        # After all layers: the message names every one that lost its integers.
        check_integers(steps)
    fixed = made.plan.options.fix_input
    said = [(FIXED, fixed_text(fixed))] if fixed else []
    settings = tuple(sorted([*settings, *shapes, *said, *made.carried.items()]))
    return replace(made, steps=steps, arrays=arrays, settings=settings)


def _tell_savings(network: Network, options: CompileOptions) -> None:
    sizes = [prod(layer.weight.tensor.shape) for layer in network.matrix_layers]
    savings, effort = options.adc_savings, options.effort
    tell_search(
        f"--adc-savings {','.join(savings)}",
        search_seconds(sizes, savings, effort),
        effort,
        "saves less, a few per cent on our nets",
    )


def _memo_of_data(made: Compilation) -> Memo:
    """What was made of this network and these data."""
    return made.memo.under((Same(made.network), Same(made.calibration)))


def _choose_rows(made: Compilation, _: Progress) -> Compilation:
    # Fewer rows would give smaller sums, for which the shared range was not chosen.
    if made.whole.adc is not None:
        raise MappingError(
            "all layers share one converter setting, which depends on the rows driven at a time",
            where="--adc-savings rows",
            hint="--set array.active_rows=64 chooses them by hand",
        )
    steps, rows = choose_rows(made.steps, made.plan.target, made.plan.options.rows_latency)
    return replace(made, steps=steps, rows=rows)


def _set_converters(made: Compilation, progress: Progress) -> Compilation:
    plan, policy = made.plan, made.plan.options.adc_policy
    budget, data = plan.options.adc_budget, made.calibration
    if not data:
        hint = "--calibrate DATA.npz; a few hundred unlabelled inputs are enough"
        raise MappingError(f"--adc {plan.options.adc_name} needs calibration data", hint=hint)
    if budget is not None:
        feeds, output = made.batches(FOLDS), made.network.outputs[0].name
        labels = calibration_labels(made.network.inputs, made.network.outputs, data)
        asked = (budget, plan.options.effort)
        steps, front = fit_budget(made.steps, plan.target, output, feeds, labels, asked, progress)
        return replace(made, steps=steps, front=front, unset=made.steps)
    bits = _asked_bits(policy)
    # The target's converter bounds what calibration may ask for.
    most = plan.target.adc.max_bits if bits is None else min(bits, plan.target.adc.max_bits)
    steps = calibrate_converters(
        made.steps,
        plan.target,
        made.batches(),
        _chooser(plan) or uniform(bits, policy),
        most=most,
        progress=progress,
        memo=_memo_of_data(made),
    )
    return replace(made, steps=steps, unset=made.steps)


def _chooser(plan: Plan) -> Choose | None:
    """The converter policy of other people, where one was named."""
    policy = load_converters(plan.options.adc)
    return None if policy is None else partial(chosen_by, policy)


def _asked_bits(policy: str) -> int | None:
    """Bits of `calibrated:BITS`; None where data says how many."""
    asked = policy.partition(":")[2]
    return int(asked) if asked else None


def _verify(made: Compilation, _: Progress) -> Compilation:
    verify_program(made.program, made.memo if made.memo.keeps else None)
    return made


def _fit_wires(made: Compilation, progress: Progress) -> Compilation:
    options = made.plan.options
    # Known faults belong to one chip: placement avoids them, so they are part of what is simulated.
    known = _known_faults(made)
    effects = Effects(
        frozenset({"lines"} if known is None else {"lines", "faults"}), fault_map=known
    )
    asked = FitOptions(options.placement, options.compensate, effects)
    program = made.program
    if made.unset:
        # Converters follow the order of columns: they are set again once columns have their places.
        program = replace(program, steps=made.unset)
    fit = fit_program(program, made.calibration or {}, asked, progress, _converters(made))
    text = dumps(fit.as_json(), indent=1, allow_nan=False) + "\n"
    return replace(
        made,
        steps=fit.program.steps,
        arrays=fit.program.arrays,
        settings=fit.program.settings,
        files={**made.files, PLACED: text.encode()},
    )


def _converters(made: Compilation) -> ConverterCalibration | None:
    """How to set converters again once the program is fitted; a budget keeps its bits."""
    if not made.unset:
        return None
    target, policy = made.plan.target, made.plan.options.adc_policy
    if policy != BY_BUDGET:
        return ConverterCalibration(target, policy, _asked_bits(policy), choose=_chooser(made.plan))
    # A budget was spent over all layers: placement moves its bits along, it does not spend again.
    allocated = {s.name: s for s in made.steps if isinstance(s, CrossbarStep)}
    return ConverterCalibration(target, policy, allocated=allocated)


def _known_faults(made: Compilation) -> FaultMap | None:
    given = made.plan.options.fault_map
    if not isinstance(given, Mapping):  # a path was read by the plan
        return None
    return program_faults(given, made.program, "--fault-map")


def _unless_taken(stage: Stage[Compilation]) -> Stage[Compilation]:
    """A stage that has nothing to do where the mapping that the model carries was taken."""
    return replace(stage, wanted=lambda made: not made.taken and stage.wanted(made))


_READ: tuple[Stage[Compilation], ...] = (
    Stage(
        "read",
        "the ONNX file; shapes, fixed inputs, sign of zero",
        "the network: layers, digital fragments, input formats",
        "nodes of the graph; weights are read when they are mapped",
        _read,
        check=_check_network,
    ),
    Stage(
        "carried",
        "the metadata of the ONNX file; carried_mapping, and whether other options ask for another",
        "all steps, where the model carries a mapping that is its own; then nothing else is done",
        "weights and cells, where there is such a mapping",
        _take_carried,
        wanted=_may_carry,
    ),
)

_MAPPED: tuple[Stage[Compilation], ...] = (
    Stage(
        "simplify",
        "the network",
        "the network without layers that nobody reads",
        "nodes of the graph",
        _simplify,
        check=_check_network,
    ),
    Stage(
        "scale",
        "the network, calibration data; equalise, uniform",
        "scaled channels, and the range that layers share",
        "calibration data, once through the float model; channels that may be scaled",
        _scale,
        wanted=lambda made: made.plan.whole.scales,
        check=_check_network,
    ),
    Stage(
        "share-converter",
        "column sums of the network mapped without loss, on calibration data",
        "the converter setting that layers share",
        "as map",
        _share_converter,
        wanted=lambda made: made.whole.one is not None,
    ),
    Stage(
        "map",
        "the network, calibration data; precision, cells, converters, binary layers",
        "steps: quantised weights and inputs on cells, converters, thresholds, layer by layer",
        "weights; calibration data, once through every layer; most of the time as a rule",
        _map,
    ),
    Stage(
        "rows",
        "the steps; rows_latency",
        "how many rows of each layer are driven at a time",
        "layers, times the numbers of rows that are tried",
        _choose_rows,
        wanted=lambda made: "rows" in made.plan.options.adc_savings,
    ),
    Stage(
        "converters",
        "the steps, calibration data; adc, adc_budget",
        "range and step of every converter",
        "calibration data, once more through every layer; several times with a budget",
        _set_converters,
        wanted=lambda made: made.plan.options.from_data,
    ),
    Stage(
        "verify",
        "the program",
        "nothing: every rule of the format holds",
        "cells: every bound follows from what they hold",
        _verify,
    ),
    Stage(
        "wires",
        "the program, calibration data, known faults; placement, compensate",
        "order of rows and columns, corrected levels and scales; converters set anew on the sums",
        "calibration data, through the program for each order and compensation that is tried",
        _fit_wires,
        wanted=lambda made: made.plan.options.fits_wires,
    ),
)

STAGES: tuple[Stage[Compilation], ...] = (*_READ, *map(_unless_taken, _MAPPED))
"""In the order in which they run."""

CompileObserver = Observer[Compilation]
