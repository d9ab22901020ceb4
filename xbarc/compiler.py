"""The chain from an ONNX file to a program, and the walk that gathers statistics on the way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.errors import InputError, MappingError, XbarcError
from xbarc.executor import StepRunner, check_feeds
from xbarc.executor.run import Values
from xbarc.frontend import read_network
from xbarc.ir.network import DigitalFragment, MatrixLayer, Network, Value, layer_inputs
from xbarc.ir.program import CrossbarStep, DigitalStep, Program, Step
from xbarc.ir.statistics import RangeStatistics
from xbarc.ir.verify import verify_network, verify_program
from xbarc.mapping import ArrayPool, MapOptions, map_layer
from xbarc.numerics.types import AnyArray
from xbarc.passes import RangeMethod, RemoveDeadLayers, quantize_input, quantize_weights
from xbarc.pipeline import Pass, run_passes
from xbarc.target import Target, load_target

PASSES: tuple[Pass[Network], ...] = (RemoveDeadLayers(),)
CALIBRATION_BATCH = 64
_BINS = 2048

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CompileOptions:
    """What `xbarc compile` was told; None takes the target's default.

    Attributes:
        weight_bits: 2 to 16, for float weights.
        activation_bits: 1 to 16, for float activations.
        ranges: how calibrated ranges are chosen.
        mapping: None takes the target's encoding and the defaults of mapping.
        shapes: input shapes by name, to count with where the model leaves axes open.
        duplicate: how copies of weights are chosen in reports; see `xbarc.cost.parse_policy`.
    """

    weight_bits: int | None = None
    activation_bits: int | None = None
    ranges: RangeMethod = "mse"
    mapping: MapOptions | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    duplicate: str = "none"


@dataclass(frozen=True)
class _Plan:
    target: Target
    weight_bits: int
    activation_bits: int
    ranges: RangeMethod
    mapping: MapOptions


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
    plan = _plan(chosen, loaded)
    network = read_network(Path(path), shapes=chosen.shapes)
    verify_network(network)
    network = run_passes(network, PASSES, verify_network)
    batches = [] if calibration is None else calibration_batches(network.inputs, calibration)
    steps, arrays = _lower(network, plan, batches, progress)
    settings = _settings(plan, calibrated=bool(batches))
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
    )
    verify_program(program)
    return program


def _plan(options: CompileOptions, target: Target) -> _Plan:
    weight_bits = _or(options.weight_bits, target.precision.weight_bits)
    activation_bits = _or(options.activation_bits, target.precision.activation_bits)
    if not 2 <= weight_bits <= 16:
        raise MappingError(f"{weight_bits} bits, expected 2 to 16", where="--weight-bits")
    if not 1 <= activation_bits <= 16:
        raise MappingError(f"{activation_bits} bits, expected 1 to 16", where="--activation-bits")
    mapping = options.mapping or MapOptions(encoding=target.precision.encoding)
    return _Plan(target, weight_bits, activation_bits, options.ranges, mapping)


def _or(given: int | None, default: int) -> int:
    return default if given is None else given


def _settings(plan: _Plan, *, calibrated: bool) -> tuple[tuple[str, str], ...]:
    ranges = f"static ({plan.ranges})" if calibrated else "dynamic (each sample)"
    found = {
        "activation_bits": str(plan.activation_bits),
        "activation_ranges": ranges,
        "adc": plan.mapping.adc,
        "encoding": plan.mapping.encoding,
        "pack": plan.mapping.pack,
        "placement": plan.mapping.placement,
        "rounding": "half_even",
        "tile": plan.mapping.tile,
        "weight_bits": str(plan.weight_bits),
    }
    return tuple(sorted(found.items()))


def _lower(
    network: Network, plan: _Plan, batches: list[Values], progress: Progress | None
) -> tuple[tuple[Step, ...], int]:
    """Layers to steps in execution order; calibration data runs through the steps made so far."""
    pool = ArrayPool(plan.target.array, plan.mapping.pack)
    steps: list[Step] = []
    runner = StepRunner()
    for number, layer in enumerate(network.layers):
        if progress is not None:
            progress(layer.name, number, len(network.layers))
        if isinstance(layer, DigitalFragment):
            step: Step = _digital(layer)
        else:
            step = _crossbar(layer, plan, batches, pool)
        steps.append(step)
        if batches:
            _advance(network, number, step, runner, batches)
    return tuple(steps), pool.used


def _digital(layer: DigitalFragment) -> DigitalStep:
    return DigitalStep(
        layer.name,
        layer.model,
        layer.inputs,
        layer.outputs,
        layer.operators,
        layer.macs,
        layer.notes,
    )


def _crossbar(
    layer: MatrixLayer, plan: _Plan, batches: list[Values], pool: ArrayPool
) -> CrossbarStep:
    statistics = range_statistics([values[layer.input] for values in batches]) if batches else None
    try:
        layer = quantize_weights(layer, plan.weight_bits)
        layer = quantize_input(layer, plan.activation_bits, statistics, plan.ranges)
        return map_layer(layer, plan.target, plan.mapping, pool)
    except ValueError as error:
        raise MappingError(str(error), where=layer.name) from error


def _advance(
    network: Network, number: int, step: Step, runner: StepRunner, batches: list[Values]
) -> None:
    """Run a step on the calibration data, then drop what no later layer reads."""
    for values in batches:
        runner.run(step, values)
    runner.forget(step)
    needed = {name for layer in network.layers[number + 1 :] for name in layer_inputs(layer)}
    for values in batches:
        for name in [name for name in values if name not in needed]:
            del values[name]


def calibration_batches(inputs: Sequence[Value], data: Mapping[str, AnyArray]) -> list[Values]:
    """Cut calibration data into batches that the model takes; labels are left out.

    Raises:
        InputError: an input is missing, or shapes and types do not fit.
    """
    feeds = {name: array for name, array in data.items() if name != "labels"}
    empty = [v.name for v in inputs if _is_batched(v, feeds) and not len(feeds[v.name])]
    if empty:
        raise InputError(f"input '{empty[0]}' has no samples", where="calibration data")
    try:
        return [check_feeds(inputs, batch) for batch in split_batches(inputs, feeds)]
    except InputError as error:
        raise InputError(error.message, where="calibration data", hint=error.hint) from error


def split_batches(
    inputs: Sequence[Value], feeds: Mapping[str, AnyArray], most: int = CALIBRATION_BATCH
) -> list[Values]:
    """Cut feeds along their first axis: by the model's own batch where it is fixed, else by `most`.

    Inputs without axes, and inputs that already have the model's fixed shape while others have
    more samples, go into every batch as they are.

    Raises:
        InputError: the samples of the inputs differ in number, or leave a batch half full.
    """
    size = _batch_size(inputs) or most
    counts = {len(feeds[v.name]) for v in inputs if v.name in feeds and _is_batched(v, feeds)}
    if len(counts) > 1:
        raise InputError(
            f"inputs have {', '.join(map(str, sorted(counts)))} samples, expected alike"
        )
    total = counts.pop() if counts else 0
    if total <= size:
        return [dict(feeds)]
    if _batch_size(inputs) and total % size:
        raise InputError(
            f"{total} samples are no multiple of the model's fixed batch of {size}",
            hint="cut the data, or export the model with a dynamic batch",
        )
    batched = {v.name for v in inputs if _is_batched(v, feeds)}
    return [
        {n: a[at : at + size] if n in batched else a for n, a in feeds.items()}
        for at in range(0, total, size)
    ]


def _batch_size(inputs: Sequence[Value]) -> int | None:
    """The first axis where the model fixes it, and all inputs agree."""
    firsts = {v.shape[0] for v in inputs if v.shape}
    only = firsts.pop() if len(firsts) == 1 else None
    return only if isinstance(only, int) and only > 0 else None


def _is_batched(value: Value, feeds: Mapping[str, AnyArray]) -> bool:
    fed = feeds.get(value.name)
    return fed is not None and value.dtype != "other" and bool(value.shape) and np.ndim(fed) > 0


def range_statistics(tensors: Sequence[Any]) -> RangeStatistics:
    """Histogram over several arrays; exact zeros are not counted."""
    arrays = [np.asarray(tensor, dtype=np.float32) for tensor in tensors]
    arrays = [array[np.isfinite(array)] for array in arrays]
    low = min((float(a.min(initial=0.0)) for a in arrays), default=0.0)
    high = max((float(a.max(initial=0.0)) for a in arrays), default=0.0)
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    counts = np.zeros(_BINS, dtype=np.int64)
    for array in arrays:
        counts += np.histogram(array[array != 0], bins=edges)[0]
    return RangeStatistics(low, high, counts, edges, sum(array.size > 0 for array in arrays))


__all__ = ["PASSES", "CompileOptions", "XbarcError", "compile_model", "split_batches"]
