"""Real tensors as integers times a scale."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from xbarc.numerics import AnyArray, FloatArray, Int64Array, IntFormat

WIDEST = 16
"""Bits of integers that a crossbar takes as they are."""


@dataclass(frozen=True, eq=False)
class IntegerView:
    """A real tensor that is `(integers - zero_point) * scale`.

    Attributes:
        integers: the tensor of integers, of any element type.
        scale: a scalar, or an array that broadcasts against the tensor.
        zero_point: likewise.
        format: every integer lies in it.
        dtype: numpy name of the real tensor's element type.
    """

    integers: ir.Value
    scale: FloatArray
    zero_point: Int64Array
    format: IntFormat
    dtype: str = "float32"

    @property
    def is_single(self) -> bool:
        """Say whether one scale and one zero point serve all elements."""
        return self.scale.size == 1 and self.zero_point.size == 1

    @property
    def is_scalar(self) -> bool:
        """Say whether one positive scale and one zero point serve all elements."""
        return self.is_single and bool(self.scale.reshape(-1)[0] > 0)


def integer_format(kind: ir.DataType | None) -> IntFormat | None:
    """The format of an integer element type of at most 16 bits."""
    if kind is None or not kind.is_integer() or kind.bitwidth > WIDEST:
        return None
    return IntFormat(kind.bitwidth, kind.is_signed())


def stays_finite(scale: AnyArray, zero: AnyArray, form: IntFormat) -> bool:
    """Whether every integer of a format, less its zero point and times its scale, is a float32."""
    largest = max(abs(form.min), form.max) + np.abs(zero.astype(np.float64)).max(initial=0.0)
    real = np.abs(scale.astype(np.float64)).max(initial=0.0) * largest
    return bool(real <= np.finfo(np.float32).max)  # not where it is NaN


def scalar_of(array: AnyArray) -> float:
    """The one entry of an array."""
    return float(array.reshape(-1)[0])
