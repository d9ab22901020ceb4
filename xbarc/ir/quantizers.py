"""How a matrix layer's input becomes unsigned integers, and how its accumulators become values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from xbarc.numerics import Float32Array, Int64Array, Rounding, UInt8Array, short_repr


@dataclass(frozen=True)
class FloatInput:
    """Real numbers whose range is still to be chosen; a program never holds this.

    Attributes:
        lost: why integers that the model declares are not used; empty where it declares none.
    """

    lost: str = ""
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
    """`code = clamp(round(x / scale) + zero_point, 0, 2**bits - 1)`, division in float32.

    Attributes:
        bits: width of the code.
        scale: real value of one step.
        zero_point: the code that means zero.
        rounding: name of the rule, see `xbarc.numerics.rounding`.
    """

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

    Attributes:
        bits: width of the code.
        rounding: name of the rule, see `xbarc.numerics.rounding`.
    """

    bits: int
    rounding: Rounding = "half_even"
    kind: Literal["dynamic"] = "dynamic"


@dataclass(frozen=True)
class BinaryInput:
    """The tensor holds `high` and `low`; the code says which wordlines of an input are driven.

    Code 1 (`UP`) means `high`, 2 (`DOWN`) means `low`, and 4 (`ABSENT`) means neither: zero padding
    where zero is not one of the two, or the 0 that ONNX's Sign gives for 0.

    Attributes:
        low, high: the two values, `low < high`: of opposite sign and equal size, or one of them 0.
        scale: real value of one step of the accumulator.
    """

    low: float
    high: float
    scale: float = 1.0
    kind: Literal["binary"] = "binary"

    @property
    def bits(self) -> int:
        """One: a binary code drives its wordlines in a single cycle."""
        return 1

    @property
    def zero_code(self) -> int:
        """The code of a border filled with zeros."""
        if self.low == 0:
            return DOWN
        return UP if self.high == 0 else ABSENT


# A bit each, so that a wordline is driven by any of them: `codes & drive` is one instruction.
UP, DOWN, ABSENT = 1, 2, 4

Quantizer = FloatInput | IntegerInput | StaticInput | DynamicInput | BinaryInput


def known_zero(quantizer: Quantizer) -> tuple[int, float] | None:
    """The code that means zero, and the real value of a step; None where run time decides."""
    match quantizer:
        case StaticInput(zero_point=zero, scale=scale):
            return zero, scale
        case IntegerInput(zero_point=int(zero), low=low, scale=scale):
            return zero - low, scale
        case _:
            return None


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

    __repr__ = short_repr


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

    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class SignResult:
    """`y = high where (acc >= threshold[o]) differs from flip[o], else low`.

    Attributes:
        threshold: axes: output.
        flip: 1 where the comparison is turned round; axes: output.
        high, low: the two values that the model goes on with.
    """

    threshold: Int64Array
    flip: UInt8Array
    high: float = 1.0
    low: float = -1.0
    dtype: str = "float32"
    kind: Literal["sign"] = "sign"

    __repr__ = short_repr


Result = FloatResult | IntegerResult | RequantizedResult | SignResult
