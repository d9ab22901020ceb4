"""Binary inputs as the unsigned codes of arrays that are read by converters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xbarc.ir import BinaryInput, MatrixLayer, StaticInput


def widen_binary(layer: MatrixLayer) -> MatrixLayer:
    """Carry +1, -1 and 0 as codes of 2 bits; exact, and the same object for other layers.

    Where the two values are 0 and something, 0 is one of them: codes 0 and 2 stand for -1 and +1
    less a constant an output, so that borders of zeros mean what the model says.
    """
    quantizer = layer.quantizer
    if not isinstance(quantizer, BinaryInput):
        return layer
    step = (quantizer.high - quantizer.low) / 2
    zero = 1 if quantizer.low == -quantizer.high else (0 if quantizer.low == 0 else 2)
    constant = layer.constant
    if zero != 1:
        sums = np.asarray(layer.weight.tensor.load()).sum(axis=1, dtype=np.int64).reshape(-1)
        constant = constant + (sums if zero == 2 else -sums)
    return replace(layer, quantizer=StaticInput(2, step, zero), constant=constant)
