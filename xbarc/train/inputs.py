"""Input codes as torch computes them: the arithmetic of `xbarc.ir.codes`, with a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import xbarc.train.digital_loop as loops
from xbarc.errors import InputError, ProgramError
from xbarc.ir import (
    DOWN,
    UP,
    BinaryInput,
    DynamicInput,
    FloatInput,
    IntegerInput,
    Quantizer,
    StaticInput,
)
from xbarc.numerics import AnyArray, Rounding


@dataclass(frozen=True, eq=False)
class TorchCodes:
    """Unsigned integers on the wordlines, held in floats.

    Attributes:
        values: axes: sample, then those of one sample.
        zero: code that means zero; axis: sample, or length 1.
        scale: real value of one step, float64; axis as `zero`.
    """

    values: Tensor
    zero: Tensor
    scale: Tensor


def read_codes(
    tensor: Tensor, quantizer: Quantizer, values: Mapping[str, Tensor], where: str
) -> TorchCodes:
    """Codes of a tensor whose first axis is the sample.

    The gradient goes straight through the rounding where a value is in range, and is 0 outside.

    Raises:
        InputError: a value is not a number or infinite.
    """
    match quantizer:
        case StaticInput():
            scale = torch.tensor([quantizer.scale], dtype=torch.float32, device=tensor.device)
            zero = torch.tensor([quantizer.zero_point], device=tensor.device)
            return _codes(tensor, quantizer, scale, zero, where)
        case DynamicInput():
            _check_finite(tensor, where)
            scale, zero = _measure(tensor.detach(), quantizer.bits)
            return _codes(tensor, quantizer, scale, zero, where)
        case IntegerInput():
            _check_finite(tensor, where)
            return _from_integers(tensor, quantizer, values)
        case BinaryInput() | FloatInput():
            raise ProgramError(f"a {quantizer.kind} input feeds no DAC", where=where)


def _codes(
    tensor: Tensor, quantizer: StaticInput | DynamicInput, scale: Tensor, zero: Tensor, where: str
) -> TorchCodes:
    top = float((1 << quantizer.bits) - 1)
    if _compiled(tensor, quantizer):
        made: Tensor = _Codes.apply(  # type: ignore[no-untyped-call]
            tensor.float(), scale, zero.float(), top, where
        )
        return TorchCodes(made, zero, scale.double())
    _check_finite(tensor, where)
    spread = (-1,) + (1,) * (tensor.ndim - 1)
    # tensors on both sides: a division by a Python number may become a product with its inverse
    scaled = tensor.float() / scale.reshape(spread)
    shift = zero.to(torch.float32).reshape(spread)
    clamped = (scaled + shift).clamp(0.0, top)
    exact = (round_as(scaled.detach(), quantizer.rounding) + shift).clamp(0.0, top)
    values = straight_through(clamped, exact)
    return TorchCodes(values, zero, scale.double())


def _compiled(tensor: Tensor, quantizer: StaticInput | DynamicInput) -> bool:
    """Whether the compiled pass knows this case."""
    return tensor.is_cpu and quantizer.rounding == "half_even"


def _check_finite(tensor: Tensor, where: str) -> None:
    if not torch.isfinite(tensor).all():
        _refuse(where)


def _refuse(where: str) -> NoReturn:
    raise InputError(
        "the input holds NaN or infinity, which no DAC can feed",
        where=where,
        hint="training diverged, or the data holds such values: a smaller learning rate",
    )


class _Codes(torch.autograd.Function):
    """The usual case of `_codes` in one pass over memory."""

    @staticmethod
    def forward(
        ctx: Any, tensor: Tensor, scale: Tensor, zero: Tensor, top: float, where: str
    ) -> Tensor:
        tensor = tensor.contiguous()
        ctx.save_for_backward(tensor, scale, zero)
        ctx.top = top
        codes = torch.empty_like(tensor)
        if not loops.round_codes(*_by_sample(tensor, scale, zero), top, *_by_sample(codes)):
            _refuse(where)
        return codes

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        tensor, scale, zero = ctx.saved_tensors
        back = torch.empty_like(tensor)
        given = _by_sample(tensor, scale, zero)
        loops.pass_codes(*given, ctx.top, *_by_sample(grad.contiguous(), back))
        return back, None, None, None, None


def _by_sample(tensor: Tensor, *more: Tensor) -> tuple[AnyArray, ...]:
    """Arrays of the same memory; a tensor of several axes has two, the first one the sample."""
    return tuple(
        t.detach().flatten(1).numpy() if t.ndim > 1 else t.detach().numpy() for t in (tensor, *more)
    )


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, soft: Tensor, exact: Tensor) -> Tensor:
        del ctx, soft
        return exact.clone()

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> tuple[Tensor, None]:
        del ctx
        return grad, None


def straight_through(soft: Tensor, exact: Tensor) -> Tensor:
    """`exact` forward, bit for bit; the gradient of `soft` backward.

    The usual `soft + (exact - soft).detach()` may end a unit in the last place off.
    """
    if not soft.requires_grad:
        return exact
    result: Tensor = _StraightThrough.apply(soft, exact.detach())  # type: ignore[no-untyped-call]
    return result


def _measure(tensor: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Scale and zero point of each sample, as `DynamicQuantizeLinear` takes them."""
    top = torch.tensor(float((1 << bits) - 1), device=tensor.device)
    flat = tensor.flatten(1).float()
    none = torch.zeros((), device=tensor.device)
    low = torch.minimum(flat.min(1).values, none) if flat.shape[1] else flat.sum(1)
    high = torch.maximum(flat.max(1).values, none) if flat.shape[1] else flat.sum(1)
    scale = high / top - low / top
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    zero = torch.round(-low / scale).clamp(0.0, float(top))
    return scale, zero


def _from_integers(
    tensor: Tensor, quantizer: IntegerInput, values: Mapping[str, Tensor]
) -> TorchCodes:
    zero = quantizer.zero_point
    if isinstance(zero, str):
        zero = int(values[zero].reshape(-1)[0])
    here = tensor.device
    scale = torch.tensor([quantizer.scale], dtype=torch.float64, device=here)
    return TorchCodes(
        tensor.float() - quantizer.low, torch.tensor([zero - quantizer.low], device=here), scale
    )


def round_as(values: Tensor, rounding: Rounding) -> Tensor:
    """Round to whole numbers as `xbarc.numerics.round_to_int` does."""
    return _ROUNDINGS[rounding](values)


def _half_away(values: Tensor) -> Tensor:
    return torch.copysign(torch.floor(values.abs() + 0.5), values)


def _half_up(values: Tensor) -> Tensor:
    return torch.floor(values + 0.5)


def _half_down(values: Tensor) -> Tensor:
    return torch.ceil(values - 0.5)


def _away(values: Tensor) -> Tensor:
    return torch.copysign(torch.ceil(values.abs()), values)


_ROUNDINGS: dict[Rounding, Callable[[Tensor], Tensor]] = {
    "half_even": torch.round,
    "half_up": _half_up,
    "half_down": _half_down,
    "half_away": _half_away,
    "ceil": torch.ceil,
    "floor": torch.floor,
    "down": torch.trunc,
    "up": _away,
}


def binary_wires(tensor: Tensor, quantizer: Quantizer, where: str) -> TorchCodes:
    """Signs for sense amplifiers: +1 for the high value, -1 for the low one, 0 for neither.

    Raises:
        ProgramError: the layer does not take two values.
    """
    if not isinstance(quantizer, BinaryInput):
        raise ProgramError("sense amplifiers take two values", where=where)
    high, low = quantizer.high, quantizer.low
    exact = (tensor == high).float() - (tensor == low).float()
    soft = (2 * tensor.float() - (high + low)) / (high - low)
    zero = {UP: 1, DOWN: -1}.get(quantizer.zero_code, 0)
    # the scale goes through float32, as in the program
    scale = torch.tensor([quantizer.scale], device=tensor.device).double()
    return TorchCodes(
        straight_through(soft, exact), torch.tensor([zero], device=tensor.device), scale
    )
