"""The chain from an ONNX file to a program, and the walk that gathers statistics on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from xbarc.calibration.budget import fit_budget
from xbarc.calibration.choosing import choose_encoding
from xbarc.calibration.comparators import SenseWalk
from xbarc.calibration.converters import calibrate_converters, uniform
from xbarc.calibration.parts import PARTS
from xbarc.calibration.uniform import Whole, plan_whole, watched_sums
from xbarc.calibration.walk import Walk
from xbarc.errors import MappingError, XbarcError
from xbarc.executor.batches import calibration_batches
from xbarc.executor.run import Values
from xbarc.frontend import read_network
from xbarc.ir.front import FrontPoint, RowsPoint
from xbarc.ir.geometry import Scatter
from xbarc.ir.labels import split_labels
from xbarc.ir.network import DigitalFragment, FloatWeight, MatrixLayer, Network
from xbarc.ir.program import CrossbarStep, DigitalStep, Program, Step
from xbarc.ir.quantize import BinaryInput
from xbarc.ir.statistics import SecondMoments
from xbarc.ir.verify import verify_network, verify_program
from xbarc.mapping import AUTO, ArrayPool, map_layer
from xbarc.mapping.active_rows import choose_rows
from xbarc.mapping.fitting import fit_layer
from xbarc.mapping.kept import check_integers, with_declared
from xbarc.mapping.one_adc import SumHistogram
from xbarc.numerics.types import AnyArray
from xbarc.passes import (
    Facts,
    Pruning,
    RemoveDeadLayers,
    fed_alike,
    prune_weights,
    quantize_input,
    quantize_weights,
    widen_binary,
)
from xbarc.pipeline import Pass, run_passes
from xbarc.plan import (
    CompileOptions,
    Plan,
    binary_options,
    compares,
    lossless,
    make_plan,
    settings_of,
    shape_settings,
)
from xbarc.target import Target, load_target

_FINE_BITS = 8
PASSES: tuple[Pass[Network], ...] = (RemoveDeadLayers(),)

Progress = Callable[[str, int, int], None]


def compile_model(
    path: str | Path,
    target: str | Path | Target = "rram128",
    *,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
    progress: Progress | None = None,
) -> Program:
    """Compile an ONNX model for a target.

    Args:
        path: the model; the file is only read.
        target: a name, a TOML file, or a target already loaded.
        options: None takes all defaults.
        calibration: arrays by input name, first axis the sample; unlabelled is enough. With it,
            activation ranges are static, without it they are taken at run time.
        progress: called with the layer's name, its number and the count of layers.

    Raises:
        ModelError: the model cannot be read or run.
        TargetError: the target is wrong.
        MappingError: the model does not fit the target.
        InputError: calibration data does not fit the model.
    """
    chosen = options or CompileOptions()
    loaded = target if isinstance(target, Target) else load_target(target)
    plan = make_plan(chosen, loaded)
    if calibration is None and plan.mapping.feedback == "on":
        raise MappingError(
            "needs calibration data", where="--feedback on", hint="add --calibrate DATA.npz"
        )
    network = _network(Path(path), plan, chosen)
    batches = [] if calibration is None else calibration_batches(network.inputs, calibration)
    whole = plan_whole(network, Path(path), batches, plan.whole)
    lowering = plan if whole.one is None else lossless(plan)
    if whole.one is not None:
        whole = _with_converters(whole, lowering, batches, progress)
    steps, arrays = _lower(whole, lowering, batches, progress)
    if chosen.exact_weights:
        check_integers(steps)
    rows: tuple[RowsPoint, ...] = ()
    if "rows" in plan.mapping.levers:
        steps, rows = _with_rows(steps, plan, whole)
    front: tuple[FrontPoint, ...] = ()
    if plan.mapping.from_data:
        steps, front = _set_converters(steps, plan, (network, calibration or {}), progress)
    settings = settings_of(plan, whole, calibrated=bool(batches))
    settings = tuple(sorted([*settings, *shape_settings(network.inputs, chosen.shapes)]))
    if chosen.duplicate != "none":
        settings = tuple(sorted([*settings, ("duplicate", chosen.duplicate)]))
    program = Program(
        network.name,
        network.source,
        loaded,
        network.inputs,
        network.outputs,
        steps,
        arrays,
        settings,
        front,
        rows,
    )
    verify_program(program)
    return program


def _with_rows(
    steps: tuple[Step, ...], plan: Plan, whole: Whole
) -> tuple[tuple[Step, ...], tuple[RowsPoint, ...]]:
    """Active rows of each layer, where the user asked for a choice."""
    if whole.adc is not None:
        raise MappingError(
            "all layers share one converter setting, which hangs on the rows driven at a time",
            where="--levers rows",
            hint="--set array.active_rows=64 chooses them by hand",
        )
    return choose_rows(steps, plan.target, plan.mapping.rows_latency)


def _set_converters(
    steps: tuple[Step, ...],
    plan: Plan,
    given: tuple[Network, Mapping[str, AnyArray]],
    progress: Progress | None,
) -> tuple[tuple[Step, ...], tuple[FrontPoint, ...]]:
    """Converter settings from data, where the user asked for them."""
    policy = plan.mapping.adc
    network, data = given
    if not data:
        hint = "--calibrate DATA.npz; a few hundred unlabelled inputs are enough"
        raise MappingError(f"--adc {policy} needs calibration data", hint=hint)
    feeds = calibration_batches(network.inputs, data, 1 if plan.budget is None else PARTS)
    if plan.budget is not None:
        where = (plan.target, network.outputs[0].name)
        labels = split_labels(network.inputs, data)[1]
        return fit_budget(steps, *where, feeds, labels, plan.budget, progress)
    asked = policy.partition(":")[2]
    bits = int(asked) if asked else None
    most = plan.target.adc.max_bits if bits is None else min(bits, plan.target.adc.max_bits)
    done = calibrate_converters(
        steps, plan.target, feeds, uniform(bits), policy, most=most, progress=progress
    )
    return done, ()


def _network(path: Path, plan: Plan, options: CompileOptions) -> Network:
    """Read, checked, and through all passes."""
    network = read_network(
        path, shapes=options.shapes, scales=plan.whole.scales, binary=binary_options(plan)
    )
    verify_network(network)
    _check_senses(network, plan)
    return run_passes(network, PASSES, verify_network)


def prepared_network(
    path: Path,
    target: Target,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
) -> Network:
    """The network of a model as its layers are mapped: through all passes, channels scaled.

    Args:
        path: the model.
        target: says whether all layers share one range.
        options: None takes all defaults.
        calibration: as `compile_model` takes it.

    Raises:
        ModelError: the model cannot be read or run.
    """
    chosen = options or CompileOptions()
    plan = make_plan(chosen, target)
    network = _network(path, plan, chosen)
    batches = [] if calibration is None else calibration_batches(network.inputs, calibration)
    return plan_whole(network, path, batches, plan.whole).network


def _check_senses(network: Network, plan: Plan) -> None:
    """Refuse a network of which nothing could be compared, and converters where there are none."""
    if not compares(plan):
        return
    if plan.mapping.adc.startswith(("calibrated", "budget")):
        raise MappingError(
            f"{plan.target.name} compares sums with thresholds and has no converters to set",
            where="--adc-budget" if plan.mapping.adc == "budget" else "--adc",
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


def _with_converters(
    whole: Whole, lossless: Plan, batches: list[Values], progress: Progress | None
) -> Whole:
    """The one converter setting, from the sums of a program that is lossless."""
    sums: list[SumHistogram] = []

    def watch(step: CrossbarStep, walk: Walk) -> None:
        sums.append(watched_sums(step, walk.batches))

    _lower(whole, lossless, [dict(values) for values in batches], progress, watch)
    return whole.read_by(sums)


def _lower(
    whole: Whole,
    plan: Plan,
    batches: list[Values],
    progress: Progress | None,
    watch: Callable[[CrossbarStep, Walk], None] | None = None,
) -> tuple[tuple[Step, ...], int]:
    """Layers to steps in execution order; calibration data runs through the steps made so far."""
    network = whole.network
    pool = ArrayPool(plan.target.array, plan.mapping.pack)
    steps: list[Step] = []
    walk = Walk(network, batches, exact=_wants_exact(network, plan))
    sense = SenseWalk(network, plan.target, plan.mapping.sense)
    exact = plan.mapping.adc == "lossless" and whole.one is None
    facts = Facts(network.inputs, plan.input_facts, lossless=exact)
    for number, layer in enumerate(network.layers):
        if progress is not None:
            progress(layer.name, number, len(network.layers))
        if isinstance(layer, DigitalFragment):
            step: Step = sense.refitted(number, _digital(layer), batches)
        elif compares(plan) and isinstance(layer.quantizer, BinaryInput):
            step = sense.crossbar(layer, batches, pool)
        else:
            step = _crossbar(layer, plan, walk, pool, whole, facts)
            if watch is not None:
                watch(step, walk)
        steps.append(step)
        sense.advance(number, step)
        walk.advance(number, step)
        facts.advance(step)
    return tuple(steps), pool.used


def _wants_exact(network: Network, plan: Plan) -> bool:
    """Whether the exact network runs beside the compiled one; compared layers bring their own."""
    read = [
        layer
        for layer in network.matrix_layers
        if not (compares(plan) and isinstance(layer.quantizer, BinaryInput))
    ]
    asked = bool(read) and (
        plan.pruning is not None or any(_wants_moments(layer, plan) for layer in read)
    )
    return asked and plan.mapping.feedback != "off"


def _digital(layer: DigitalFragment) -> DigitalStep:
    return DigitalStep(
        layer.name,
        layer.model,
        layer.inputs,
        layer.outputs,
        layer.operators,
        layer.macs,
        layer.notes,
        layer.uncounted,
    )


def _crossbar(
    layer: MatrixLayer, plan: Plan, walk: Walk, pool: ArrayPool, whole: Whole, facts: Facts
) -> CrossbarStep:
    """Ranges of the input, integers for the weights, cells, converters; data where there is any."""
    try:
        layer = with_declared(widen_binary(layer))
        shared = whole.steps(layer)
        if shared is None:
            ranged = quantize_input(layer, plan.activation_bits, walk.ranges(layer), plan.ranges)
            ranged = facts.known(ranged)
        else:
            ranged = whole.quantized(layer, shared)[0]
        wanted = plan.pruning is not None or _wants_moments(layer, plan)
        moments = walk.moments(layer, ranged.quantizer) if wanted else None
        if plan.pruning is not None:
            layer = _pruned(layer, plan, plan.pruning, moments)
            ranged, moments = fed_alike(layer, ranged), None
        if shared is None:
            plain = quantize_weights(ranged, plan.weight_bits)
        else:
            ranged, plain = whole.quantized(layer, shared)
        step = None if shared is None else shared.weight
        where = (plan.target, plan.mapping, pool)
        if plan.mapping.encoding == AUTO:
            return whole.finished(layer, choose_encoding(ranged, plain, moments, *where))
        fitted = fit_layer(ranged, plan.target, plan.mapping, plain, moments, step)
        made = map_layer(fitted.layer, *where, fitted.arrangement, fitted.record)
        return whole.finished(layer, made)
    except ValueError as error:
        raise MappingError(str(error), where=layer.name) from error


def _pruned(
    layer: MatrixLayer,
    plan: Plan,
    pruning: Pruning,
    moments: tuple[SecondMoments, SecondMoments] | None,
) -> MatrixLayer:
    """The layer with some weights at zero, the others made good for it where there is data."""
    known = None if moments is None else moments[0] + moments[1]
    return prune_weights(layer, pruning, plan.target.array.rows, known)


def _wants_moments(layer: MatrixLayer, plan: Plan) -> bool:
    """Whether an error is left that feedback could make good.

    With 8 bits and more the weights lose less than the activations do, and nobody asked for it.
    """
    if plan.mapping.feedback == "off" or isinstance(layer.geometry, Scatter):
        return False
    if plan.mapping.slices is not None:
        return True
    fine = plan.mapping.feedback == "auto" and plan.weight_bits >= _FINE_BITS
    return isinstance(layer.weight, FloatWeight) and not fine


__all__ = [
    "PASSES",
    "CompileOptions",
    "XbarcError",
    "compile_model",
    "prepared_network",
]
