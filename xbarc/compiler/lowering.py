"""Layers to steps, and the walk over calibration data that gathers statistics on the way."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial

from xbarc.calibration import Prefix, SenseWalk, Whole, choose_encoding
from xbarc.errors import MappingError
from xbarc.executor import Values, Walk
from xbarc.ir import (
    BinaryInput,
    CrossbarStep,
    DigitalFragment,
    FloatWeight,
    MatrixLayer,
    Network,
    Scatter,
    SecondMoments,
    Step,
)
from xbarc.mapping import ArrayPool, fit_layer, map_layer, with_declared
from xbarc.memo import Memo
from xbarc.options import AUTO, Pruning
from xbarc.passes import (
    Facts,
    prune_weights,
    quantize_input,
    quantize_weights,
    widen_binary,
    with_codes_of,
)
from xbarc.pipeline import Progress
from xbarc.plan import Plan, compares
from xbarc.plugins import blame

# From here on rounding weights costs less than 8-bit activations do: 40.8 dB of SQNR at the outputs
# of a VGG-like net, 42.3 with feedback (docs: error-feedback), which takes a pass over all data.
_FINE_BITS = 8


def lower_network(
    whole: Whole,
    plan: Plan,
    batches: list[Values],
    progress: Progress,
    watch: Callable[[CrossbarStep, Prefix], None] | None = None,
    memo: Memo | None = None,
) -> tuple[tuple[Step, ...], int]:
    """Map layer after layer; calibration data runs through the steps made so far.

    Args:
        whole: the network, and what was chosen for it as a whole.
        plan: what was asked for.
        batches: calibration data.
        progress: told which layer is at work.
        watch: shown each crossbar step with the data in front of it.
        memo: of this network and these data; what other compilations of them have made.

    Returns:
        The steps in execution order, and how many arrays they take.
    """
    network = whole.network
    pool = ArrayPool(plan.target.array, plan.options.pack)
    steps: list[Step] = []
    walk = Walk(network.layers)
    # Thresholds are set on the values themselves, and so is a setting that all layers share.
    if compares(plan) or watch is not None:
        memo = None
    prefix = Prefix(network, batches, exact=_wants_exact(network, plan), memo=memo)
    sense = SenseWalk(network, walk, plan.target, plan.options)
    # Converters that clip, or are set later, make other sums than the cells say: then nothing is
    # known of what a layer gives.
    exact = plan.options.adc_policy == "lossless" and whole.one is None
    facts = Facts(network.inputs, plan.options.range_analysis, lossless=exact)
    for number, layer in enumerate(walk):
        progress(layer.name, number, len(network.layers))
        if isinstance(layer, DigitalFragment):
            step: Step = sense.refit_fragment(number, layer, batches)
        elif compares(plan) and isinstance(layer.quantizer, BinaryInput):
            step = sense.crossbar(layer, batches, pool)
        else:
            step = _crossbar(layer, plan, prefix, pool, whole, facts)
            if watch is not None:
                watch(step, prefix)
        steps.append(step)
        # All three walk on with the step as mapped, not as planned: later layers calibrate on the
        # codes that the chip will give.
        sense.advance(layer, step)
        prefix.advance(layer, step)
        facts.advance(step)
    return tuple(steps), pool.used


def _wants_exact(network: Network, plan: Plan) -> bool:
    """Whether the exact network runs beside the compiled one; compared layers bring their own."""
    # The exact network costs a second run of all data, so it runs only where somebody reads it.
    read = [
        layer
        for layer in network.matrix_layers
        if not (compares(plan) and isinstance(layer.quantizer, BinaryInput))
    ]
    asked = bool(read) and (
        plan.options.prune is not None or any(_wants_moments(layer, plan) for layer in read)
    )
    return asked and plan.options.feedback != "off"


def _crossbar(
    layer: MatrixLayer, plan: Plan, prefix: Prefix, pool: ArrayPool, whole: Whole, facts: Facts
) -> CrossbarStep:
    """Choose a layer's input range, integers, cells and converters, from data if there is any."""
    try:
        # First, before anything below changes weights: what the model declares is compared with
        # what is mapped.
        layer = with_declared(widen_binary(layer))
        shared = whole.steps(layer)
        if shared is None:
            ranged = _choose_codes(layer, plan, prefix, facts)
        else:
            ranged = whole.quantize(layer, shared)[0]
        wanted = plan.options.prune is not None or _wants_moments(layer, plan)
        moments = prefix.moments(layer, ranged.quantizer) if wanted else None
        # Pruned before rounding, so that rounding compensates zeros too; moments were taken of the
        # weights before, and must not be used twice.
        if plan.options.prune is not None:
            layer = _prune_layer(layer, plan, plan.options.prune, moments)
            ranged, moments = with_codes_of(layer, ranged), None
        if shared is None:
            plain = _round_plainly(ranged, plan, prefix.memo)
        else:
            ranged, plain = whole.quantize(layer, shared)
        step = None if shared is None else shared.weight
        where = (plan.target, plan.options, pool)
        if plan.options.encoding == AUTO:
            return whole.share_adc(choose_encoding(ranged, plain, moments, *where))
        # An error inside an encoding from outside is its own, and says so.
        with blame(plan.options.encoding, f"mapping layer {layer.name}"):
            fit = partial(fit_layer, ranged, plan.target, plan.options, plain, moments, step)
            key = None if shared is not None else _fit_key(layer, plan, facts)
            fitted = (
                fit()
                if key is None
                else prefix.recall(key, fit, lambda made: _weight_bytes(made.layer))
            )
            made = map_layer(
                fitted.layer, *where, fitted.arrangement, fitted.record, memo=prefix.memo
            )
        return whole.share_adc(made)
    except ValueError as error:
        raise MappingError(str(error), where=layer.name) from error


def _choose_codes(layer: MatrixLayer, plan: Plan, prefix: Prefix, facts: Facts) -> MatrixLayer:
    """The layer with a range of its own, and with what is known of its codes."""

    def choose() -> MatrixLayer:
        ranged = quantize_input(
            layer, plan.activation_bits, prefix.ranges(layer), plan.options.ranges
        )
        # Only where a layer has its own range: a shared one was chosen for all codes.
        return facts.known(ranged)

    return prefix.recall(("codes", *_code_key(layer, plan, facts)), choose)


def _code_key(layer: MatrixLayer, plan: Plan, facts: Facts) -> tuple[Hashable, ...]:
    """What a layer's codes depend on, beside the network, the data and the steps before it."""
    return layer.name, plan.activation_bits, plan.options.ranges, facts.rules


def _round_plainly(ranged: MatrixLayer, plan: Plan, memo: Memo) -> MatrixLayer:
    """The layer with plainly rounded weights."""
    if plan.options.prune is not None:
        return quantize_weights(ranged, plan.weight_bits)
    # Rounding looks at no data: behind every prefix the integers are the same objects, and what is
    # made of them is found again.
    key = ("rounded", ranged.name, plan.weight_bits)
    rounded = memo.recall(key, lambda: quantize_weights(ranged, plan.weight_bits), _weight_bytes)
    return replace(ranged, weight=rounded.weight, result=rounded.result)


def _weight_bytes(layer: MatrixLayer) -> int:
    return int(layer.weight.tensor.load().nbytes)


def _fit_key(layer: MatrixLayer, plan: Plan, facts: Facts) -> tuple[Hashable, ...] | None:
    """What fitted integers depend on, beside the prefix; None where cells have a say in them."""
    options = plan.options
    if options.weight_slices is not None or options.prune is not None:
        return None
    return ("fit", *_code_key(layer, plan, facts), plan.weight_bits, options.feedback)


def _prune_layer(
    layer: MatrixLayer,
    plan: Plan,
    pruning: Pruning,
    moments: tuple[SecondMoments, SecondMoments] | None,
) -> MatrixLayer:
    """The layer with some weights at zero, the others adjusted for it where there is data."""
    known = None if moments is None else moments[0] + moments[1]
    return prune_weights(layer, pruning, plan.target.array.rows, known)


def _wants_moments(layer: MatrixLayer, plan: Plan) -> bool:
    """Whether an error is left that feedback could compensate.

    With 8 bits and more the weights lose less than the activations do, and nobody asked for it.
    """
    if plan.options.feedback == "off" or isinstance(layer.geometry, Scatter):
        return False
    if plan.options.weight_slices is not None:
        return True
    fine = plan.options.feedback == "auto" and plan.weight_bits >= _FINE_BITS
    return isinstance(layer.weight, FloatWeight) and not fine
