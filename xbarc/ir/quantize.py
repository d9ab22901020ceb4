"""How a matrix layer's input becomes unsigned integers, and how its accumulators become values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xbarc.numerics.rounding import Rounding
from xbarc.numerics.types import Float32Array


@dataclass(frozen=True)
class FloatInput:
    """Real numbers whose range is still to be chosen; a program never holds this.

    Attributes:
        nonnegative: the graph's structure proves that no value is below zero (after Relu, say).
    """

    nonnegative: bool = False
    kind: Literal["float"] = "float"


@dataclass(frozen=True)
class IntegerInput:
    """The tensor already holds integers, of whatever element type: `code = value - low`.

    Attributes:
        low: the smallest value of the tensor's format: 0 for uint8, -128 for int8.
        bits: width of the code.
        scale: real value of one step; 1.0 where the model gives none (MatMulInteger).
        zero_point: the value that means zero, in the tensor's own numbers; or the name of a scalar
            tensor that holds it at run time (DynamicQuantizeLinear).
    """

    low: int
    bits: int
    scale: float = 1.0
    zero_point: int | str = 0
    kind: Literal["integer"] = "integer"


@dataclass(frozen=True)
class StaticInput:
    """`code = clamp(round(x / scale) + zero_point, 0, 2**bits - 1)`, division in float32."""

    bits: int
    scale: float
    zero_point: int
    rounding: Rounding = "half_even"
    kind: Literal["static"] = "static"


@dataclass(frozen=True)
class DynamicInput:
    """The range is taken at run time, as DynamicQuantizeLinear does, but for each sample.

    A sample is one input vector of a dense layer and one item of the batch of a convolution, so no
    result depends on what else is in the batch.
    """

    bits: int
    rounding: Rounding = "half_even"
    kind: Literal["dynamic"] = "dynamic"


Quantizer = FloatInput | IntegerInput | StaticInput | DynamicInput


@dataclass(frozen=True, eq=False)
class FloatResult:
    """`y = acc * (input scale * scale[o]) + bias[o]`: float64 arithmetic, rounded once to `dtype`.

    Attributes:
        scale: real value of one step of the weights; axes: output.
        bias: axes: output.
        dtype: numpy name of the element type that the model goes on with.
    """

    scale: Float32Array
    bias: Float32Array
    dtype: str = "float32"
    kind: Literal["float"] = "float"


@dataclass(frozen=True)
class IntegerResult:
    """`y = acc`, as MatMulInteger and ConvInteger give it."""

    dtype: str = "int32"
    kind: Literal["integer"] = "integer"


@dataclass(frozen=True, eq=False)
class RequantizedResult:
    """`y = clamp(round_half_even(float32(acc) * multiplier[o]) + zero_point)`, all in float32.

    This is what the ONNX operators QLinearConv and QLinearMatMul and com.microsoft QGemm mean; the
    clamp is that of `dtype`.
    """

    multiplier: Float32Array
    zero_point: int
    dtype: str = "uint8"
    kind: Literal["requantized"] = "requantized"


Result = FloatResult | IntegerResult | RequantizedResult
