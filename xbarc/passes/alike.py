"""Float layers to integers with steps that were chosen for the whole network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from xbarc.ir.network import FloatWeight, IntWeight, LazyTensor, MatrixLayer
from xbarc.ir.quantize import FloatInput, FloatResult, StaticInput
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


def quantize_alike(layer: MatrixLayer, steps: LayerSteps, bits: tuple[int, int]) -> MatrixLayer:
    """Integer weights and static input codes of given steps; what does not fit is clipped.

    Args:
        layer: real weights, real inputs.
        steps: of this layer.
        bits: of weights (sign included) and of activations.
    """
    result = layer.result
    if not isinstance(layer.weight, FloatWeight) or not isinstance(result, FloatResult):
        raise TypeError("only real weights with real results share a range")
    top = (1 << (bits[0] - 1)) - 1
    rounded = np.rint(layer.weight.tensor.load() / np.float32(steps.weight))
    values = np.clip(rounded, -top, top).astype(np.int8 if bits[0] <= 8 else np.int16)
    values.flags.writeable = False
    scale = result.scale * np.float32(steps.weight)
    scale.flags.writeable = False
    tensor = LazyTensor(values.shape, lambda: values)
    layer = replace(
        layer,
        weight=IntWeight(tensor, IntFormat(bits[0], signed=True)),
        result=replace(result, scale=scale),
    )
    if not isinstance(layer.quantizer, FloatInput):
        return layer
    zero = 1 << (bits[1] - 1) if steps.signed else 0
    return replace(layer, quantizer=StaticInput(bits[1], steps.input, zero))
