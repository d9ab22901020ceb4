"""Whether a layer's cells hold the weights that the model declares as integers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError, say_count
from xbarc.ir import (
    CrossbarStep,
    DeclaredWeights,
    FloatInput,
    FloatResult,
    FloatWeight,
    MatrixLayer,
    RequantizedResult,
    Result,
    Step,
    Unkept,
)
from xbarc.mapping.encodings import encoding_of
from xbarc.mapping.fitting import output_channels
from xbarc.numerics import AnyArray, Float64Array
from xbarc.options import MapOptions
from xbarc.target import Target

_REAL_REMEDY = "Use one constant scale, or one per output, and only operators that keep integers"
_INPUT_REMEDY = (
    "A QuantizeLinear and a DequantizeLinear with one constant scale in front of the layer keep "
    "integers, and --activation-bits 16 makes the error smaller"
)


def unkept_weights(layer: MatrixLayer, target: Target, options: MapOptions) -> Unkept | None:
    """What became of declared weights; None where they are kept, or the model declares none.

    Args:
        layer: with the integers that are mapped, and with what the model declares.
        target: gives the bits of a cell.
        options: the encoding, and the cells of a weight.
    """
    declared = layer.declared
    if declared is None:
        return None
    before, after = declared.weight.tensor.load(), layer.weight.tensor.load()
    if isinstance(declared.weight, FloatWeight):
        error = after * _steps(layer, layer.result) - before * _steps(layer, declared.result)
        sqnr = _sqnr(before * _steps(layer, declared.result), error)
        return Unkept("weights", declared.weight.lost, _REAL_REMEDY, sqnr)
    step, old = _steps(layer, layer.result), _steps(layer, declared.result)
    # The usual case, before anything of the size of the weights is made.
    if np.array_equal(step, old) and np.array_equal(before, after):
        return None
    # In units of the model's own step: integers that were all doubled while the step was halved
    # have lost nothing.
    ratio = np.divide(step, old, out=np.ones_like(step), where=old != 0)
    error = after * ratio - before
    if not error.any():
        return None
    reason, remedy = _why(target, options)
    sqnr = _sqnr(before * old, error * old)
    return Unkept("weights", reason, remedy, sqnr, float(np.abs(error).max()))


def _steps(layer: MatrixLayer, result: Result) -> Float64Array:
    """Real value of one step of each output's weights; axes: group, 1, output."""
    shape = (layer.groups, 1, layer.outputs)
    match result:
        case FloatResult(scale=scale):
            by_channel: AnyArray = scale
        case RequantizedResult(multiplier=multiplier):
            by_channel = multiplier
        case _:
            return np.ones(shape)
    return by_channel.astype(np.float64)[output_channels(layer)].reshape(shape)


def _sqnr(signal: AnyArray, error: AnyArray) -> float | None:
    energy, noise = (float(np.square(part).sum()) for part in (signal, error))
    # Rounded: the note is part of the program, and the last bits of a logarithm differ between
    # machines.
    return round(10 * float(np.log10(energy / noise)), 1) if energy > 0 and noise > 0 else None


def _why(target: Target, options: MapOptions) -> tuple[str, str]:
    if options.weight_slices is None:
        return (
            "pruning or a range that all layers share changed them",
            "Without --prune and --uniform they are kept",
        )
    cells = f"{options.weight_slices} cells of {say_count(target.cell.bits, 'bit')}"
    reason = f"{options.encoding_name} does not hold them with {cells} a weight"
    if encoding_of(options).is_chained():
        reason += " in any order that was found"
    return reason, "More --weight-slices, another --encoding, or cells with more bits hold them"


def with_declared(layer: MatrixLayer) -> MatrixLayer:
    """The layer, remembering the integers that the model declares."""
    weight, quantizer = layer.weight, layer.quantizer
    if isinstance(quantizer, FloatInput) and quantizer.lost:
        layer = replace(layer, unkept_input=Unkept("input", quantizer.lost, _INPUT_REMEDY))
    if isinstance(weight, FloatWeight) and not weight.lost:
        return layer
    return replace(layer, declared=DeclaredWeights(weight, layer.result))


def check_integers(steps: Iterable[Step]) -> None:
    """Refuse a program that computes without integers that the model declares.

    Raises:
        MappingError: it does; the message names every such layer.
    """
    lost = [
        item.note(step.name)
        for step in steps
        if isinstance(step, CrossbarStep)
        for item in step.unkept
    ]
    if lost:
        raise MappingError(
            "; ".join(lost),
            where="--exact-weights",
            hint="leave it out to compile with these errors, which the report then names",
        )
