"""From accumulators to the real values of a layer, one float64 product rounded once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

import xbarc.train.digital_loop as loops
from xbarc.numerics import AnyArray


def real_values(
    acc: Tensor,
    offset: Tensor,
    input_scale: Tensor,
    scale: Tensor,
    bias: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """`(acc + offset) * (input_scale * scale) + bias` in float64, rounded once.

    Args:
        acc: accumulators; axes: sample, channel, further ones.
        offset: added to them; axes: sample or 1, channel.
        input_scale: float64; axes: sample or 1, channel or 1.
        scale: of the outputs; axis: channel.
        bias: as `scale`.
        dtype: of the result.
    """
    if acc.is_cpu and dtype == torch.float32:
        values: Tensor = _Scaled.apply(  # type: ignore[no-untyped-call]
            acc, offset, input_scale, scale, bias
        )
        return values
    spread = (1,) * (acc.ndim - 2)
    factor = input_scale * scale.double()
    more = offset.double().reshape(*offset.shape, *spread)
    by, add = factor.reshape(*factor.shape, *spread), bias.double().reshape(1, -1, *spread)
    return ((acc.double() + more) * by + add).to(dtype)


class _Scaled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, acc: Tensor, offset: Tensor, input_scale: Tensor, scale: Tensor, bias: Tensor
    ) -> Tensor:
        acc = acc.contiguous()
        offset, factor = offset.double().contiguous(), input_scale * scale.double()
        ctx.save_for_backward(acc, offset, input_scale, factor)
        result = torch.empty(acc.shape, dtype=torch.float32)
        given = [tensor.detach().numpy() for tensor in (offset, factor, bias.double())]
        loops.scale_sums(_in_places(acc), *given, _in_places(result))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, Tensor, Tensor]:
        acc, offset, input_scale, factor = ctx.saved_tensors
        back = torch.empty_like(acc)
        totals = torch.empty((2, *acc.shape[:2]), dtype=torch.float64)
        loops.scale_sums_back(
            _in_places(acc),
            offset.numpy(),
            factor.numpy(),
            _in_places(grad.contiguous()),
            _in_places(back),
            totals.numpy(),
        )
        plain, products = totals
        to_offset = plain * factor
        if offset.shape[0] == 1:
            to_offset = to_offset.sum(0, keepdim=True)
        to_scale = (products * input_scale).sum(0)
        return back, to_offset, None, to_scale.float(), plain.sum(0).float()


def _in_places(tensor: Tensor) -> AnyArray:
    """Axes: sample, channel, place."""
    return tensor.detach()[..., None].flatten(2).numpy()
