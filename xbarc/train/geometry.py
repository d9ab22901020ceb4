"""Input vectors of a tensor and tensors of products, as `xbarc.executor.vectors` lays them out."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

import xbarc.train.crossbar_loop as loops
from xbarc.executor import scatter_space, stack_axes, stack_index
from xbarc.ir import Dense, Geometry, Scatter, Window, scatter_extent, window_pads
from xbarc.numerics import AnyArray
from xbarc.train.inputs import TorchCodes


def first_axis_sample(tensor: Tensor, geometry: Geometry) -> Tensor:
    """As `xbarc.executor.sample_axis_first`, for torch."""
    if not isinstance(geometry, Dense):
        return tensor
    axis = -1 if tensor.ndim == 1 else geometry.contract_axis
    moved = tensor.movedim(axis, -1)
    return moved.reshape(prod(moved.shape[:-1]), moved.shape[-1])


def pad_codes(codes: TorchCodes, geometry: Window) -> Tensor:
    """Codes with a border of the code that means zero."""
    values = codes.values
    pads = window_pads(geometry, tuple(values.shape[2:]))
    if not any(amount for pad in pads for amount in pad):
        return values
    flat = [amount for pad in reversed(pads) for amount in pad]
    if not bool(codes.zero.any()):
        return nn.functional.pad(values, flat)
    zero = codes.zero.to(values.dtype).reshape((-1,) + (1,) * (values.ndim - 1))
    return nn.functional.pad(values - zero, flat) + zero


def window_vectors(border: Tensor, geometry: Window, groups: int) -> tuple[Tensor, list[int]]:
    """Windows of a padded tensor; axes: group, vector (image, then position), input.

    Returns:
        The vectors, and the extent of the result along each spatial axis.
    """
    space = tuple(border.shape[2:])
    places, extent = _window_places(geometry, space)
    flat = border.flatten(2)
    if flat.is_cpu:
        gathered: Tensor = _Windows.apply(flat, places, groups)  # type: ignore[no-untyped-call]
        return gathered, extent
    images, channels = flat.shape[:2]
    view = flat[:, :, torch.from_numpy(places).to(flat.device)]
    view = view.reshape(images, groups, channels // groups, *places.shape)
    vectors = view.permute(1, 0, 3, 2, 4)
    return vectors.reshape(groups, images * len(places), -1), extent


def _window_places(geometry: Window, space: tuple[int, ...]) -> tuple[AnyArray, list[int]]:
    """Which places of a channel a window reads; axes: position, kernel place."""
    rank = len(space)
    extent = [
        (size - dilation * (kernel - 1) - 1) // stride + 1
        for size, kernel, stride, dilation in zip(
            space, geometry.kernel, geometry.strides, geometry.dilations, strict=True
        )
    ]
    index = np.zeros((1,) * 2 * rank, np.int64)
    for axis, size in enumerate(extent):
        first = np.arange(size) * geometry.strides[axis]
        inside = np.arange(geometry.kernel[axis]) * geometry.dilations[axis]
        shape = [1] * 2 * rank
        shape[axis], shape[rank + axis] = size, geometry.kernel[axis]
        along = (first[:, None] + inside).reshape(shape)
        index = index + along * prod(space[axis + 1 :])
    return np.ascontiguousarray(index.reshape(prod(extent), prod(geometry.kernel))), extent


class _Windows(torch.autograd.Function):
    """Windows on the CPU: torch's own way back from overlapping windows is ten times slower."""

    @staticmethod
    def forward(ctx: Any, border: Tensor, places: AnyArray, groups: int) -> Tensor:
        """Axes: group, vector, input."""
        ctx.places, ctx.shape = places, border.shape
        images, channels = border.shape[:2]
        inputs = channels // groups * places.shape[1]
        vectors = border.new_empty((groups, images * places.shape[0], inputs))
        loops.gather_windows(border.detach().contiguous().numpy(), places, vectors.numpy())
        return vectors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Sums over the windows that read a place."""
        border = grad.new_zeros(ctx.shape)
        loops.scatter_windows(grad.contiguous().numpy(), ctx.places, border.numpy())
        return border, None, None


def vectors_of(
    codes: TorchCodes, geometry: Dense | Scatter, groups: int, shape: torch.Size
) -> Tensor:
    """Vectors of a matrix product or a transposed convolution; axes: group, vector, input."""
    values = codes.values
    if isinstance(geometry, Scatter):
        images, channels = values.shape[:2]
        points = prod(values.shape[2:])
        flat = values.reshape(images, groups, channels // groups, points)
        return flat.permute(1, 0, 3, 2).reshape(groups, images * points, channels // groups)
    if not geometry.batch:
        return values[None]
    return values[torch.from_numpy(stack_index(geometry, tuple(shape)))].transpose(0, 1)


def of_vectors(
    numbers: Tensor, geometry: Dense | Scatter, groups: int, shape: torch.Size
) -> Tensor:
    """Numbers of samples for each vector; axes: group or 1, vector or 1, 1."""
    if numbers.numel() == 1:
        return numbers.reshape(1, 1, 1)
    if isinstance(geometry, Scatter):
        return numbers.repeat_interleave(prod(shape[2:])).reshape(1, -1, 1)
    if not geometry.batch:
        return numbers.reshape(1, -1, 1)
    index = torch.from_numpy(stack_index(geometry, tuple(shape)))
    return numbers[index].transpose(0, 1)[..., None].expand(groups, -1, 1)


def dense_result(values: Tensor, geometry: Dense, shape: torch.Size) -> Tensor:
    """From `[group, vector, output]` to the shape of a matrix product.

    Args:
        values: what the layer gives, a value each.
        geometry: the layer's.
        shape: shape of the layer's input.
    """
    axis = -1 if len(shape) == 1 else geometry.contract_axis
    lead = [size for place, size in enumerate(shape) if place - len(shape) != axis] or [1]
    outputs = values.shape[2]
    if geometry.batch:
        full = (*np.broadcast_shapes(tuple(lead[:-1]), geometry.batch), lead[-1])
        outer, inner = stack_axes(geometry, len(full) - 1)
        order = [*inner, *outer, len(full) - 1]
        split = values.reshape(*(full[place] for place in order), outputs)
        back = [order.index(place) for place in range(len(full))]
        values = split.permute(*back, len(full))
    else:
        full = tuple(lead)
    values = values.reshape(*full, outputs)
    if len(shape) == 1:
        values = values.squeeze(-2)
    if geometry.squeeze:
        return values.squeeze(-1)
    if geometry.output_axis == -1 or len(shape) == 1:
        return values
    return values.transpose(-1, -2).contiguous()


def scatter_sums(acc: Tensor, geometry: Scatter, shape: torch.Size) -> Tensor:
    """Products of overlapping windows added up; axes: image, channel, space.

    Args:
        acc: axes: group, vector (image-major), (channel of the group, kernel position).
        geometry: the layer's.
        shape: shape of the layer's input.
    """
    images, space = shape[0], tuple(shape[2:])
    kernel, rank = geometry.kernel, len(geometry.kernel)
    groups = acc.shape[0]
    channels = acc.shape[2] // prod(kernel)
    parts = acc.reshape(groups, images, *space, channels, *kernel)
    extents, crops = scatter_extent(geometry, space)
    need = scatter_space(geometry, space)
    total = acc.new_zeros((groups, images, *need, channels))
    for place in product(*(range(k) for k in kernel)):
        region = tuple(
            slice(p * d, p * d + s * (n - 1) + 1, s)
            for p, d, s, n in zip(place, geometry.dilations, geometry.strides, space, strict=True)
        )
        total[(slice(None), slice(None), *region)] += parts[(slice(None),) * (rank + 3) + place]
    crop = tuple(slice(max(0, c), c + e) for c, e in zip(crops, extents, strict=True))
    kept = total[(slice(None), slice(None), *crop)]
    # groups stand before images here; a tensor has them inside its channels
    moved = kept.movedim(-1, 2).movedim(0, 1)
    return moved.reshape(images, groups * channels, *extents)
