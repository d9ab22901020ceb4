"""Float layers to integers with steps that were chosen for the whole network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.ir import (
    FloatInput,
    FloatResult,
    FloatWeight,
    IntWeight,
    LazyTensor,
    MatrixLayer,
    StaticInput,
)
from xbarc.numerics import IntFormat


@dataclass(frozen=True)
class LayerSteps:
    """Real value of one step of a layer's weights and of its input codes.

    Attributes:
        signed: the input has values below zero, so that half of the codes stand for these.
    """

    weight: float
    input: float
    signed: bool = False


def with_input_step(layer: MatrixLayer, steps: LayerSteps, bits: int) -> MatrixLayer:
    """Static input codes of a given step; a layer whose input is integers keeps them."""
    if not isinstance(layer.quantizer, FloatInput):
        return layer
    zero = 1 << (bits - 1) if steps.signed else 0
    return replace(layer, quantizer=StaticInput(bits, steps.input, zero))


def with_weight_step(layer: MatrixLayer, steps: LayerSteps, bits: int) -> MatrixLayer:
    """Integer weights of a given step, plainly rounded; what does not fit is clipped."""
    result = layer.result
    if not isinstance(layer.weight, FloatWeight) or not isinstance(result, FloatResult):
        raise TypeError("only real weights with real results share a range")
    top = (1 << (bits - 1)) - 1
    rounded = np.rint(layer.weight.tensor.load() / np.float32(steps.weight))
    values = np.clip(rounded, -top, top).astype(np.int8 if bits <= 8 else np.int16)
    scale = result.scale * np.float32(steps.weight)
    values.flags.writeable = scale.flags.writeable = False
    return replace(
        layer,
        weight=IntWeight(LazyTensor(values.shape, lambda: values), IntFormat(bits, signed=True)),
        result=replace(result, scale=scale),
    )
