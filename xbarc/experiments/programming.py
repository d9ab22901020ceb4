"""Programming a chip: what can be compensated once its cells are known, layer by layer.

A program says what every cell shall hold; a chip holds something else. Blind programming leaves it
at that. After *refitting*, the digital gain and offset of each output suit the cells as they are.
With *read-back*, a row is written and read before the next one is chosen, so that its error goes
into the rows still to come; then gain and offset follow. Both walk over unlabelled calibration data
with what is programmed already as the prefix, and both change only what a program can say: the
result runs on the same chip, and on no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from xbarc.calibration import Prefix
from xbarc.circuit import Chip, layer_cells, real_weights
from xbarc.errors import MappingError
from xbarc.executor import StepRunner, Values
from xbarc.ir import (
    CrossbarStep,
    IntegerResult,
    MatrixLayer,
    Network,
    Program,
    Scatter,
    SecondMoments,
    SignResult,
    Step,
    effective_weights,
    known_zero,
)
from xbarc.mapping import (
    ArrayPool,
    KeptPlaces,
    adjust_result,
    encoding_of,
    integer_weight,
    make_task,
    map_layer,
    real_steps,
    row_cells,
    stands_alone,
    write_fed_back,
)
from xbarc.numerics import Float64Array
from xbarc.options import MapOptions
from xbarc.pipeline import Progress

Flow = Literal["refitted", "read-back"]
Method = Literal["as programmed", "refitted", "read-back"]


@dataclass(frozen=True)
class LayerOutcome:
    """What became of a layer.

    Attributes:
        method: what was done; a layer that gives integers stays as programmed.
        blind_error: squared error of its products over their variance, on the calibration data,
            with the cells of the chip and nothing compensated; None where nothing was measured.
        error: the same afterwards.
    """

    name: str
    method: Method
    blind_error: float | None = None
    error: float | None = None


@dataclass(frozen=True, eq=False)
class Programmed:
    """A program that suits one chip.

    Attributes:
        program: to be run on that chip.
        layers: what became of each crossbar layer, in execution order.
    """

    program: Program
    layers: tuple[LayerOutcome, ...]


def program_chip(
    program: Program,
    network: Network,
    chip: Chip,
    batches: list[Values],
    options: MapOptions,
    flow: Flow,
    progress: Progress | None = None,
) -> Programmed:
    """Program a chip, each layer with the layers before it as they came out.

    Args:
        program: what was compiled, for a target whose figures are the chip's.
        network: what it was compiled from, after the passes.
        chip: the sample; its effects say what deviates.
        batches: calibration data, in batches that the model takes.
        options: the choices of mapping that `program` was compiled with.
        flow: what is done beyond writing the cells; layers whose rows cannot be read back one by
            one are refitted.
        progress: called with a layer's name, its number and the count of layers.

    Raises:
        MappingError: there is no calibration data, or rows cannot be read one by one.
    """
    if not batches:
        raise MappingError("needs calibration data", where=f"programming, {flow}")
    if flow == "read-back" and "lines" in chip.effects:
        raise MappingError(
            "rows that wires join cannot be read back one by one",
            where="programming, read-back",
            hint="leave line resistance out, or refit after programming",
        )
    values = [dict(batch) for batch in batches]  # they are used up
    prefix = Prefix(network, values, exact=True, runner=StepRunner(chip=chip))
    steps: list[Step] = []
    outcomes = []
    for number, (layer, step) in enumerate(zip(network.layers, program.steps, strict=True)):
        if progress is not None:
            progress(layer.name, number, len(network.layers))
        done: Step = step
        if isinstance(layer, MatrixLayer) and isinstance(step, CrossbarStep):
            done, outcome = _program(_Task(layer, step, chip, options), prefix, flow)
            outcomes.append(outcome)
        steps.append(done)
        prefix.advance(layer, done)
    return Programmed(replace(program, steps=tuple(steps)), tuple(outcomes))


def can_read_back(step: CrossbarStep, options: MapOptions) -> bool:
    """Whether the rows of a layer can be chosen one after another, as they are read back."""
    return stands_alone(encoding_of(options, step.encoding)) and not options.adc_savings


@dataclass(frozen=True, eq=False)
class _Task:
    layer: MatrixLayer
    step: CrossbarStep
    chip: Chip
    options: MapOptions


def _program(task: _Task, prefix: Prefix, flow: Flow) -> tuple[CrossbarStep, LayerOutcome]:
    step = task.step
    moments = prefix.moments(task.layer, step.quantizer) if _is_adjustable(task) else None
    if moments is None:
        return step, LayerOutcome(step.name, "as programmed")
    # Nothing is judged here, so all samples are fitted to.
    both = moments[0] + moments[1]
    method: Method = "refitted"
    if flow == "read-back" and can_read_back(step, task.options):
        method = "read-back"
        step = _read_back(task, both)
    fitted, after = _refit(task, step, both)
    # Of the cells as blind programming left them: what read-back is to be compared with.
    before = _refit(task, task.step, both)[1][0]
    return fitted, LayerOutcome(step.name, method, before, after[1])


def _is_adjustable(task: _Task) -> bool:
    """Whether gain and offset are the program's to choose, and the zero point is known."""
    kept = isinstance(task.layer.result, IntegerResult | SignResult)
    if kept or isinstance(task.layer.geometry, Scatter):
        return False
    return known_zero(task.step.quantizer) is not None


def _refit(
    task: _Task, step: CrossbarStep, moments: SecondMoments
) -> tuple[CrossbarStep, tuple[float, float]]:
    """Gain and offset that suit the cells, and the error without and with them."""
    weights = real_weights(step, task.chip.levels(step))
    zero, scale = known_zero(step.quantizer) or (0, 1.0)
    # The periphery subtracts the zero point times the sums of the weights that were meant. What the
    # cells hold beyond them meets the zero point too.
    missed = weights.sum(axis=1) - effective_weights(step).sum(axis=1)
    steps = real_steps(task.layer, task.step)
    result, constant, errors = adjust_result(
        task.layer, moments, weights, steps, zero * scale * missed * steps
    )
    periphery = replace(step.periphery, constant=constant)
    return replace(step, result=result, periphery=periphery), errors


def _read_back(task: _Task, moments: SecondMoments) -> CrossbarStep:
    """Write the rows one after another, each chosen to compensate what those before it hold."""
    step, target = task.step, task.chip.program.target
    own = replace(task.layer, quantizer=step.quantizer)
    # `--encoding auto` may have given each layer another one.
    own_encoding = encoding_of(task.options, step.encoding)
    options = task.options.changed(encoding=own_encoding, weight_slices=step.weight_slices)
    plan = make_task(own, own, target, options, moments)
    cells = layer_cells(task.chip, step)
    rows = row_cells(own, target, options, plan.places)

    def write(row: int, integers: Float64Array) -> Float64Array:
        return rows.weights(cells.write(row, rows.cells(integers.astype(np.int64))))

    steps = real_steps(task.layer, step)
    chosen, _ = write_fed_back(plan, moments, steps, write)
    pool: ArrayPool = KeptPlaces(step.tiling, ArrayPool(target.array, options.pack))
    filled = replace(own, weight=integer_weight(chosen))
    mapped = map_layer(filled, target, options, pool, plan.places)
    # Settings from data were fitted to sums that hardly change; others follow from the new cells.
    adc = step.adc if options.from_data else mapped.adc
    return replace(mapped, fit=step.fit, choice=step.choice, adc=adc)
